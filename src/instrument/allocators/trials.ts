/**
 * Trials: functions of a module are called in a sandbox and judged by what they do. What gives blocks that never
 * overlap, keep their bytes, and come again once they were released, but never before, is an allocator, whatever
 * it looks like; what does not isn't, even if it looks like one.
 */
import type { Sandbox } from "./sandbox.js";
import { type MarkedBlock, overlap, TrialBlocks } from "./trial-blocks.js";
import { alignsBlocks, allocate, resize, type Way, type WayInPlace } from "./ways.js";

/**
 * `proved`: it does what the role says. `contradicted`: it gave an answer that no function of this role may give.
 * `unknown`: it could not be tried, since it trapped, gave nothing, or ran too long.
 */
export type Verdict = "proved" | "contradicted" | "unknown";

const sizes = [24, 100, 8, 1000, 40, 3000, 1, 64, 300, 24, 24, 5000, 16, 24, 200, 33, 48, 24, 700, 12];
const twice = [...sizes, ...sizes];
/** What suffices where other evidence already says what the functions are. */
const fewSizes = [24, 100, 8, 1000, 40, 3000];
/** Blocks of `sizes` lie within so many bytes: what needs more takes a number of pages, not of bytes. */
const widestSpan = 8 << 20;
/** Of these sizes released blocks have to come again within so many more. */
const patientSizes = [24, 100, 1000] as const;
const patience = 600;
/** Pages of operating systems, which is what allocators ask for. */
const leastPage = 4096;

/** Whether a function gives blocks that don't overlap, twice as many as `sizes` has. */
export function tryAllocation(sandbox: Sandbox, way: Way): Verdict {
  const trial = sandbox.open();
  if (!trial) return "unknown";
  const blocks = new TrialBlocks(trial, way);
  if (!blocks.makeAll(twice)) return blocks.broken ? "contradicted" : "unknown";
  if (!blocks.intact() || blocks.span() > widestSpan) return "contradicted";
  if (way.role === "calloc") return clears(sandbox, way) ? "proved" : "contradicted";
  return !alignsBlocks(way) || aligns(sandbox, way) ? "proved" : "contradicted";
}

/** The addresses that a function gives for some sizes: those of one that passes on to another are the same. */
export function triedAddresses(sandbox: Sandbox, way: Way): (number | undefined)[] | undefined {
  const trial = sandbox.open();
  return trial && sizes.map((size) => allocate(trial, way, size));
}

function aligns(sandbox: Sandbox, way: Way): boolean {
  const trial = sandbox.open();
  if (!trial) return false;
  const blocks = new TrialBlocks(trial, way);
  return (
    [64, 8, 256, 32, 16, 128, 512].every((alignment) => blocks.make(40, way, alignment)) && blocks.intact()
  );
}

/** Blocks of cleared memory: each byte is 0. */
function clears(sandbox: Sandbox, way: Way): boolean {
  const trial = sandbox.open();
  if (!trial) return false;
  return sizes.every((size) => {
    const address = allocate(trial, way, size) ?? 0;
    const bytes = trial.memory().subarray(address, address + size);
    return address > 0 && bytes.every((byte) => byte === 0);
  });
}

/**
 * A first look at two functions that constants, calls and a shared state already name, in one instance: blocks
 * don't overlap and keep their bytes, and what was released comes again. "unknown" unless that is so.
 */
export function tryBriefly(sandbox: Sandbox, malloc: Way, free: Way): Verdict {
  const trial = sandbox.open();
  if (!trial) return "unknown";
  const blocks = new TrialBlocks(trial, malloc);
  const released = blocks.makeAll(fewSizes)?.filter((_, i) => i % 2 === 0);
  if (!released?.every((block) => blocks.release(free, block))) return "unknown";
  const again = blocks.makeAll(fewSizes);
  if (!again || !blocks.intact()) return "unknown";
  return released.every((block) => again.some((other) => overlap(block, other))) ? "proved" : "unknown";
}

/** Whether `free` releases the blocks of `malloc`: they come again afterwards, and those that stay keep their bytes. */
export function tryRelease(sandbox: Sandbox, malloc: Way, free: Way): Verdict {
  const trial = sandbox.open();
  if (!trial) return "unknown";
  const blocks = new TrialBlocks(trial, malloc);
  const made = blocks.makeAll(twice);
  if (!made?.every((block) => blocks.release(free, block))) return "unknown";
  const again = blocks.makeAll(twice);
  if (!again || !blocks.intact()) return "contradicted";
  const reused = again.filter((block) => made.some((other) => overlap(block, other)));
  if (bytesOf(reused) < bytesOf(made) / 2)
    return waitsFor(blocks, made) ? comesLater(sandbox, malloc, free) : "contradicted";
  // what only makes blocks smaller keeps their beginnings
  const begun = made.filter(({ address }) => again.some((block) => overlap(block, { address, size: 1 })));
  if (begun.length < made.length / 2) return "contradicted";
  return releasesHalf(sandbox, malloc, free);
}

function bytesOf(blocks: readonly MarkedBlock[]): number {
  return blocks.reduce((sum, { size }) => sum + size, 0);
}

/** The same with half of them released, so that others stay. */
function releasesHalf(sandbox: Sandbox, malloc: Way, free: Way): Verdict {
  const trial = sandbox.open();
  if (!trial) return "unknown";
  const blocks = new TrialBlocks(trial, malloc);
  const released = blocks.makeAll(twice)?.filter((_, i) => i % 2 === 1);
  if (!released?.every((block) => blocks.release(free, block))) return "contradicted";
  return blocks.makeAll(twice) && blocks.intact() ? "proved" : "contradicted";
}

/** Whether one of some released blocks comes again at all: nearly all functions that release nothing end here. */
function waitsFor(blocks: TrialBlocks, released: readonly MarkedBlock[]): boolean {
  const [size] = patientSizes;
  const same = released.filter((block) => block.size === size);
  for (let left = patience; left > 0; left--) {
    const next = blocks.make(size);
    if (!next) return false;
    if (same.some((block) => overlap(block, next))) return true;
  }
  return false;
}

/**
 * Whether released blocks come again once others have come: there are allocators that use up what lies beside first, a
 * page or a few kilobytes of it.
 */
function comesLater(sandbox: Sandbox, malloc: Way, free: Way): Verdict {
  const trial = sandbox.open();
  if (!trial) return "unknown";
  const blocks = new TrialBlocks(trial, malloc);
  for (const size of patientSizes) {
    const released = blocks.makeAll(Array(12).fill(size))?.filter((_, i) => i % 2 === 1);
    if (!released?.every((block) => blocks.release(free, block))) return "unknown";
    let missing = released;
    for (let left = patience; missing.length > 0; left--) {
      const next = left > 0 ? blocks.make(size) : undefined;
      if (!next) return "contradicted";
      missing = missing.filter((block) => !overlap(block, next));
    }
  }
  return blocks.intact() ? "proved" : "contradicted";
}

/** Whether blocks of a few bytes are pages apart: it gives pages to what makes blocks of them. */
export function tryPages(sandbox: Sandbox, way: Way): boolean {
  const trial = sandbox.open();
  if (!trial) return false;
  const addresses = Array.from({ length: 8 }, () => allocate(trial, way, 24) ?? 0).sort((a, b) => a - b);
  return addresses.every((address, i) => i === 0 || address - addresses[i - 1]! >= leastPage);
}

/** Whether a function moves or resizes the blocks of `malloc`: their bytes come along, others keep theirs. */
export function tryResize(sandbox: Sandbox, malloc: Way, free: Way, way: Way): Verdict {
  const trial = sandbox.open();
  if (!trial) return "unknown";
  const blocks = new TrialBlocks(trial, malloc);
  for (const [from, to] of [
    [40, 400],
    [100, 130],
    [24, 3000],
    [900, 200],
    [64, 72],
    [16, 5000],
  ] as const) {
    const block = blocks.make(from);
    if (!block || !blocks.make(56)) return "unknown";
    const moved = resize(trial, way, block, to);
    if (!moved) return "unknown";
    const start = moved + (malloc.header ?? 0);
    const kept = trial.memory().subarray(start, start + Math.min(from, to));
    if (kept.length === 0 || kept.some((byte) => byte !== block.mark)) return "contradicted";
    blocks.remove(block);
    if (!blocks.add(moved, to)) return "contradicted";
    if (!blocks.make(from) || !blocks.make(to) || !blocks.intact()) return "contradicted";
  }
  return [...blocks.live].every((block) => blocks.release(free, block)) ? "proved" : "contradicted";
}

/**
 * Whether a function does no more than resize blocks where they are, and says by what it returns whether it could: the
 * rest of a block that became smaller is given out again, what one grew into is not, and all can be released.
 */
export function tryInPlace(
  sandbox: Sandbox,
  malloc: Way,
  free: Way,
  way: WayInPlace,
  tells: boolean,
): Verdict {
  const trial = sandbox.open();
  if (!trial) return "unknown";
  const blocks = new TrialBlocks(trial, malloc);
  const changes = [
    [34, 40],
    [40, 90],
    [100, 900],
    [1000, 1500],
    [1000, 200],
    [3000, 64],
    // what returns nothing can't say that there was no room
  ].filter(([from, to]) => (tells ? to! > from! : to! < from!));
  let resized = 0;
  for (const [from, to] of changes as [number, number][]) {
    const block = blocks.make(from);
    const beside = blocks.makeAll([to, from]);
    // room to grow into
    if (!block || !beside?.[0] || !blocks.release(free, beside[0])) return "unknown";
    const place = way.call(trial, block, to);
    if (place === undefined) return "unknown";
    if (tells && place !== 0 && place !== block.address) return "contradicted";
    if (tells && place === 0) continue;
    blocks.remove(block);
    if (!blocks.add(block.address, to)) return "contradicted";
    const more = blocks.makeAll([24, to, from, 100, 8]);
    if (!more || !blocks.intact()) return "contradicted";
    if (to > from || more.some((other) => overlap(other, block))) resized++;
  }
  if (resized === 0) return "unknown";
  if (![...blocks.live].every((block) => blocks.release(free, block))) return "contradicted";
  return blocks.makeAll(twice) && blocks.intact() ? "proved" : "contradicted";
}

/** Static addresses at or behind which something is changed, each with the last byte that is. */
export type Changes = ReadonlyMap<number, number>;

/**
 * Those of some static addresses at which, or within `reach` bytes behind which and before the next, allocating and
 * releasing changes something; undefined where that can't be tried.
 * @param isEnough whether no more need be known: asked once, when a single block has come and gone
 */
export function changingAddresses(
  sandbox: Sandbox | undefined,
  malloc: Way,
  free: Way,
  addresses: ReadonlySet<number>,
  reach: number,
  isEnough?: (changed: Changes) => boolean,
): Changes | undefined {
  const trial = sandbox?.open();
  if (!trial) return undefined;
  const sorted = [...addresses].sort((a, b) => a - b);
  const first = sorted[0] ?? 0;
  const before = trial.memory().slice(first, (sorted.at(-1) ?? 0) + reach);
  const changed = () => {
    const after = trial.memory();
    const found = new Map<number, number>();
    sorted.forEach((address, i) => {
      // what lies behind the next address is that one's: in front of a state there may be messages
      const end = Math.min(address + reach, sorted[i + 1] ?? Number.POSITIVE_INFINITY, first + before.length);
      for (let at = address; at < end; at++) if (before[at - first] !== after[at]) found.set(address, at);
    });
    return found;
  };
  const blocks = new TrialBlocks(trial, malloc);
  const releaseAll = () => {
    for (const block of [...blocks.live]) blocks.release(free, block);
  };
  if (isEnough) {
    // the sizes below have an allocator with classes of sizes grow the memory for each, which takes most of the time
    blocks.make(sizes[0]!);
    releaseAll();
    const soon = changed();
    if (isEnough(soon)) return soon;
  }
  for (const size of twice) blocks.make(size);
  releaseAll();
  return changed();
}

/** Whether blocks of `other` and of `malloc` come from one heap: they never overlap, and `free` releases both. */
export function trySameHeap(sandbox: Sandbox, malloc: Way, free: Way, other: Way): Verdict {
  const trial = sandbox.open();
  if (!trial) return "unknown";
  const blocks = new TrialBlocks(trial, malloc);
  const fromOther: MarkedBlock[] = [];
  for (const [i, size] of twice.entries()) {
    const isOther = i % 2 === 1;
    const block = blocks.make(size, isOther ? other : malloc);
    if (!block) return blocks.broken ? "contradicted" : "unknown";
    if (isOther) fromOther.push(block);
  }
  if (!fromOther.every((block) => blocks.release(free, block))) return "contradicted";
  if (!blocks.makeAll(twice) || !blocks.intact()) return "contradicted";
  return ignores(sandbox, malloc, free, other) ? "contradicted" : "proved";
}

/**
 * Whether `free` takes no notice of the blocks of `other`, as one does that looks for a header in front of them: released by it
 * none of them comes again, while those of `malloc` do.
 */
function ignores(sandbox: Sandbox, malloc: Way, free: Way, other: Way): boolean {
  const comesAgain = (way: Way) => {
    const trial = sandbox.open();
    const blocks = trial && new TrialBlocks(trial, way);
    const made = blocks?.makeAll(twice);
    if (!blocks || !made?.every((block) => blocks.release(free, block))) return undefined;
    const again = blocks.makeAll(twice);
    return again?.some((block) => made.some((before) => overlap(block, before)));
  };
  return comesAgain(other) === false && comesAgain(malloc) === true;
}
