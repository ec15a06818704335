/** The blocks of one trial: whether each is as it must be, and stays so while others come and go. */
import type { Trial } from "./sandbox.js";
import { allocate, release, type TriedBlock, type Way } from "./ways.js";

export interface MarkedBlock extends TriedBlock {
  /** What each of its bytes holds. */
  mark: number;
  /** Where its own bytes begin. */
  start: number;
}

/** Alignment of blocks where nobody asked for another. The least that any known allocator gives. */
const leastAlignment = 4;
/** Below, no heap begins: the address 0 and what lies around it are no blocks. */
const lowestBlock = 16;

/** Blocks must be on their own, aligned, inside the memory, and keep the bytes that are put there. */
export class TrialBlocks {
  readonly live: MarkedBlock[] = [];
  /** A block was not as it must be. */
  broken = false;
  readonly #trial: Trial;
  readonly #malloc: Way;
  #marks = 0;

  /** @param malloc what gives the blocks */
  constructor(trial: Trial, malloc: Way) {
    this.#trial = trial;
    this.#malloc = malloc;
  }

  /**
   * A new block, undefined where there is none (it trapped or returned 0) or it is `broken`.
   * @param way what gives it, where that is another function of the same heap
   */
  make(size: number, way: Way = this.#malloc, alignment?: number): MarkedBlock | undefined {
    const address = allocate(this.#trial, way, size, alignment);
    return address ? this.add(address, size, alignment) : undefined;
  }

  /** A block of each size; undefined where one of them can't be made. */
  makeAll(sizes: readonly number[]): MarkedBlock[] | undefined {
    const made: MarkedBlock[] = [];
    for (const size of sizes) {
      const block = this.make(size);
      if (!block) return undefined;
      made.push(block);
    }
    return made;
  }

  add(address: number, size: number, alignment: number = leastAlignment): MarkedBlock | undefined {
    const memory = this.#trial.memory();
    const start = address + (this.#malloc.header ?? 0);
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

  remove(block: MarkedBlock): void {
    this.live.splice(this.live.indexOf(block), 1);
  }

  /** Releases a block by `free`; whether that returned. */
  release(free: Way, block: MarkedBlock): boolean {
    if (!release(this.#trial, free, block)) return false;
    this.remove(block);
    return true;
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

/** Whether two blocks have bytes in common. */
export function overlap(one: TriedBlock, other: TriedBlock): boolean {
  return one.address < other.address + other.size && other.address < one.address + one.size;
}
