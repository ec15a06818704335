import type { ContextState, MemoryState } from "../profile/state.js";
import { callerFrame, type StackReader, wasmPart } from "./frames.js";
import type { CallerReport, ContextReport, FrameReport, Totals } from "./report.js";

export interface ModuleContexts {
  contexts: ContextReport[];
  callers: CallerReport[];
}

/** A context while it is added up over memories. */
interface Sum extends ContextReport {
  /** Number of its wasm part, the same for all callers. */
  wasm: number;
  known: boolean;
}

/**
 * The contexts of a module's memories; those with the same frames are one.
 * @param added hears which one each context was added to
 */
export function moduleContexts(
  memories: readonly MemoryState[],
  stacks: StackReader,
  added: (state: ContextState, id: number) => void,
): ModuleContexts {
  const sums = new Map<string, Sum>();
  for (const memory of memories) {
    for (const state of memory.contexts.values()) {
      const { stack, caller, totals } = state;
      if (!totals) continue;
      const wasm = stacks.key(stack);
      const key = `${wasm} ${stacks.key(caller)}`;
      let sum = sums.get(key);
      if (!sum) {
        const frames = [...wasmPart(stacks.frames(stack)), ...stacks.frames(caller)];
        const known = stacks.frames(caller).length > 0;
        sum = { id: sums.size + 1, stack: frames, sampled: false, ...zero(), temporary: 0, wasm, known };
        sums.set(key, sum);
      }
      added(state, sum.id);
      const [, allocations, frees, allocatedBytes, liveBytes, peakLiveBytes, temporary] = totals;
      sum.temporary += temporary;
      const live = memory.collected === undefined;
      add(sum, {
        allocations,
        frees,
        allocatedBytes,
        liveBytes: live ? liveBytes : 0,
        liveBlocks: live ? Math.max(0, allocations - frees) : 0,
        peakLiveBytes,
      });
    }
  }
  const all = [...sums.values()].sort(byLiveBytes);
  for (const sum of all) sum.sampled = !sum.known && sum.liveBlocks > 0;
  return { contexts: all.map(({ wasm, known, ...context }) => context), callers: callersOf(all) };
}

function callersOf(contexts: readonly Sum[]): CallerReport[] {
  /** Live bytes of unknown callers by wasm context: any known caller of it may have made them. */
  const unknownBytes = new Map<number, number>();
  for (const { wasm, known, liveBytes } of contexts) {
    if (!known) unknownBytes.set(wasm, (unknownBytes.get(wasm) ?? 0) + liveBytes);
  }
  const callers = new Map<string, CallerReport & { wasms: Set<number> }>();
  for (const context of contexts) {
    const frame = context.known ? callerFrame(context.stack) : undefined;
    const key = frame ? callerKey(frame) : "";
    let caller = callers.get(key);
    if (!caller) {
      caller = { ...(frame && { frame }), ...zero(), atMostLiveBytes: 0, contexts: [], wasms: new Set() };
      callers.set(key, caller);
    }
    caller.contexts.push(context.id);
    caller.wasms.add(context.wasm);
    add(caller, context);
  }
  return [...callers.values()].sort(byLiveBytes).map(({ wasms, ...caller }) => {
    const unknown = caller.frame
      ? [...wasms].reduce((sum, wasm) => sum + (unknownBytes.get(wasm) ?? 0), 0)
      : 0;
    return { ...caller, atMostLiveBytes: caller.liveBytes + unknown };
  });
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
