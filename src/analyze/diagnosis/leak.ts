/**
 * Leaks: what a caller holds grows with the work that is done, steadily and to the end. A start looks different (it
 * grows and stops), so does a cache (it stops when it is full), a table that doubles (few blocks, large steps), and a
 * load that comes and goes.
 */
import { countOf, formatBytes, formatDuration, formatShare } from "../figures.js";
import type { ModuleReport } from "../report.js";
import { callerName, type Finding, isCollected, type Subject } from "./finding.js";
import type { CallerHistory, ModuleHistory } from "./history.js";

/** Share of the work that is taken for the start. */
const warmUp = 0.25;
/** The growth must go on for at least this share of the work. */
const leastSpan = 0.4;
/** Steps into which the growth is cut; most of them must rise. */
const steps = 8;
const leastSteps = 3;
const leastRising = 0.75;
/** No single step may be more than this share of it all. */
const largestStep = 0.6;
const leastBlocks = 6;
const leastBytes = 512;
/** Less than this share of what lives at the high-water mark is not worth a finding. */
const leastShare = 0.01;
/** What a caller keeps counts apart from what is released late if it is at least this share of what it held at most. */
const leastKept = 0.2;
/**
 * What is released in the end looks like a load that comes and goes if by chance each moment was a higher one than that before.
 * So at least this share of the blocks made in that time must have stayed, or more of all steps must rise.
 */
const leastStayed = 0.67;
const leastRisingAlone = 0.875;

/** How a series grew between two moments. */
interface Trend {
  from: number;
  to: number;
  bytes: number;
  blocks: number;
  /** So many steps rose that it is no chance. */
  isSteady: boolean;
  /** 0 to 1. */
  certainty: number;
}

/** The steady growth of a series; undefined when there is none. */
function trendOf(
  { work }: ModuleHistory,
  live: readonly number[],
  liveBlocks: readonly number[],
): Trend | undefined {
  const last = work.length - 1;
  const total = work[last] ?? 0;
  const from = work.findIndex((done) => done >= total * warmUp);
  if (from < 0) return undefined;
  let to = from;
  for (let i = from; i <= last; i++) if (live[i]! >= live[to]!) to = i;
  const span = work[to]! - work[from]!;
  const bytes = live[to]! - live[from]!;
  const blocks = Math.round(liveBlocks[to]! - liveBlocks[from]!);
  if (bytes < leastBytes || blocks < leastBlocks || span < total * leastSpan) return undefined;

  const marks = [from];
  for (let step = 1; step <= steps; step++) {
    const due = work[from]! + (span * step) / steps;
    const mark = step === steps ? to : work.findIndex((done, i) => i > marks.at(-1)! && done >= due);
    if (mark > marks.at(-1)! && mark <= to) marks.push(mark);
  }
  const rises = marks.slice(1).map((mark, i) => live[mark]! - live[marks[i]!]!);
  if (rises.length < leastSteps) return undefined;
  const rising = rises.filter((rise) => rise > 0).length / rises.length;
  if (rising < leastRising || Math.max(...rises) > largestStep * bytes) return undefined;
  // by how much the steps differ from those of a straight line
  const even = bytes / rises.length;
  const uneven = Math.sqrt(rises.reduce((sum, rise) => sum + (rise - even) ** 2, 0) / rises.length) / even;
  const many = Math.min(1, rises.length / steps);
  const certainty = Math.max(0.3, Math.min(0.99, 1 - 0.3 * (1 - many) - 0.25 * Math.min(1, uneven)));
  return { from, to, bytes, blocks, isSteady: many === 1 && rising >= leastRisingAlone, certainty };
}

/** What of a caller grows: what it keeps to the end where that matters, else all that it holds. */
function growthOf(
  history: ModuleHistory,
  caller: CallerHistory,
): { trend: Trend; kept: boolean } | undefined {
  const all = trendOf(history, caller.estimatedBytes, caller.estimatedBlocks);
  const kept = trendOf(history, caller.keptBytes, caller.keptBlocks);
  if (kept && kept.bytes >= leastKept * Math.max(...caller.estimatedBytes))
    return { trend: kept, kept: true };
  return all && { trend: all, kept: false };
}

export function findLeaks(subject: Subject): Finding[] {
  const { module, history } = subject;
  const peak = Math.max(0, ...history.liveBytes);
  const found = history.callers.flatMap((caller) => {
    const growth = growthOf(history, caller);
    return growth && growth.trend.bytes >= leastShare * peak ? [{ caller, ...growth }] : [];
  });
  const known = new Set(found.flatMap(({ caller }) => (caller.caller ? [...caller.wasm] : [])));
  return found
    .filter(({ caller }) => caller.caller || ![...caller.wasm].some((stack) => known.has(stack)))
    .map(({ caller, trend, kept }) => leak(subject, caller, trend, kept))
    .filter((finding) => finding !== undefined)
    .map((finding) => (isCollected(module) ? softened(finding) : finding));
}

function leak(
  { module, history }: Subject,
  caller: CallerHistory,
  trend: Trend,
  kept: boolean,
): Finding | undefined {
  const { from, to, bytes, blocks, certainty } = trend;
  const end = history.times.length - 1;
  const held = caller.liveBytes[end]!;
  const made = caller.allocations[to]! - caller.allocations[from]!;
  const time = history.times[to]! - history.times[from]!;
  const name = callerName(caller.caller);
  const sampled = caller.estimatedBytes[end]! > 1.02 * held;
  const grew =
    `What it holds grew by ${formatBytes(bytes)} in ${countOf(blocks, "block")} in ${formatDuration(time)}` +
    `${time > 0 ? `, ${formatBytes((bytes * 1000) / time)} a second` : ""}, in step with the work done` +
    `${sampled ? " (callers are sampled: blocks of unknown ones are counted in proportion)" : ""}.`;
  const freed =
    made > 0 && !sampled
      ? `Of ${countOf(made, "block")} that it made in that time ${formatShare(blocks, made)} stayed.`
      : "";
  const common = {
    bytes: held,
    module: module.id,
    certainty,
    ...(caller.caller && { caller: caller.caller }),
    stack: caller.stack,
  };
  if (!kept && caller.estimatedBytes[end]! < caller.estimatedBytes[to]! / 2) {
    const stayed = caller.liveBlocks[to]! - caller.liveBlocks[from]!;
    if (stayed < leastStayed * made && !trend.isSteady) return undefined;
    return {
      kind: "late-release",
      severity: "warning",
      title: `What ${name} makes is released only at the end`,
      evidence: [
        grew,
        ...(freed ? [freed] : []),
        `At the end ${formatBytes(held)} of it were left; ${
          module.memory.finalBytes > 0
            ? "the memory stays as large as it was"
            : "the memory was collected with all that was in it"
        }.`,
      ],
      advice:
        `If the garbage collector released it (a FinalizationRegistry of the package), ${releaseCall(module)} ` +
        "instead of waiting for it: it runs late, and never while synchronous code runs.",
      ...common,
      bytes: caller.liveBytes[to]!,
    };
  }
  return {
    kind: "leak",
    severity: "problem",
    title: `${name} leaks: ${formatBytes(held)} live in ${countOf(caller.liveBlocks[end]!, "block")}, and growing`,
    evidence: [grew, ...(freed ? [freed] : [])],
    advice:
      `Find out who gets what ${name} makes, and ${releaseCall(module)} there. Only a cache that is not full yet looks ` +
      "the same: then give it a bound.",
    ...common,
  };
}

/** In a guest with a collector of its own, what is live to the allocator may be garbage that waits. */
function softened(finding: Finding): Finding {
  return {
    ...finding,
    kind: finding.kind === "leak" ? "retention" : finding.kind,
    severity: "warning",
    certainty: finding.certainty / 2,
    title: finding.title.replace(" leaks:", " keeps:"),
    evidence: [
      ...finding.evidence,
      "The module collects garbage itself: what it keeps may be garbage that waits, and is then no leak.",
    ],
    advice:
      finding.kind === "leak"
        ? "Let it run for longer: garbage is collected in the end. What still grows then is held, by the guest or by " +
          "JavaScript: objects of its bindings are pinned until the JavaScript garbage collector takes them, which " +
          "doesn't happen while synchronous code runs."
        : finding.advice,
  };
}

/** How programs release what a module made, by the toolchain's habits. */
export function releaseCall({ toolchain }: Pick<ModuleReport, "toolchain">): string {
  if (/wasm-bindgen/i.test(toolchain)) return "call `.free()` on it (or declare it with `using`)";
  if (toolchain === "linmem") return "call `release()` on its handle, or the heap's `free`";
  if (/emscripten/i.test(toolchain)) return "call its `.delete()`, `.close()` or the module's `_free`";
  if (/assemblyscript/i.test(toolchain)) return "call `__unpin` for it";
  return "release it";
}
