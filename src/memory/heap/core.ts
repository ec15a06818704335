/**
 * The allocator of a `Heap`: segregated free lists with deferred, incremental merging. What is freed goes to the list of
 * its size and comes from there again, both in constant time. A request that finds its list empty takes from the next
 * larger one (a two-level bitmap, as in TLSF: Masmano, Ripoll, Crespo and Real, ECRTS 2004); finds that nothing too,
 * it merges free neighbours, a bounded number of blocks further on from where it stopped last time, before
 * it takes space that was never used. So each operation is bounded, but for the last resort before a request fails: that
 * merges everything, as it would otherwise refuse memory that there is.
 *
 * Addresses are bytes in the memory. No checks of arguments here.
 */
import type { HeapMemory } from "./free-lists.js";
import {
  BLOCK_HEADER,
  binOf,
  blockSize,
  EXACT_BYTES,
  FLAGS,
  FOOTED,
  field,
  GRANULE,
  HEADER_BYTES,
  LARGEST_SLOT,
  LEAST_SLOT,
  MAGIC,
  MOVABLE,
  PAGE,
  PREV_FREE,
  record,
  SLOT_BYTES,
  USED,
  VERSION,
} from "./layout.js";
import { PageMaker } from "./page-maker.js";
import { CREDIT } from "./pages.js";

/** Blocks that one request looks at while merging, at most, before it takes fresh space. */
const SWEEP_STEP = 96;
/** Bytes in use from which on there are pages: below, all of a heap is in the caches anyway, and half-empty pages count. */
const PAGES_FROM = 2 << 20;
/** So many of a bin with several sizes are looked at before a larger bin is. */
const FIT_TRIES = 4;

export class HeapCore extends PageMaker {
  /** While set, blocks get headers of their own: for those that are going to be movable. */
  ownHeaders = false;
  private readonly shared: boolean;
  /** Makes `end` at least so large; false when that can't be. */
  private readonly grow: (end: number) => boolean;

  constructor(memory: HeapMemory, start: number, grow: (end: number) => boolean) {
    super(memory, start);
    this.shared = memory.shared;
    this.grow = grow;
  }

  /** Lays out an empty heap. `start` and `end` are multiples of 16. */
  format(end: number, ceiling: number): void {
    const { header } = this;
    const words = this.memory.u32;
    const start = header * 4;
    words.fill(0, header, header + HEADER_BYTES / 4);
    const first = ((start + HEADER_BYTES + BLOCK_HEADER + FLAGS) & ~FLAGS) - BLOCK_HEADER;
    words[header + field.version] = VERSION;
    words[header + field.start] = start;
    words[header + field.first] = first;
    words[header + field.top] = first;
    words[header + field.cursor] = first;
    words[header + field.end] = end;
    words[header + field.ceiling] = ceiling;
    words[header + field.pagesFrom] = PAGES_FROM;
    // last: what is only half written is no heap
    words[header + field.magic] = MAGIC;
  }

  /** Address of the payload, or 0. */
  allocate(requested: number): number {
    const size = blockSize(requested);
    if (size < EXACT_BYTES) {
      const { header } = this;
      if (this.shared) this.renew();
      let words = this.words;
      const page = words[header + field.partial + (size >>> 4)];
      if (page === undefined) {
        this.renew();
        words = this.words;
      } else if (page !== 0 && !this.ownHeaders) {
        return this.takeSlot(words, page >>> 0, size, requested);
      }
      const head = header + field.heads + (size >>> 4);
      let block = words[head]! | 0;
      if (block !== 0) {
        const at = block >>> 2;
        const word = words[at]! | 0;
        const next = words[at + 1]! | 0;
        words[head] = next;
        if (next !== 0) words[(next >>> 2) + 2] = 0;
        else this.emptied(words, size >>> 4);
        if ((word & FOOTED) !== 0) {
          const behind = (block + size) >>> 2;
          words[behind] = words[behind]! & ~PREV_FREE;
        }
        words[at] = (word & ~FOOTED) | USED;
      } else {
        const used = words[header + field.used]! >>> 0;
        const simple = words[header + field.summary] === 0 && used < words[header + field.pagesFrom]!;
        if (!simple) return this.allocateSlowly(size, requested);
        // no block is free at all: what comes next was never used
        block = words[header + field.top]! | 0;
        const top = (block + size) | 0;
        if (top >>> 0 > words[header + field.end]! >>> 0) return this.allocateSlowly(size, requested);
        words[header + field.top] = top;
        words[block >>> 2] = size | USED;
      }
      words[(block >>> 2) + 1] = requested;
      words[header + field.used] = (words[header + field.used]! + size) | 0;
      words[header + field.requested] = (words[header + field.requested]! + requested) | 0;
      words[header + field.blocks] = (words[header + field.blocks]! + 1) | 0;
      return (block + BLOCK_HEADER) >>> 0;
    }
    return this.use(this.find(size), size, requested);
  }

  /** Address of a payload at a multiple of `alignment`, a power of two above 16; or 0. */
  allocateAligned(requested: number, alignment: number): number {
    const size = blockSize(requested);
    return this.use(this.findAligned(size, alignment), size, requested);
  }

  /** As `find`, with the payload at a multiple of `alignment`. */
  private findAligned(size: number, alignment: number, thorough = true): number {
    const block = this.find(size + alignment, thorough);
    if (block === 0) return 0;
    const payload = (block + BLOCK_HEADER + alignment - 1) & -alignment;
    const aligned = (payload >>> 0) - BLOCK_HEADER;
    const words = this.memory.u32;
    const whole = words[block >>> 2]! & ~FLAGS;
    if (aligned > block) {
      // what lies before is a free block of its own
      words[aligned >>> 2] = whole - (aligned - block);
      words[block >>> 2] = (aligned - block) | (words[block >>> 2]! & PREV_FREE);
      this.put(words, block, aligned - block);
    }
    this.cut(words, aligned, size);
    return aligned;
  }

  /**
   * Where no block of a size is free. A page comes before what was never used, but after what is left of larger blocks: a
   * page needs much in one piece, and what is in pieces would stay so.
   */
  private allocateSlowly(size: number, requested: number): number {
    const used = this.get("used");
    const paged =
      size >= LEAST_SLOT && size <= LARGEST_SLOT && used >= this.get("pagesFrom") && !this.ownHeaders;
    if (paged && this.addPage(size, this.takePage())) return this.takeNewSlot(size, requested);
    let block = this.takeFrom(size);
    if (block === 0 && this.sweep(SWEEP_STEP, size)) block = this.takeFrom(size);
    if (block === 0 && paged && this.addPage(size, this.findAligned(PAGE, PAGE, false))) {
      return this.takeNewSlot(size, requested);
    }
    return this.use(block || this.find(size), size, requested);
  }

  private takeNewSlot(size: number, requested: number): number {
    this.renew();
    const at = this.words[this.header + field.partial + (size >>> 4)]!;
    return this.takeSlot(this.words, at >>> 0, size, requested);
  }

  private use(block: number, size: number, requested: number): number {
    if (block === 0) return 0;
    const words = this.memory.u32;
    const { header } = this;
    words[block >>> 2]! |= USED;
    words[(block >>> 2) + 1] = requested;
    words[header + field.used]! += size;
    words[header + field.requested]! += requested;
    words[header + field.blocks]!++;
    return block + BLOCK_HEADER;
  }

  /** Whether a used block that isn't movable begins here. Told by its size and what was asked for. */
  isBlock(payload: number): boolean {
    const words = this.memory.u32;
    const { header } = this;
    const block = payload - BLOCK_HEADER;
    if (payload >>> 0 !== payload || (payload & FLAGS) !== 0) return false;
    if (block < words[header + field.first]! || block >= words[header + field.top]!) return false;
    const page = this.recordOf(words, payload);
    if (page !== 0) return this.slotOf(words, page, payload) >= 0;
    const word = words[block >>> 2]!;
    const fits = blockSize(words[(block >>> 2) + 1]!) === (word & ~FLAGS) >>> 0;
    return (word & (USED | MOVABLE)) === USED && fits;
  }

  /** What was asked for a block, for which `isBlock` holds. */
  requestedOf(payload: number): number {
    const words = this.memory.u32;
    const page = this.recordOf(words, payload);
    return page === 0 ? words[(payload - BLOCK_HEADER + 4) >>> 2]! : this.slotRequest(words, page, payload);
  }

  /** Takes back a block; false, and nothing happens, when none begins here. */
  free(payload: number): boolean {
    const { header } = this;
    const block = (payload - BLOCK_HEADER) | 0;
    // the conditions of `isBlock`
    if (payload >>> 0 !== payload || (payload & FLAGS) !== 0) return false;
    if (this.shared || this.words[header] === undefined) this.renew();
    const { words } = this;
    const top = words[header + field.top]! | 0;
    if (block >>> 0 < words[header + field.first]! >>> 0 || block >>> 0 >= top >>> 0) return false;
    const page = this.recordOf(words, payload);
    if (page !== 0) return this.giveSlot(words, page, payload);
    const at = block >>> 2;
    const word = words[at]! | 0;
    const size = word & ~FLAGS;
    const requested = words[at + 1]! | 0;
    const fitting =
      requested >>> 0 <= GRANULE - BLOCK_HEADER ? GRANULE : (requested + BLOCK_HEADER + FLAGS) & ~FLAGS;
    if ((word & (USED | MOVABLE)) !== USED || size !== fitting) return false;
    words[header + field.used] = (words[header + field.used]! - size) | 0;
    words[header + field.requested] = (words[header + field.requested]! - requested) | 0;
    words[header + field.blocks] = (words[header + field.blocks]! - 1) | 0;
    if (((block + size) | 0) === top) {
      const behind =
        words[header + field.cursor]! >>> 0 <= block >>> 0 &&
        words[header + field.compacting]! >>> 0 <= block >>> 0;
      if (behind && (word & PREV_FREE) === 0) {
        words[header + field.top] = block;
      } else {
        this.lowerTop(this.memory.u32, block >>> 0);
      }
      return true;
    }
    words[header + field.credit] = (words[header + field.credit]! + CREDIT) | 0;
    words[at] = word & ~USED;
    this.put(words, block, size);
    return true;
  }

  /** Resizes a block, for which `isBlock` holds; returns where it is now, or 0: then it is as it was. */
  reallocate(payload: number, requested: number): number {
    const words = this.memory.u32;
    const page = this.recordOf(words, payload);
    if (page !== 0) return this.reallocateSlot(page, payload, requested);
    const block = payload - BLOCK_HEADER;
    const at = block >>> 2;
    const size = (words[at]! & ~FLAGS) >>> 0;
    const wanted = blockSize(requested);
    if (wanted > size && !this.extend(block, size, wanted)) return this.move(payload, requested, wanted);
    this.resized(block, size, wanted, requested);
    return payload;
  }

  private reallocateSlot(page: number, payload: number, requested: number): number {
    const words = this.memory.u32;
    const before = this.slotRequest(words, page, payload);
    const size = words[(page >>> 2) + record.granules]! << 4;
    if (blockSize(requested) === size) {
      this.memory.u8[page + SLOT_BYTES + this.slotOf(words, page, payload)] = size - BLOCK_HEADER - requested;
      words[this.header + field.requested]! += requested - before;
      return payload;
    }
    const moved = this.allocate(requested);
    if (moved === 0) return 0;
    this.memory.u8.copyWithin(moved, payload, payload + Math.min(before, requested));
    this.free(payload);
    return moved;
  }

  /** Counts a block that now has at least `wanted` bytes, and gives back what is more. */
  private resized(block: number, counted: number, wanted: number, requested: number): void {
    const words = this.memory.u32;
    const { header } = this;
    const at = block >>> 2;
    words[header + field.used]! += wanted - counted;
    words[header + field.requested]! += requested - words[at + 1]!;
    words[at + 1] = requested;
    this.cut(words, block, wanted);
  }

  /** Makes a used block larger forwards: into the space above the top or a free block behind it. */
  private extend(block: number, size: number, wanted: number): boolean {
    const { header } = this;
    const next = block + size;
    if (next === this.get("top")) {
      if (!this.reach(block + wanted)) return false;
      const words = this.memory.u32;
      words[header + field.top] = block + wanted;
      // sweeping may have stopped at the top
      this.merged(words, next, block);
      words[block >>> 2]! += wanted - size;
      return true;
    }
    const words = this.memory.u32;
    const word = words[next >>> 2]!;
    const behind = (word & ~FLAGS) >>> 0;
    if (word & USED || size + behind < wanted) return false;
    this.absorb(words, next, behind, word, block);
    words[block >>> 2]! += behind;
    return true;
  }

  /** Backwards into a free block before it, or to another place. */
  private move(payload: number, requested: number, wanted: number): number {
    const words = this.memory.u32;
    const block = payload - BLOCK_HEADER;
    const at = block >>> 2;
    const size = (words[at]! & ~FLAGS) >>> 0;
    const before = words[at + 1]!;
    if (words[at]! & PREV_FREE) {
      const free = words[at - 1]!;
      const previous = block - free;
      if (free + size >= wanted) {
        const word = words[previous >>> 2]!;
        this.absorb(words, previous, free, word & ~FOOTED, previous);
        this.merged(words, block, previous);
        this.memory.u8.copyWithin(previous + BLOCK_HEADER, payload, payload + before);
        words[previous >>> 2] = (free + size) | USED | (word & PREV_FREE);
        words[(previous >>> 2) + 1] = before;
        this.resized(previous, size, wanted, requested);
        return previous + BLOCK_HEADER;
      }
    }
    const moved = this.allocate(requested);
    if (moved === 0) return 0;
    this.memory.u8.copyWithin(moved, payload, payload + Math.min(before, requested));
    this.free(payload);
    return moved;
  }

  /** A free block that becomes part of the one at `by`. */
  private absorb(words: Uint32Array, block: number, size: number, word: number, by: number): void {
    this.unlink(words, block, size);
    if (word & FOOTED) words[(block + size) >>> 2]! &= ~PREV_FREE;
    this.merged(words, block, by);
  }

  /** Leaves `size` bytes to a block that is in no list, and makes what is behind a free block. */
  private cut(words: Uint32Array, block: number, size: number): void {
    const at = block >>> 2;
    const rest = ((words[at]! & ~FLAGS) >>> 0) - size;
    if (rest === 0) return;
    words[at]! -= rest;
    const behind = block + size;
    if (behind + rest === words[this.header + field.top]) {
      this.setTop(words, behind);
      return;
    }
    words[behind >>> 2] = rest;
    words[this.header + field.credit]! += CREDIT;
    this.put(words, behind, rest);
  }

  /** A block of exactly this size that is in no list, not marked as used; or 0. */
  protected find(size: number, thorough = true): number {
    let block = this.takeFrom(size);
    if (block === 0) {
      if (this.sweep(SWEEP_STEP, size)) block = this.takeFrom(size);
      if (block === 0) block = this.takeFresh(size);
      if (block === 0 && thorough) {
        // the last resort looks at everything
        this.set("credit", 0xffff_ffff);
        this.set("cursor", this.get("first"));
        this.sweep(0x7fff_ffff, 0x7fff_ffff);
        block = this.takeFrom(size) || this.takeFresh(size);
        this.set("credit", 0);
      }
    }
    return block;
  }

  /** From the lists: of its own size, or the first that are all larger. */
  private takeFrom(size: number): number {
    const words = this.memory.u32;
    const bin = binOf(size);
    if (size < EXACT_BYTES) {
      const block = this.headFrom(words, bin);
      return block === 0 ? 0 : this.take(words, block, size);
    }
    let block = words[this.header + field.heads + bin]!;
    for (let tries = FIT_TRIES; block !== 0 && tries > 0; tries--) {
      if ((words[block >>> 2]! & ~FLAGS) >>> 0 >= size) return this.take(words, block, size);
      block = words[(block >>> 2) + 1]!;
    }
    block = this.headFrom(words, bin + 1);
    return block === 0 ? 0 : this.take(words, block, size);
  }

  /** Takes a free block out of its list, without its foot, and gives back what is more than `size`. */
  protected take(words: Uint32Array, block: number, size: number): number {
    const at = block >>> 2;
    const word = words[at]!;
    const whole = (word & ~FLAGS) >>> 0;
    this.unlink(words, block, whole);
    const rest = whole - size;
    if (rest === 0) {
      if (word & FOOTED) words[(block + whole) >>> 2]! &= ~PREV_FREE;
      words[at] = word & ~FOOTED;
      return block;
    }
    words[at] = size | (word & PREV_FREE);
    const behind = block + size;
    words[behind >>> 2] = rest | (word & FOOTED);
    if (word & FOOTED) words[((block + whole) >>> 2) - 1] = rest;
    this.put(words, behind, rest);
    return block;
  }

  private takeFresh(size: number): number {
    const top = this.get("top");
    if (!this.reach(top + size)) return 0;
    const words = this.memory.u32;
    words[top >>> 2] = size;
    words[this.header + field.top] = top + size;
    return top;
  }

  private reach(end: number): boolean {
    if (end <= this.get("end")) return true;
    if (end > this.get("ceiling") || !this.grow(end)) return false;
    this.renew();
    return true;
  }
}
