import type { MemoryState } from "../profile/state.js";
import type { StackReader } from "./frames.js";
import type { CallerReport, FrameReport, Totals } from "./report.js";
import { RoutedContext, Routes } from "./routed-context.js";

/** By memory and row of a context of the profile: the id of the report's context that it was added to. */
export type ReportIds = ReadonlyMap<MemoryState, readonly number[]>;

export interface ModuleContexts {
  contexts: RoutedContext[];
  callers: CallerReport[];
}

/** A context, and what is known of it while callers are added up. */
interface Sum {
  report: RoutedContext;
  /** Number of its wasm part, the same for all callers. */
  wasm: number;
  caller: number;
  known: boolean;
  /** Its caller's frame, where that is known. */
  frame: FrameReport | undefined;
  /** Those with the same wasm part, by caller. */
  others: Map<number, Sum> | undefined;
}

/**
 * The contexts of a module's memories; those with the same frames are one.
 * @param reportIds gets those of the memories
 */
export function moduleContexts(
  memories: readonly MemoryState[],
  stacks: StackReader,
  reportIds: Map<MemoryState, number[]>,
): ModuleContexts {
  const all: Sum[] = [];
  /** By the number of the wasm part: most have one caller, and that needs no hash of the two. */
  const firsts: (Sum | undefined)[] = [];
  const routes = new Routes(stacks);
  for (const memory of memories) {
    const live = memory.collected === undefined;
    const ids: number[] = [0];
    reportIds.set(memory, ids);
    for (const state of memory.contexts.values()) {
      const { stack, caller, totals } = state;
      ids.push(0);
      if (!totals) continue;
      const wasm = stacks.key(stack);
      const callerKey = stacks.key(caller);
      const first = firsts[wasm];
      let sum = first?.caller === callerKey ? first : first?.others?.get(callerKey);
      if (!sum) {
        const known = stacks.has(caller);
        const route = routes.get(stack, caller);
        const report = new RoutedContext(all.length + 1, route, stacks, stack, caller);
        const frame = known ? route.caller : undefined;
        sum = { report, wasm, caller: callerKey, known, frame, others: undefined };
        if (first) (first.others ??= new Map()).set(callerKey, sum);
        else firsts[wasm] = sum;
        all.push(sum);
      }
      const { report } = sum;
      ids[state.row] = report.id;
      // by index: taking an array apart by a pattern goes through its iterator
      report.allocations += totals[1];
      report.frees += totals[2];
      report.allocatedBytes += totals[3];
      if (live) {
        report.liveBytes += totals[4];
        report.liveBlocks += Math.max(0, totals[1] - totals[2]);
      }
      report.peakLiveBytes += totals[5];
      report.temporary += totals[6];
    }
  }
  all.sort((a, b) => byLiveBytes(a.report, b.report));
  for (const { report, known } of all) report.sampled = !known && report.liveBlocks > 0;
  return { contexts: all.map(({ report }) => report), callers: callersOf(all) };
}

function callersOf(contexts: readonly Sum[]): CallerReport[] {
  /** Live bytes of unknown callers by wasm context: any known caller of it may have made them. */
  const unknownBytes = new Map<number, number>();
  for (const { wasm, known, report } of contexts) {
    if (!known) unknownBytes.set(wasm, (unknownBytes.get(wasm) ?? 0) + report.liveBytes);
  }
  const callers = new Map<string, { report: CallerReport; shared: Set<number> }>();
  const keys = new Map<FrameReport, string>();
  for (const { wasm, frame, report: context } of contexts) {
    let key = frame ? keys.get(frame) : "";
    if (key === undefined) keys.set(frame!, (key = callerKey(frame!)));
    let caller = callers.get(key);
    if (!caller) {
      const report = { ...(frame && { frame }), ...zero(), atMostLiveBytes: 0, contexts: [] };
      callers.set(key, (caller = { report, shared: new Set() }));
    }
    caller.report.contexts.push(context.id);
    if (frame && unknownBytes.has(wasm)) caller.shared.add(wasm);
    add(caller.report, context);
  }
  const all = [...callers.values()].map(({ report, shared }) => {
    const unknown = [...shared].reduce((sum, wasm) => sum + unknownBytes.get(wasm)!, 0);
    return { ...report, atMostLiveBytes: report.liveBytes + unknown };
  });
  return all.sort(byLiveBytes);
}

/** What makes two frames the same caller: the line, not the column. */
function callerKey({ function: name, file, line }: FrameReport): string {
  return JSON.stringify([name, file, line]);
}

function zero(): Totals {
  return { allocations: 0, frees: 0, allocatedBytes: 0, liveBytes: 0, liveBlocks: 0, peakLiveBytes: 0 };
}

function add(sum: Totals, more: Totals): void {
  sum.allocations += more.allocations;
  sum.frees += more.frees;
  sum.allocatedBytes += more.allocatedBytes;
  sum.liveBytes += more.liveBytes;
  sum.liveBlocks += more.liveBlocks;
  sum.peakLiveBytes += more.peakLiveBytes;
}

function byLiveBytes(a: Totals, b: Totals): number {
  return (
    b.liveBytes - a.liveBytes || b.peakLiveBytes - a.peakLiveBytes || b.allocatedBytes - a.allocatedBytes
  );
}
