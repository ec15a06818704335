/** What a failing test says. The test's own lines come first: they are what somebody has to change. */
import { readableName } from "../analyze/frames.js";
import { demangle } from "../names/demangle.js";
import type { Frame } from "../profile/records.js";
import { countOf, formatBytes } from "../report/format.js";
import { functionName, isAllocatorFrame, location } from "../report/frames.js";
import type { Leak, LeakResult } from "./leaks.js";
import type { Runtime } from "./runtime.js";

const shownGroups = 3;
const shownOwnLines = 6;
const shownFrames = 8;

/** Leaks with the same lines of the test's own code. */
interface Group {
  lines: Frame[];
  leaks: Leak[];
  bytes: number;
  blocks: number;
}

export function leakMessage(caller: string, result: LeakResult, runtime: Runtime): string {
  const { leaks, perRun, runs, spread } = result;
  const groups = groupsOf(leaks);
  const kept = leaks[0]!.kind === "blocks" ? amount(perRun.bytes, perRun.blocks) : formatBytes(perRun.bytes);
  const lines = [`${caller}: ${kept} more live after each run (${countOf(runs, "run")} compared)`];
  for (const group of groups.slice(0, shownGroups)) lines.push("", ...groupText(group, runtime.directory));
  if (groups.length > shownGroups) {
    const rest = groups.slice(shownGroups);
    const bytes = rest.reduce((sum, group) => sum + group.bytes, 0);
    const blocks = rest.reduce((sum, group) => sum + group.blocks, 0);
    lines.push("", `${amount(bytes, blocks)} per run from ${countOf(rest.length, "other place")}`);
  }
  if (spread) lines.push("", "No stack grew with every run by itself; these grew over all of them.");
  if (!runtime.collects) {
    lines.push(
      "",
      "The garbage collector can't be called here, so a finalizer may yet release some of it: run node with --expose-gc.",
    );
  }
  return lines.join("\n");
}

/** Lines of the test's own code that lead to a leak, innermost first. */
export function ownLines({ caller, stack }: Pick<Leak, "caller" | "stack">): Frame[] {
  return [...stack, ...caller].filter(isOwn);
}

function isOwn({ kind, file }: Frame): boolean {
  return kind === "js" && file !== "" && !/^(node|internal|native|wasm):|[\\/]node_modules[\\/]/.test(file);
}

function groupsOf(leaks: readonly Leak[]): Group[] {
  const groups = new Map<string, Group>();
  for (const leak of leaks) {
    const lines = ownLines(leak);
    const key = JSON.stringify([leak.kind, lines.map(({ file, line }) => [file, line])]);
    let group = groups.get(key);
    if (!group) groups.set(key, (group = { lines, leaks: [], bytes: 0, blocks: 0 }));
    group.leaks.push(leak);
    group.bytes += leak.perRun.bytes;
    group.blocks += leak.perRun.blocks;
  }
  return [...groups.values()].sort((a, b) => b.bytes - a.bytes);
}

function groupText({ lines, leaks, bytes, blocks }: Group, directory: string): string[] {
  const [leak] = leaks as [Leak];
  const from = leak.module?.name ? ` of ${leak.module.name}` : "";
  const text: string[] = [];
  if (leak.kind === "memories") text.push(`a new memory${from} per run, ${formatBytes(bytes)}, made by`);
  else if (leak.kind === "pages") {
    const known = leak.stack.length > 0 ? ", asked for by" : "";
    text.push(`memory${from} grew by ${formatBytes(bytes)} per run${known}`);
  } else text.push(`${amount(bytes, blocks)} per run, made by`);
  const shown = lines.slice(0, shownOwnLines);
  text.push(...frameLines(shown, directory));
  if (lines.length > shown.length) text.push(`    … ${countOf(lines.length - shown.length, "more line")}`);
  if (lines.length === 0 && leak.kind !== "pages") text.push("    (a caller that is not known)");
  // From the test's line inwards; what the allocator does inside says nothing.
  const own = new Set(lines);
  const inner = [...leak.stack, ...leak.caller].filter((frame) => !own.has(frame) && !isNoise(frame, leak));
  const path = inner.slice(0, firstOutside(inner, leak)).reverse().slice(0, shownFrames);
  if (path.length > 0) {
    text.push(
      leaks.length > 1 ? `  ${amount(leak.perRun.bytes, leak.perRun.blocks)} of it through` : "  through",
    );
    text.push(...frameLines(path, directory));
  }
  if (leaks.length > 1) text.push(`  and the rest through ${countOf(leaks.length - 1, "other stack")}`);
  return text;
}

function isNoise(frame: Frame, { module }: Leak): boolean {
  return /^(node|internal):/.test(frame.file) || (module !== undefined && isAllocatorFrame(frame, module));
}

/** Where, in what lies between module and test, the frames of the test runner begin. */
function firstOutside(frames: readonly Frame[], leak: Leak): number {
  const outermost = leak.caller.findIndex(isOwn);
  const inside = new Set([...leak.stack, ...leak.caller.slice(0, Math.max(outermost, 0))]);
  const end = frames.findLastIndex((frame) => inside.has(frame));
  return end + 1;
}

function frameLines(frames: readonly Frame[], directory: string): string[] {
  const names = frames.map((frame) =>
    functionName(
      frame.kind === "wasm" ? { ...frame, function: readableName(frame.function, demangle) } : frame,
    ),
  );
  const width = Math.min(40, Math.max(0, ...names.map((name) => name.length)));
  return frames.map((frame, i) => `    ${names[i]!.padEnd(width)}  ${location(frame, directory)}`);
}

function amount(bytes: number, blocks: number): string {
  return `${formatBytes(Math.round(bytes))} in ${countOf(Math.round(blocks * 10) / 10, "block")}`;
}
