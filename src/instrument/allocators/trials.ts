/**
 * Trials: functions of a module are called in a sandbox and judged by what they do. What gives blocks that never
 * overlap, keep their bytes, and come again once they were released, but never before, is an allocator, whatever
 * it looks like; what does not isn't, even if it looks like one.
 */
import type { AllocatorRole } from "../roles.js";
import type { Sandbox, Trial } from "./sandbox.js";
import type { SelfArgument } from "./self-arguments.js";

/** A function in a role, and how it is called. */
export interface Way {
  role: AllocatorRole;
  index: number;
  /** How many parameters it has. */
  parameters: number;
  /** Of methods: the address of the state. */
  self?: SelfArgument;
  /** Of releases: it takes the alignment before the size, as Rust's `Layout` has them when it is taken apart. */
  alignmentFirst?: boolean;
  /** Of those that store the address of a block: what gives them a place for it. */
  scratch?: Way;
  /** Bytes at the beginning of each block that stay the allocator's: it hands out its own headers. */
  header?: number;
}

/**
 * `proved`: it does what the role says. `contradicted`: it gave an answer that no function of this role may give.
 * `unknown`: it could not be tried, since it trapped, gave nothing, or ran too long.
 */
export type Verdict = "proved" | "contradicted" | "unknown";

interface Block {
  address: number;
  size: number;
  mark: number;
  /** Where its own bytes begin. */
  start: number;
}

const sizes = [24, 100, 8, 1000, 40, 3000, 1, 64, 300, 24, 24, 5000, 16, 24, 200, 33, 48, 24, 700, 12];
/** What suffices where other evidence already says what the functions are. */
const fewSizes = [24, 100, 8, 1000, 40, 3000];
/** Alignment of blocks where nobody asked for another. The least that any known allocator gives. */
const leastAlignment = 4;
const usualAlignment = 8;
/** Blocks of `sizes` lie within so many bytes: what needs more takes a number of pages, not of bytes. */
const widestSpan = 8 << 20;
/** Of these sizes released blocks have to come again within so many more. */
const patientSizes = [24, 100, 1000] as const;
const patience = 600;
/** Pages of operating systems, which is what allocators ask for. */
const leastPage = 4096;
/** Below, no heap begins: the address 0 and what lies around it are no blocks. */
const lowestBlock = 16;

/** Whether blocks are as they must be: on their own, aligned, inside the memory, and with the bytes put there. */
class Blocks {
  readonly live: Block[] = [];
  /** A block was not as it must be. */
  broken = false;
  readonly #trial: Trial;
  #marks = 0;

  readonly #header: number;

  /** @param malloc what gives the blocks */
  constructor(trial: Trial, { header = 0 }: Way) {
    this.#trial = trial;
    this.#header = header;
  }

  add(address: number, size: number, alignment: number): Block | undefined {
    const memory = this.#trial.memory();
    const start = address + this.#header;
    const inside = address >= lowestBlock && start + size <= memory.length;
    const overlaps = this.live.some(
      (other) => start < other.start + other.size && other.start < start + size,
    );
    if (!Number.isInteger(address) || !inside || overlaps || address % alignment !== 0) {
      this.broken = true;
      return undefined;
    }
    const mark = (this.#marks = (this.#marks + 37) & 0xff) | 1;
    const block = { address, size, mark, start };
    memory.fill(mark, start, start + size);
    this.live.push(block);
    return block;
  }

  remove(block: Block): void {
    this.live.splice(this.live.indexOf(block), 1);
  }

  /** Distance in bytes from the lowest to the highest. */
  span(): number {
    const addresses = this.live.map(({ address }) => address);
    return Math.max(...addresses) - Math.min(...addresses);
  }

  /** Whether every block still has its bytes. */
  intact(): boolean {
    const memory = this.#trial.memory();
    for (const { start, size, mark } of this.live) {
      for (let i = 0; i < size; i++) if (memory[start + i] !== mark) this.broken = true;
    }
    return !this.broken;
  }
}

function selfOf(trial: Trial, { self }: Way): number {
  if (!self) return 0;
  if (self.kind === "call") return trial.call(self.value, []) ?? 0;
  return self.kind === "global" ? trial.global(self.value) : self.value;
}

/** Calls a function that allocates `size` bytes, which it gives or more. undefined when it can't. */
function allocate(trial: Trial, way: Way, size: number, alignment: number): number | undefined {
  const { role, index, parameters } = way;
  if (way.scratch) return storedBlock(trial, way, way.scratch, size, alignment);
  const self = () => selfOf(trial, way);
  const args: Partial<Record<AllocatorRole, () => number[]>> = {
    malloc: () => [size, 0, 0, 0],
    calloc: () => (size % 4 === 0 ? [4, size / 4] : [size, 1]),
    memalign: () => [alignment, size],
    alloc_aligned: () => [size, alignment, 0],
    // Zig's take the alignment's logarithm, and where the call came from
    malloc_method: () => [self(), size, parameters === 4 ? Math.log2(alignment) : alignment, 0],
    malloc_traced_method: () => [0, self(), size, Math.log2(alignment), 0],
    memalign_method: () => [self(), alignment, size],
  };
  return trial.call(index, args[role]?.().slice(0, parameters) ?? []);
}

/** The block whose address `way` stores where it is told to. */
function storedBlock(
  trial: Trial,
  { index }: Way,
  scratch: Way,
  size: number,
  alignment: number,
): number | undefined {
  const out = allocate(trial, scratch, 16, usualAlignment);
  if (!out || trial.call(index, [out, alignment, size]) !== 0) return undefined;
  const { buffer } = trial.memory();
  return out + 4 <= buffer.byteLength && out % 4 === 0 ? new Uint32Array(buffer, out, 1)[0] : undefined;
}

function release(trial: Trial, way: Way, { address, size }: Block, alignment: number): boolean {
  const { role, index, parameters } = way;
  const fourth = parameters >= 5 ? Math.log2(alignment) : alignment;
  const layout = way.alignmentFirst ? [fourth, size] : [size, fourth];
  const method = [selfOf(trial, way), address, ...layout, 0];
  const args =
    role === "free_method"
      ? method
      : role === "free_traced_method"
        ? [0, ...method]
        : [address, size, alignment];
  return trial.call(index, args.slice(0, parameters)) !== undefined;
}

function alignsBlocks({ role, parameters }: Way): boolean {
  // AssemblyScript's methods of three parameters take something else there
  return /aligned|memalign|traced/.test(role) || (role === "malloc_method" && parameters >= 4);
}

/** Whether a function gives blocks that don't overlap, twice as many as `sizes` has. */
export function tryAllocation(sandbox: Sandbox, way: Way): Verdict {
  const trial = sandbox.open();
  if (!trial) return "unknown";
  const blocks = new Blocks(trial, way);
  for (const size of [...sizes, ...sizes]) {
    const address = allocate(trial, way, size, usualAlignment);
    if (!address) return "unknown";
    if (!blocks.add(address, size, leastAlignment)) return "contradicted";
  }
  if (!blocks.intact() || blocks.span() > widestSpan) return "contradicted";
  if (way.role === "calloc") return clears(sandbox, way) ? "proved" : "contradicted";
  return !alignsBlocks(way) || aligns(sandbox, way) ? "proved" : "contradicted";
}

/** Whether two functions give the same addresses for the same sizes: one passes on to the other. */
export function trySameAddresses(sandbox: Sandbox, one: Way, other: Way): boolean {
  const [first, second] = [one, other].map((way) => {
    const trial = sandbox.open();
    return trial && sizes.map((size) => allocate(trial, way, size, usualAlignment));
  });
  return first !== undefined && second !== undefined && first.every((address, i) => address === second[i]);
}

function aligns(sandbox: Sandbox, way: Way): boolean {
  const trial = sandbox.open();
  if (!trial) return false;
  const blocks = new Blocks(trial, way);
  for (const alignment of [64, 8, 256, 32, 16, 128, 512]) {
    const address = allocate(trial, way, 40, alignment);
    if (!address || !blocks.add(address, 40, alignment)) return false;
  }
  return blocks.intact();
}

/** Blocks of cleared memory: each byte is 0. */
function clears(sandbox: Sandbox, way: Way): boolean {
  const trial = sandbox.open();
  if (!trial) return false;
  for (const size of sizes) {
    const address = allocate(trial, way, size, usualAlignment);
    if (!address) return false;
    const memory = trial.memory();
    if (memory.subarray(address, address + size).some((byte) => byte !== 0)) return false;
  }
  return true;
}

/**
 * A first look at two functions that constants, calls and a shared state already name, in one instance: blocks
 * don't overlap and keep their bytes, and what was released comes again. "unknown" unless that is so.
 */
export function tryBriefly(sandbox: Sandbox, malloc: Way, free: Way): Verdict {
  const trial = sandbox.open();
  if (!trial) return "unknown";
  const blocks = new Blocks(trial, malloc);
  const fill = () => {
    for (const size of fewSizes) {
      const address = allocate(trial, malloc, size, usualAlignment);
      if (!address || !blocks.add(address, size, leastAlignment)) return false;
    }
    return true;
  };
  if (!fill()) return "unknown";
  const released = blocks.live.filter((_, i) => i % 2 === 0);
  for (const block of released) {
    if (!release(trial, free, block, usualAlignment)) return "unknown";
    blocks.remove(block);
  }
  const before = blocks.live.length;
  if (!fill() || !blocks.intact()) return "unknown";
  const again = blocks.live.slice(before);
  const comesAgain = ({ address, size }: Block) =>
    again.some((block) => block.address < address + size && address < block.address + block.size);
  return released.every(comesAgain) ? "proved" : "unknown";
}

/** Whether `free` releases the blocks of `malloc`: they come again afterwards, and those that stay keep their bytes. */
export function tryRelease(sandbox: Sandbox, malloc: Way, free: Way): Verdict {
  const first = sandbox.open();
  if (!first) return "unknown";
  const blocks = new Blocks(first, malloc);
  const fill = (trial: Trial, into: Blocks): Block[] | undefined => {
    const made: Block[] = [];
    for (const size of [...sizes, ...sizes]) {
      const address = allocate(trial, malloc, size, usualAlignment);
      const block = address ? into.add(address, size, leastAlignment) : undefined;
      if (!block) return undefined;
      made.push(block);
    }
    return made;
  };
  const made = fill(first, blocks);
  if (!made) return "unknown";
  for (const block of made) {
    if (!release(first, free, block, usualAlignment)) return "unknown";
    blocks.remove(block);
  }
  const again = fill(first, blocks);
  if (!again) return "contradicted";
  const old = made.reduce((sum, { size }) => sum + size, 0);
  const reused = again.filter((block) =>
    made.some(
      (other) => block.address < other.address + other.size && other.address < block.address + block.size,
    ),
  );
  const bytes = reused.reduce((sum, { size }) => sum + size, 0);
  if (!blocks.intact()) return "contradicted";
  if (bytes < old / 2)
    return waitsFor(first, blocks, malloc, made) ? comesLater(sandbox, malloc, free) : "contradicted";

  // the same with half of them released
  const second = sandbox.open();
  if (!second) return "unknown";
  const others = new Blocks(second, malloc);
  const all = fill(second, others);
  for (const [i, block] of (all ?? []).entries()) {
    if (i % 2 === 0) continue;
    if (!release(second, free, block, usualAlignment)) return "contradicted";
    others.remove(block);
  }
  return fill(second, others) && others.intact() ? "proved" : "contradicted";
}

/** Whether one of some released blocks comes again at all: nearly all functions that release nothing end here. */
function waitsFor(trial: Trial, blocks: Blocks, malloc: Way, released: readonly Block[]): boolean {
  const [size] = patientSizes;
  const same = released.filter((block) => block.size === size);
  for (let left = patience; left > 0; left--) {
    const address = allocate(trial, malloc, size, usualAlignment);
    if (!address || !blocks.add(address, size, leastAlignment)) return false;
    if (same.some((block) => block.address < address + size && address < block.address + size)) return true;
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
  const blocks = new Blocks(trial, malloc);
  const make = (size: number) => {
    const address = allocate(trial, malloc, size, usualAlignment);
    return address ? blocks.add(address, size, leastAlignment) : undefined;
  };
  for (const size of patientSizes) {
    const released: Block[] = [];
    for (let i = 0; i < 12; i++) {
      const block = make(size);
      if (!block) return "unknown";
      if (i % 2 === 1) released.push(block);
    }
    for (const block of released) {
      if (!release(trial, free, block, usualAlignment)) return "unknown";
      blocks.remove(block);
    }
    let missing = released;
    for (let left = patience; missing.length > 0; left--) {
      const next = left > 0 ? make(size) : undefined;
      if (!next) return "contradicted";
      missing = missing.filter(
        ({ address }) => address >= next.address + size || next.address >= address + size,
      );
    }
  }
  return blocks.intact() ? "proved" : "contradicted";
}

/** Whether blocks of a few bytes are pages apart: it gives pages to what makes blocks of them. */
export function tryPages(sandbox: Sandbox, way: Way): boolean {
  const trial = sandbox.open();
  if (!trial) return false;
  const addresses = Array.from({ length: 8 }, () => allocate(trial, way, 24, usualAlignment) ?? 0).sort(
    (a, b) => a - b,
  );
  return addresses.every((address, i) => i === 0 || address - addresses[i - 1]! >= leastPage);
}

/** Whether a function moves or resizes the blocks of `malloc`: their bytes come along, others keep theirs. */
export function tryResize(sandbox: Sandbox, malloc: Way, free: Way, resize: Way): Verdict {
  const trial = sandbox.open();
  if (!trial) return "unknown";
  const blocks = new Blocks(trial, malloc);
  const make = (size: number) => {
    const address = allocate(trial, malloc, size, usualAlignment);
    return address ? blocks.add(address, size, leastAlignment) : undefined;
  };
  for (const [from, to] of [
    [40, 400],
    [100, 130],
    [24, 3000],
    [900, 200],
    [64, 72],
    [16, 5000],
  ]) {
    const block = make(from);
    if (!block || !make(56)) return "unknown";
    const args = argumentsOfResize(trial, resize, block, to);
    const moved = trial.call(resize.index, args.slice(0, resize.parameters));
    if (!moved) return "unknown";
    const memory = trial.memory();
    const start = moved + (malloc.header ?? 0);
    const kept = memory.subarray(start, start + Math.min(from, to));
    if (kept.length === 0 || kept.some((byte) => byte !== block.mark)) return "contradicted";
    blocks.remove(block);
    if (!blocks.add(moved, to, leastAlignment)) return "contradicted";
    if (!make(from) || !make(to) || !blocks.intact()) return "contradicted";
  }
  for (const block of [...blocks.live])
    if (!release(trial, free, block, usualAlignment)) return "contradicted";
  return "proved";
}

function argumentsOfResize(trial: Trial, way: Way, { address, size }: Block, to: number): number[] {
  switch (way.role) {
    case "realloc_method":
      return [selfOf(trial, way), address, to];
    case "rust_realloc":
      return [address, size, usualAlignment, to];
    case "sized_realloc":
      return [address, size, to];
    case "wbindgen_realloc":
      return [address, size, to, usualAlignment];
    default:
      return [address, to];
  }
}

/**
 * Those of some static addresses at which, or within `reach` bytes behind which, allocating and releasing changes
 * something; undefined where that can't be tried.
 */
export function changingAddresses(
  sandbox: Sandbox | undefined,
  malloc: Way,
  free: Way,
  addresses: ReadonlySet<number>,
  reach: number,
): ReadonlySet<number> | undefined {
  const trial = sandbox?.open();
  if (!trial) return undefined;
  const before = trial.memory().slice(0, Math.max(0, ...addresses) + reach);
  const blocks = new Blocks(trial, malloc);
  for (const size of [...sizes, ...sizes]) {
    const address = allocate(trial, malloc, size, usualAlignment);
    if (address) blocks.add(address, size, leastAlignment);
  }
  for (const block of blocks.live) release(trial, free, block, usualAlignment);
  const after = trial.memory();
  const changes = (address: number) => {
    const end = Math.min(address + reach, before.length);
    for (let at = address; at < end; at++) if (before[at] !== after[at]) return true;
    return false;
  };
  return new Set([...addresses].filter(changes));
}

/** Whether blocks of `other` and of `malloc` come from one heap: they never overlap, and `free` releases both. */
export function trySameHeap(sandbox: Sandbox, malloc: Way, free: Way, other: Way): Verdict {
  const trial = sandbox.open();
  if (!trial) return "unknown";
  const blocks = new Blocks(trial, malloc);
  const fromOther: Block[] = [];
  for (const [i, size] of [...sizes, ...sizes].entries()) {
    const way = i % 2 === 0 ? malloc : other;
    const address = allocate(trial, way, size, usualAlignment);
    if (!address) return "unknown";
    const block = blocks.add(address, size, leastAlignment);
    if (!block) return "contradicted";
    if (way === other) fromOther.push(block);
  }
  for (const block of fromOther) {
    if (!release(trial, free, block, usualAlignment)) return "contradicted";
    blocks.remove(block);
  }
  for (const size of [...sizes, ...sizes]) {
    const address = allocate(trial, malloc, size, usualAlignment);
    if (!address || !blocks.add(address, size, leastAlignment)) return "contradicted";
  }
  return blocks.intact() ? "proved" : "contradicted";
}
