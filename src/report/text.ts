// The report for people. It says where what is live was made, and never who leaked it: only the reader knows
// who should have released.
import { isCountedOnly } from "../analyze/collected-heaps.js";
import { isGuess } from "../analyze/contradictions.js";
import { callerFrame } from "../analyze/frames.js";
import type { MemoryReport, ModuleReport, Report } from "../analyze/report.js";
import { allocatedCallers } from "./allocated-callers.js";
import { diagnosisSection, timelineSection } from "./diagnosis.js";
import {
  callerTable,
  ending,
  knownSentence,
  leftOut,
  liveCallers,
  liveSentence,
  liveTotals,
} from "./facts.js";
import { clean, countOf, formatBytes, formatCount, formatDuration, formatShare } from "./format.js";
import { commandLine, lineLocation, moduleName } from "./frames.js";
import { growthSection } from "./growth.js";
import { memoryErrorList } from "./memory-errors.js";
import { nextStep } from "./next.js";
import { Page, type TextOptions } from "./page.js";
import { withoutProbes } from "./probes.js";
import { alwaysShown, defaultTop, stackList } from "./stack-list.js";
import { treeSection } from "./tree.js";

export interface TextReportOptions extends TextOptions {
  /** How many callers, stacks, growths and memories to show of each; default 8. */
  top?: number;
}

/** The report as text. */
export function textReport(all: Report, { top = defaultTop, ...options }: TextReportOptions = {}): string {
  const page = new Page(options);
  const { report, note } = withoutProbes(all);
  head(page, report);
  if (report.memoryErrors?.length) {
    page.heading("Memory errors");
    memoryErrorList(page, report);
  }
  diagnosisSection(page, report, top > defaultTop);
  timelineSection(page, report);
  callers(page, report, top);
  for (const module of report.modules) moduleSection(page, report, module, top);
  memories(page, report, top);
  if (note !== "") page.prose(note, { indent: 2, style: page.colors.dim });
  notRecorded(page, report);
  warnings(page, report);
  page.line();
  page.prose(`Next: ${nextStep(report, page.directory)}`);
  return page.toString();
}

function head(page: Page, report: Report): void {
  const { run } = report;
  const { bold, dim } = page.colors;
  page.prose(commandLine(run.argv, page.directory) || "(unknown program)", { hanging: 4, style: bold });
  const engine = clean(`${run.engine.name} ${run.engine.version}, ${run.platform}`);
  const date = `${new Date(run.startTime).toISOString().slice(0, 16).replace("T", " ")} UTC`;
  page.prose(`${date}, ${engine}, ran ${formatDuration(run.duration)}, ${ending(report)}`, { style: dim });
  if (!run.complete) {
    const text = "The run was killed, or still runs: what it did after the last snapshot is missing.";
    page.prose(text, { style: page.colors.yellow });
  }
  page.line();
  const totals = liveTotals(report);
  if (report.memories.length === 0) {
    page.prose("No WebAssembly memory came to life in this run.", { style: bold });
    return;
  }
  const memory = `memories held up to ${formatBytes(run.peakMemoryBytes)}`;
  if (report.modules.some(({ heap }) => heap)) {
    page.prose(`${liveSentence(totals)}; ${memory}.`, { style: bold });
  } else {
    page.prose(`No blocks were recorded; ${memory}.`, { style: bold });
  }
}

function callers(page: Page, report: Report, top: number): void {
  const totals = liveTotals(report);
  const all = liveCallers(report);
  if (all.length === 0) return;
  page.heading("Made at: callers in JavaScript of what is live at the end");
  const severalHeaps = report.modules.filter(({ heap }) => heap).length > 1;
  callerTable(page, all.slice(0, top), totals, severalHeaps);
  leftOut(
    page,
    all.slice(top).map(({ caller }) => caller.liveBytes),
  );
  page.prose(knownSentence(report, totals), { indent: 2, style: page.colors.dim });
}

function moduleSection(page: Page, report: Report, module: ModuleReport, top: number): void {
  const { heap, memory, instances } = module;
  const own = report.memories.filter((candidate) => candidate.module === module.id);
  if (!heap && own.length === 0) return;
  const about = [clean(module.toolchain), countOf(instances.created, "instance")].filter(Boolean).join(", ");
  page.heading(`${moduleName(module)} (${about})`);
  const facts: [string, string][] = [];
  const countedOnly = isCountedOnly(heap);
  if (heap && countedOnly) {
    facts.push(["allocated", `${formatBytes(heap.allocatedBytes)} in ${countOf(heap.allocations, "block")}`]);
    facts.push(["live", "only the module's own garbage collector knows"]);
  } else if (heap) {
    facts.push(
      ["live", `${formatBytes(heap.liveBytes)} in ${countOf(heap.liveBlocks, "block")}`],
      [
        "high-water mark",
        formatBytes(heap.peakLiveBytes) + (own.length > 1 ? ", each memory's own added up" : ""),
      ],
      ["allocated", allocatedSentence(module)],
    );
    if (heap.collectedBlocks > 0) {
      const gone = `${formatBytes(heap.collectedBytes)} in ${countOf(heap.collectedBlocks, "block")}`;
      facts.push(["collected", `${gone}, with memories that the garbage collector took`]);
    }
  }
  if (heap && heap.collections > 0) facts.push(["collections", formatCount(heap.collections)]);
  facts.push(["memory", memorySentence(module)]);
  if (module.allocator.length > 0) facts.push(["hooked", hookedSentence(module)]);
  page.definitions(facts);
  for (const text of heap ? doubts(module) : []) page.prose(text, { indent: 2, style: page.colors.yellow });

  objects(page, module, top);
  treeSection(page, module);
  const live = module.contexts.filter((context) => context.liveBlocks > 0);
  stackList(page, module, live, "Live at the end, by stack", "liveBytes", heap?.liveBytes ?? 0, top);
  if (heap && heap.liveBytes * 2 < heap.peakLiveBytes) {
    const atPeak = module.contexts
      .filter((context) => context.peakLiveBytes > 0)
      .sort((a, b) => b.peakLiveBytes - a.peakLiveBytes);
    const few = Math.min(top, alwaysShown);
    stackList(page, module, atPeak, "Live at the high-water mark", "peakLiveBytes", heap.peakLiveBytes, few);
  }
  if (countedOnly) {
    allocatedCallers(page, module, top);
    const all = module.contexts
      .filter(({ allocations }) => allocations > 0)
      .sort((a, b) => b.allocatedBytes - a.allocatedBytes);
    stackList(
      page,
      module,
      all,
      "Allocated in the whole run, by stack",
      "allocatedBytes",
      heap?.allocatedBytes ?? 0,
      top,
    );
  }
  growthSection(page, module, memory.grows, top);
}

function allocatedSentence({ heap }: ModuleReport): string {
  const { allocations, allocatedBytes, frees, temporary, collectable } = heap!;
  const all = `${formatBytes(allocatedBytes)} in ${countOf(allocations, "block")}; ${formatCount(frees - collectable)} freed`;
  if (collectable > 0)
    return `${all}; ${formatCount(collectable)} are left to the module's garbage collector`;
  return temporary > 0 ? `${all}, ${formatShare(temporary, frees)} of them before the next allocation` : all;
}

function memorySentence({ memory }: ModuleReport): string {
  const { initialBytes, peakBytes, finalBytes, grows } = memory;
  const granted = grows.filter((grow) => grow.granted).length;
  const denied = grows.length - granted;
  const growth = [
    granted === 0
      ? peakBytes > initialBytes
        ? "grew"
        : "did not grow"
      : `grew ${granted === 1 ? "once" : `${formatCount(granted)} times`}`,
    ...(denied > 0 ? [`refused ${denied === 1 ? "once" : `${formatCount(denied)} times`}`] : []),
  ].join(", ");
  const last = finalBytes === peakBytes ? "" : `, ${formatBytes(finalBytes)} left at the end`;
  return `${formatBytes(initialBytes)} at first, ${formatBytes(peakBytes)} at most${last}; ${growth}`;
}

function hookedSentence({ allocator }: ModuleReport): string {
  const names = [...new Set(allocator.map(({ name }) => clean(name)))];
  const shown = names.slice(0, 4).join(", ");
  const list = names.length > 4 ? `${shown} and ${names.length - 4} more` : shown;
  // names speak for themselves; what was found otherwise says how
  const guess = guessed(allocator);
  return guess === undefined ? list : `${list} (${clean(guess.evidence)})`;
}

/** A function that was found by what it looks like or does, not by a name. */
function guessed(allocator: ModuleReport["allocator"]): ModuleReport["allocator"][number] | undefined {
  return allocator.find(isGuess);
}

/** What makes the figures of a module less than certain. */
function doubts({ heap }: ModuleReport): string[] {
  const { unknownFrees, missedFrees, untracked, failed, contextsDropped } = heap!;
  const found: string[] = [];
  if (unknownFrees > 0) {
    found.push(`${countOf(unknownFrees, "free")} of addresses that were not seen allocated.`);
  }
  if (missedFrees > 0) {
    found.push(
      `${countOf(missedFrees, "block")} given out again without a free that was seen: a function is not hooked.`,
    );
  }
  if (untracked > 0) found.push(`${countOf(untracked, "block")} not tracked, for want of memory.`);
  if (failed > 0) found.push(`${countOf(failed, "allocation")} failed.`);
  if (contextsDropped > 0) {
    found.push(
      `${countOf(contextsDropped, "allocation")} beyond the bound of contexts: their stacks are not known.`,
    );
  }
  return found;
}

/** Objects that are not released, by class and by the call that made them. */
function objects(page: Page, module: ModuleReport, top: number): void {
  const live = module.objects.filter(({ liveBlocks }) => liveBlocks > 0);
  if (live.length === 0) return;
  page.heading("Objects that were not released, by class", 2);
  const { bold, cyan } = page.colors;
  page.table(
    [
      { align: "right", style: bold },
      { align: "right" },
      { align: "right" },
      { cut: "end" },
      { cut: "start", style: cyan },
    ],
    live
      .slice(0, top)
      .map((object) => [
        formatBytes(object.liveBytes),
        object.live === null ? `up to ${formatCount(object.liveAtMost)}` : formatCount(object.live),
        object.made === null ? "?" : formatCount(object.made),
        clean(object.call),
        object.frame ? lineLocation(object.frame, page.directory) : "(unknown)",
      ]),
    { head: ["bytes", "live", "made", "by", "at"] },
  );
  leftOut(
    page,
    live.slice(top).map(({ liveBytes }) => liveBytes),
  );
}

function memories(page: Page, report: Report, top: number): void {
  if (report.memories.length === 0) return;
  page.heading("Memories");
  const largest = [...report.memories].sort((a, b) => b.peakBytes - a.peakBytes || a.id - b.id);
  const { dim } = page.colors;
  const names = new Map(report.modules.map((module) => [module.id, moduleName(module)]));
  page.table(
    [
      { cut: "end" },
      { align: "right" },
      { align: "right" },
      { align: "right" },
      {},
      { cut: "start", style: page.colors.cyan },
    ],
    largest
      .slice(0, top)
      .map((memory) => [
        names.get(memory.module ?? -1) ?? "(made by JavaScript)",
        formatBytes(memory.initialBytes),
        formatBytes(memory.finalBytes),
        memory.maximumBytes === null ? "none" : formatBytes(memory.maximumBytes),
        [...(memory.shared ? ["shared"] : []), ...(memory.collected === null ? [] : ["collected"])].join(
          ", ",
        ),
        createdAt(page, memory),
      ]),
    { head: ["module", "first", "last", "limit", "", "created at"] },
  );
  const rest = largest.slice(top);
  if (rest.length > 0) {
    const bytes = rest.reduce((sum, memory) => sum + memory.peakBytes, 0);
    const collected = rest.filter((memory) => memory.collected !== null).length;
    page.line(
      `  ${dim(`and ${formatCount(rest.length)} more of ${formatBytes(bytes)} together, ${collected} collected (--top N)`)}`,
    );
  }
}

function createdAt(page: Page, { stack }: MemoryReport): string {
  const frame = callerFrame(stack);
  return frame ? lineLocation(frame, page.directory) : "(unknown)";
}

function notRecorded(page: Page, report: Report): void {
  const blind = report.modules.filter((module) => !module.instrumented || module.allocator.length === 0);
  if (blind.length === 0) return;
  page.heading("Not recorded");
  for (const module of blind) {
    const reason = clean(module.reason ?? "no allocator was found; only growth is recorded");
    page.prose(`${moduleName(module)}: ${reason}`, { indent: 2, hanging: 4 });
  }
}

function warnings(page: Page, { warnings, modules }: Report): void {
  if (warnings.length === 0) return;
  page.heading("Warnings");
  for (const { message, module } of warnings) {
    const about = modules.find(({ id }) => id === module);
    const text = about ? `${moduleName(about)}: ${clean(message)}` : clean(message);
    page.prose(text, { indent: 2, hanging: 4, style: page.colors.yellow });
  }
}
