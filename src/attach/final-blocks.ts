/**
 * The live blocks of a thread's memories at its end, with what leads to them. The program is over by then; all it may
 * notice is that it ends a moment later, which is bounded.
 */
import type { InitialData } from "../instrument/index.js";
import { type Blocks, encodeBlocks } from "../profile/blocks.js";
import type { ProfileRecord } from "../profile/records.js";
import { examineBlocks, type Roots } from "../recorder/reachability.js";
import { maximumBlocks, reachabilityWork } from "./limits.js";
import { addressIn } from "./natives.js";
import type { TrackedMemory } from "./tracked-memory.js";

export interface FinalBlocksOptions {
  now(): number;
  /** Whether a wasm function is on the stack: what its local variables hold can't be seen. */
  running: boolean;
  /** Whether it is asked what is lost: then JavaScript is taken to hold what nobody watched. */
  checks: boolean;
}

/** Records of the blocks of all memories, those with the most pages first: they get what may be looked at. */
export function* finalBlocks(
  memories: Iterable<TrackedMemory>,
  { now, running, checks }: FinalBlocksOptions,
): Generator<ProfileRecord> {
  const time = now();
  let left = reachabilityWork;
  const spend = (work: number) => (left -= work) < 0;
  for (const tracked of [...memories].sort((a, b) => b.pages - a.pages)) {
    const blocks = tracked.recorder?.blocks(maximumBlocks);
    if (!blocks) {
      if (tracked.recorder) yield leftOut(`more than ${maximumBlocks} live blocks: they are not written`);
      continue;
    }
    // what leads to blocks of linmem's own heaps are handles and numbers in JavaScript, which can't be looked through
    const unseen = running || tracked.ownHeaps || blocks.count === 0;
    const buffer = unseen ? undefined : tracked.buffer();
    const roots = buffer && rootsOf(tracked, blocks, buffer);
    if (checks && roots) roots.isExposed ??= () => true;
    if (buffer && roots && left > 0 && !examineBlocks(buffer, blocks, roots, spend)) {
      yield leftOut(
        `what leads to the ${blocks.count} live blocks was not looked for: too much to look through`,
      );
    }
    yield* encodeBlocks(blocks, tracked.id, time);
  }
}

function leftOut(message: string): ProfileRecord {
  return { type: "warning", code: "blocks-left-out", message };
}

/**
 * All that lies below the heap: data, and what is not initialised. Where the heap begins is often not known; the lowest
 * block is in it. The stack is empty when no wasm function runs: what is left of it there would keep alive what
 * nothing uses. Where it lies behind the data nothing tells where what is not initialised ends, so it is looked at.
 *
 * Data that is as the module brought it holds no address of a block. It is passed over: tables of constants hit large
 * blocks (of photon's 100 leaked pictures they seemed to refer to 84).
 */
function rootsOf(
  { layouts, globals, errors, module }: TrackedMemory,
  { addresses }: Blocks,
  buffer: ArrayBuffer,
): Roots {
  const lowest = addresses[0]!;
  const heapBase = layouts.reduce((most, { layout }) => Math.max(most, layout.heapBase ?? 0), 0) || lowest;
  const stackFirst = layouts.find(({ layout }) => layout.stack?.[0] === 0)?.layout.stack;
  const all: Range[] = [[stackFirst?.[1] ?? 0, Math.min(heapBase, lowest)]];
  const initial: InitialData[] = [];
  for (const { layout, data } of layouts) {
    // Go's linker makes a segment for each piece of data: more than a call takes as arguments
    for (const range of layout.data) if (range[1] > all[0]![1]) all.push(range);
    if (data) initial.push(data.ascending());
  }
  const values = globals.flatMap((ref) => {
    const global = ref.deref();
    const value = global && addressIn(global);
    return value === undefined ? [] : [value];
  });
  const words = new Uint32Array(buffer);
  for (const data of initial) {
    for (let segment = 0; segment < data.count; segment++) changedWords(words, data, segment, values);
  }
  const outside = (range: Range) =>
    initial.reduce((parts, data) => parts.flatMap((part) => without(part, data)), [range]);
  const ranges = all.flatMap(outside);
  // what the checker adds to blocks looks as if they had been resized
  const resizedUnseen = !errors || module?.check?.freedOnly === true;
  return { ranges, values, resizedUnseen, ...(errors && { isExposed: errors.checker.isExposed }) };
}

type Range = readonly [start: number, end: number];

/** Adds the aligned words of a segment that are not as they were at first. */
function changedWords(words: Uint32Array, data: InitialData, segment: number, changed: number[]): void {
  const start = data.starts[segment]!;
  const bytes = data.bytes(segment);
  const before = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const last = Math.min(Math.floor((start + bytes.length) / 4), words.length);
  for (let at = Math.ceil(start / 4); at < last; at++) {
    const value = words[at]!;
    if (value !== before.getUint32(at * 4 - start, true)) changed.push(value);
  }
}

/** The parts of a range outside of segments, which ascend; the words at a segment's edges belong to both. */
function without([start, end]: Range, data: InitialData): Range[] {
  const parts: Range[] = [];
  let from = start;
  for (let segment = 0; segment < data.count; segment++) {
    const first = Math.ceil(data.starts[segment]! / 4) * 4;
    const last = Math.floor(data.end(segment) / 4) * 4;
    if (last <= from || first >= end) continue;
    if (first > from) parts.push([from, first]);
    from = last;
  }
  return from < end ? [...parts, [from, end]] : parts;
}
