/**
 * Compaction: one walk from the lowest block to the highest. What is free between blocks is carried along as a *gap*;
 * a movable block behind it slides down over it, and at the end the gap is space as if it had never been used:
 *
 * ```
 *  | a | gap  | b | c |▒▒| d | …       b and c slide
 *  | a | b | c | gap     | P | d | …   P is pinned, or not movable: the gap stays behind as a hole
 *  | a | b | c | d |hole | P | gap | … and what comes later goes into it, if it fits
 * ```
 *
 * Between two steps gap and holes are ordinary free blocks and the heap is whole: it may be used, and the next step goes on
 * where this one stopped. What is freed below meanwhile is for the next compaction.
 *
 * Where nothing is in the way each block is copied once at most, and one walk is enough. Otherwise large blocks may find
 * their hole only when smaller ones are out of the way: then there is another walk, which mostly looks.
 *
 * Another way, not taken: moving the highest blocks into holes copies less, but blocks can't be walked downwards without
 * a size at the end of each.
 */
import type { HeapCore } from "../generated/heap-core.js";
import { entryOf } from "./handles.js";
import { freeSizeBefore, headerOf, sizeOf, type Views } from "./headers.js";
import { Holes } from "./holes.js";
import {
  BINS,
  CHUNK,
  CHUNK_BYTES,
  DIRECTORY,
  entry,
  field,
  GRANULE,
  HALF,
  MOVABLE,
  PAGES_OWN,
  PREV_FREE,
  USED,
  WIDE,
  WIDE_HEADER,
  wideHeader,
  wideSize,
} from "./layout.js";

/** What a step of compaction did. */
export interface CompactionStep {
  /** Whether the walk has come to the end: what can be moved together is. */
  done: boolean;
  /** Blocks that were moved. */
  blocks: number;
  /** Bytes of them, with their headers. */
  bytes: number;
}

/** Looking at a block counts as much as copying so many bytes. */
const LOOK_COST = 128;
/** The clock is asked whenever so much was done: some microseconds. */
const CLOCK_COST = 32 * 1024;
/** What copying is assumed to do in a millisecond at least, in bytes, when a block is judged that takes long alone. */
const LEAST_SPEED = 1 << 20;
/**
 * Holes that are known at a time: so many, and more for each millisecond of the budget, as taking them up takes time
 * as well. What is more stays what it is, for the next step or walk.
 */
const LEAST_HOLES = 2048;
const MOST_HOLES = 8192;
const HOLES_PER_MS = 1024;
const SMALL_HOLE = 64;
const SMALL_BIN = SMALL_HOLE / GRANULE;
/** Of the header's word about walks: something was moved in this one; one that has ended; as many as there are at most. */
const MOVED = 1;
const WALK = 2;
const LAST_WALK = 2 * WALK;
/** Below it a loop over words is faster than `copyWithin`. */
const SMALL_COPY = 160;

/**
 * Goes on for about `budgetMs`, but looks at two blocks at least. Only a block that takes longer alone makes it longer.
 * @param moved told after each move, with what the handle's entry says before and after
 */
export function compactStep(
  core: HeapCore,
  budgetMs: number,
  moved?: (from: number, to: number) => void,
): CompactionStep {
  return new Compaction(core, budgetMs, moved).run();
}

class Compaction {
  private readonly core: HeapCore;
  private readonly words: Uint32Array;
  private readonly halves: Uint16Array;
  private readonly views: Views;
  private readonly started = performance.now();
  private readonly budgetMs: number;
  private readonly moved: ((from: number, to: number) => void) | undefined;
  private readonly step: CompactionStep = { done: false, blocks: 0, bytes: 0 };
  private holes = new Holes();
  /** Work since the clock was looked at. */
  private work = 0;
  private readonly clockCost: number;
  private readonly mostHoles: number;

  constructor(core: HeapCore, budgetMs: number, moved?: (from: number, to: number) => void) {
    this.core = core;
    this.words = core.memory.u32;
    this.halves = core.memory.u16;
    this.views = { u32: this.words, u16: this.halves };
    this.budgetMs = budgetMs;
    // two blocks at least, as the first one may be the gap that the last step left
    this.clockCost = budgetMs === 0 ? 2 * LOOK_COST : CLOCK_COST;
    this.mostHoles = Math.min(LEAST_HOLES + HOLES_PER_MS * Math.floor(budgetMs), MOST_HOLES);
    this.moved = moved;
  }

  run(): CompactionStep {
    this.core.dropEmpty();
    try {
      return this.walkAll();
    } finally {
      this.core.settle();
    }
  }

  private walkAll(): CompactionStep {
    const { core, words, step } = this;
    const { header } = core;
    const first = words[header + field.first]!;
    let at = words[header + field.compacting]!;
    if (at === 0) {
      at = first;
      words[header + field.walks] = 0;
    }
    while (this.walk(at)) {
      const walks = words[header + field.walks]!;
      // no free block, or nothing moved: another walk would find nothing
      const again = words[header + field.summary] !== 0 && (walks & MOVED) !== 0 && walks < LAST_WALK;
      words[header + field.walks] = (walks & ~MOVED) + WALK;
      at = first;
      if (again && !this.isLate(0)) continue;
      words[header + field.compacting] = again ? first : 0;
      step.done = !again;
      break;
    }
    return step;
  }

  /** Goes on from a block; false when the time is over, true when that was the last one. */
  private walk(from: number): boolean {
    const { core, words, step } = this;
    const { header } = core;
    let at = from;
    /** Behind the last block that stays where it is; from here to `at` all is free, and in no list. */
    let gap = this.takeBefore(at);
    this.findHoles(gap);

    while (at !== words[header + field.top]) {
      if (this.work >= this.clockCost && this.isLate(0)) break;
      this.work += LOOK_COST;
      const size = sizeOf(this.views, at);
      if ((headerOf(this.views, at) & USED) === 0) {
        core.withdraw(at, size);
        this.clearFlag(at + size);
      } else if (this.isMovable(at)) {
        const needed = this.neededBy(at);
        const hole = this.holes.find(needed);
        if (hole >= 0 || gap < at) {
          if (size >= CLOCK_COST && step.blocks > 0 && this.isLate(size)) break;
          if (hole < 0) {
            gap = this.move(at, gap, needed);
            this.clearFlag(gap);
          } else {
            const start = this.move(at, this.holes.startOf(hole), needed);
            this.holes.shrink(hole, start);
            // what is before it is not free any more
            this.clearFlag(start);
          }
        } else {
          gap += size;
        }
      } else {
        if (gap < at) this.addHole(gap, at);
        gap = at + size;
      }
      at += size;
    }

    const ended = at === words[header + field.top];
    const { holes } = this;
    for (let hole = 0; hole < holes.count; hole++) this.leave(holes.startOf(hole), holes.endOf(hole));
    this.holes = new Holes();
    if (ended) {
      if (gap < at) this.leave(gap, at);
      return true;
    }
    if (gap < at) this.leave(gap, at);
    words[header + field.compacting] = gap;
    return false;
  }

  private isMovable(block: number): boolean {
    if ((headerOf(this.views, block) & (USED | MOVABLE)) !== (WIDE | MOVABLE)) return false;
    const handle = this.words[(block >>> 2) + 1]!;
    if (handle >= PAGES_OWN && handle < CHUNK) return false;
    return handle >= CHUNK || this.words[entryOf(this.words, this.core.header, handle) + entry.pins] === 0;
  }

  /** Whether the time is over, or would be after copying so much more. */
  private isLate(size: number): boolean {
    const used = performance.now() - this.started;
    const speed = Math.max(LEAST_SPEED, this.step.bytes / used || 0);
    this.work = 0;
    return used + size / speed >= this.budgetMs;
  }

  /** What is before a block is not free, or not in a list any more. */
  private clearFlag(block: number): void {
    this.halves[(block + HALF) >>> 1]! &= ~PREV_FREE;
  }

  /** Bytes that a movable block has. */
  private neededBy(block: number): number {
    const { words } = this;
    const { header } = this.core;
    const handle = words[(block >>> 2) + 1]!;
    if (handle === DIRECTORY) return wideSize(words[header + field.room]! * 4);
    if (handle >= CHUNK) return wideSize(CHUNK_BYTES);
    return wideSize(words[entryOf(words, header, handle) + entry.requested]!);
  }

  /**
   * Moves a block to where there is room, behind a used one; returns the end of it there. The lower half of its first word belongs to the block before, and
   * that of the word behind it to this one.
   */
  private move(from: number, to: number, size: number): number {
    const { words, step } = this;
    const { header } = this.core;
    this.copy(from + HALF, to + HALF, size);
    this.halves[(to + HALF) >>> 1] = wideHeader(to) | MOVABLE;
    const handle = words[(to >>> 2) + 1]!;
    words[header + field.walks]! |= MOVED;
    step.blocks++;
    step.bytes += size;
    this.work += size;
    if (handle === DIRECTORY) {
      words[header + field.directory] = to + WIDE_HEADER;
    } else if (handle >= CHUNK) {
      words[(words[header + field.directory]! >>> 2) + handle - CHUNK] = to + WIDE_HEADER;
    } else {
      const slot = entryOf(words, header, handle) + entry.address;
      const before = words[slot]!;
      const now = before - from + to;
      words[slot] = now;
      this.moved?.(before, now);
    }
    return to + size;
  }

  private copy(from: number, to: number, size: number): void {
    if (size > SMALL_COPY) {
      this.core.memory.u8.copyWithin(to, from, from + size);
      return;
    }
    const { words, halves } = this;
    const end = (from + size) >>> 2;
    // upwards: where both overlap, `to` is the lower one
    halves[to >>> 1] = halves[from >>> 1]!;
    for (let source = (from + 2) >>> 2, target = (to + 2) >>> 2; source < end; )
      words[target++] = words[source++]!;
    halves[(to + size - 2) >>> 1] = halves[(from + size - 2) >>> 1]!;
  }

  private addHole(start: number, end: number): void {
    if (this.holes.count >= this.mostHoles) this.dropSmall();
    if (this.holes.count < this.mostHoles) this.holes.add(start, end);
    else this.leave(start, end);
  }

  /** Forgets holes that are filled, or nearly. */
  private dropSmall(): void {
    const old = this.holes;
    this.holes = new Holes();
    for (let hole = 0; hole < old.count; hole++) {
      const [start, end] = [old.startOf(hole), old.endOf(hole)];
      if (end - start > SMALL_HOLE) this.holes.add(start, end);
      else this.leave(start, end);
    }
  }

  /** Takes up a free block that ends where a block begins; returns where it began, or that. */
  private takeBefore(block: number): number {
    const { core, words } = this;
    if (block === words[core.header + field.top] || (headerOf(this.views, block) & PREV_FREE) === 0)
      return block;
    const size = freeSizeBefore(words, block);
    core.withdraw(block - size, size);
    this.clearFlag(block);
    return block - size;
  }

  /** Takes up holes that earlier steps left: they were put at the heads of their lists. */
  private findHoles(limit: number): void {
    const { core, words } = this;
    const found: number[] = [];
    // the largest first, as there may be more than can be taken up
    for (let bin = BINS; bin-- > SMALL_BIN; ) {
      let start = words[core.header + field.heads + bin]!;
      while (start !== 0 && start < limit && found.length < this.mostHoles) {
        found.push(start);
        start = words[(start >>> 2) + 1]!;
      }
    }
    found.sort((a, b) => a - b);
    for (const start of found) {
      const end = start + words[(start >>> 2) + 3]!;
      core.withdraw(start, end - start);
      this.clearFlag(end);
      this.holes.add(start, end);
    }
  }

  /** Makes a free block of it. What lies before is used. */
  private leave(start: number, end: number): void {
    if (start === end) return;
    this.clearFlag(start);
    this.core.giveBack(start, end - start);
  }
}
