/**
 * Threads number their modules, memories, instances, frames and stacks without asking each other: each has a range of
 * 2³² ids of its own, so ids of the main thread are the plain numbers, and 0 stays free for "none".
 */
export const idsPerThread = 2 ** 32;

/** The id in the file of what worker thread `thread` (0: the main thread) numbers `number` (from 1). */
export function threadId(thread: number, number: number): number {
  return thread * idsPerThread + number;
}

/** The worker thread that gave an id, 0 for the main thread. */
export function threadOf(id: number): number {
  return Math.floor(id / idsPerThread);
}
