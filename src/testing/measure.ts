import { checkMeasured } from "./options.js";
import { read } from "./readings.js";
import { runtime } from "./runtime.js";

/** What a function did to the memories of WebAssembly modules, as far as linmem records them. */
export interface MemoryMeasurement<T = unknown> {
  /** What it returned, awaited. */
  result: T;
  /**
   * The most bytes that were live at a time, beyond what was live before. Where several memories took part: the
   * sum of their own peaks.
   */
  peakBytes: number;
  /** Allocated altogether, in bytes and blocks, whatever was freed of it. */
  allocatedBytes: number;
  allocatedBlocks: number;
  /** Pages (64 KiB) by which memories grew, new memories included. */
  grownPages: number;
  /** What is live now and was not before, in bytes and blocks, after the garbage collector had its chance. */
  liveBytes: number;
  liveBlocks: number;
}

/**
 * Runs `fn` once and measures what it does. Blocks of modules that can't be recorded show in `grownPages` alone.
 * @throws UsageError when `fn` is no function. What `fn` throws, it throws.
 */
export async function measureMemory<T>(fn: () => T | Promise<T>): Promise<MemoryMeasurement<T>> {
  checkMeasured(fn, "measureMemory");
  const here = runtime();
  const { session } = here;
  return here.alone(async () => {
    await here.settle();
    const before = read(session);
    const start = new Map<unknown, number>();
    for (const { recorder } of session.memories()) {
      if (!recorder) continue;
      recorder.beginPeriod();
      start.set(recorder, recorder.periodPeak());
    }
    // Memories that are gone afterwards have to be asked while they are here.
    let peakBytes = 0;
    const result = await fn();
    for (const { recorder } of session.memories()) {
      if (recorder) peakBytes += recorder.periodPeak() - (start.get(recorder) ?? 0);
    }
    const during = read(session);
    await here.settle();
    const after = read(session);
    return {
      result,
      peakBytes,
      allocatedBytes: during.allocatedBytes - before.allocatedBytes,
      allocatedBlocks: during.allocations - before.allocations,
      grownPages: Math.max(0, during.pages - before.pages),
      liveBytes: after.liveBytes - before.liveBytes,
      liveBlocks: after.liveBlocks - before.liveBlocks,
    };
  });
}
