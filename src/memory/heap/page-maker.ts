// Makes pages of small blocks out of ordinary blocks, with what they need beside them: records and the map.
import {
  BLOCK_HEADER,
  binOf,
  blockSize,
  FLAGS,
  field,
  MOVABLE,
  PAGE,
  PAGE_BITS,
  PAGES_OWN,
  POOL_RECORDS,
  RECORD_BYTES,
  record,
  USED,
} from "./layout.js";
import { CREDIT } from "./pages.js";
import { Sweeper } from "./sweep.js";

/** Blocks of the list of a page's size that are looked at for one that lies right. */
const PAGE_TRIES = 4;

export abstract class PageMaker extends Sweeper {
  /** A block of exactly this size that is in no list, not marked as used; or 0. */
  protected abstract find(size: number, thorough?: boolean): number;
  /** Takes a free block out of its list, and gives back what is more than `size`. */
  protected abstract take(words: Uint32Array, block: number, size: number): number;

  /** Makes a page of a block that lies as one has to, or is 0. */
  protected addPage(size: number, block: number): boolean {
    if (block === 0) return false;
    this.memory.u32[block >>> 2]! |= USED | MOVABLE;
    // until the map and a record know it
    this.memory.u32[(block >>> 2) + 1] = PAGES_OWN;
    const recorded = this.get("freeRecord") !== 0 || this.addRecords();
    const mapped = (block + BLOCK_HEADER) >>> PAGE_BITS < this.get("cells") || this.enlargeMap(block);
    if (!recorded || !mapped) {
      const words = this.memory.u32;
      words[block >>> 2]! &= ~(USED | MOVABLE);
      this.discard(block);
      return false;
    }
    const at = this.get("freeRecord");
    const memory = this.memory.u32;
    memory[this.header + field.freeRecord] = memory[(at >>> 2) + record.page]!;
    this.openPage(memory, at, block, size >>> 4);
    return true;
  }

  /** A free block that lies as a page has to, such as one that was a page; or 0. */
  protected takePage(): number {
    const words = this.memory.u32;
    const at = this.header + field.heads + binOf(PAGE);
    let block = words[at]!;
    for (let tries = PAGE_TRIES; block !== 0 && tries > 0; tries--) {
      if ((block + BLOCK_HEADER) % PAGE === 0 && (words[block >>> 2]! & ~FLAGS) >>> 0 >= PAGE)
        return this.take(words, block, PAGE);
      block = words[(block >>> 2) + 1]!;
    }
    return 0;
  }

  private addRecords(): boolean {
    const pool = this.allocateOwn(POOL_RECORDS * RECORD_BYTES);
    if (pool === 0) return false;
    const words = this.memory.u32;
    for (let i = POOL_RECORDS; i-- > 0; ) {
      const at = pool + i * RECORD_BYTES;
      words[(at >>> 2) + record.page] = this.get("freeRecord");
      this.set("freeRecord", at);
    }
    this.set("pools", this.get("pools") + 1);
    return true;
  }

  private enlargeMap(block: number): boolean {
    const cells = Math.max(((block + PAGE) >>> PAGE_BITS) * 2, 64);
    const map = this.allocateOwn(cells * 4);
    if (map === 0) return false;
    const words = this.memory.u32;
    const [old, before] = [this.get("map"), this.get("cells")];
    words.fill(0, map >>> 2, (map >>> 2) + cells);
    words.copyWithin(map >>> 2, old >>> 2, (old >>> 2) + before);
    if (old !== 0) {
      words[(old - BLOCK_HEADER) >>> 2]! &= ~(USED | MOVABLE);
      this.discard(old - BLOCK_HEADER);
    }
    this.set("map", map);
    this.set("cells", cells);
    return true;
  }

  /** A block of the heap's own, which is not counted among those that are used, and doesn't move. */
  private allocateOwn(byteLength: number): number {
    const size = blockSize(byteLength);
    const block = this.find(size, false);
    if (block === 0) return 0;
    const words = this.memory.u32;
    words[block >>> 2]! |= USED | MOVABLE;
    words[(block >>> 2) + 1] = PAGES_OWN;
    return block + BLOCK_HEADER;
  }

  /** Makes a free block of one that is not marked as used any more. */
  private discard(block: number): void {
    const words = this.memory.u32;
    const size = (words[block >>> 2]! & ~FLAGS) >>> 0;
    if (block + size === words[this.header + field.top]) {
      this.lowerTop(words, block);
      return;
    }
    words[this.header + field.credit]! += CREDIT;
    this.put(words, block, size);
  }

  protected releasePage(at: number): void {
    const words = this.memory.u32;
    const page = words[(at >>> 2) + record.page]!;
    this.closePage(words, at);
    words[page >>> 2]! &= ~(USED | MOVABLE);
    this.discard(page);
  }

  /** Bytes that pages need beside their blocks. */
  overhead(): number {
    const map = this.get("cells") === 0 ? 0 : blockSize(this.get("cells") * 4);
    return map + this.get("pools") * blockSize(POOL_RECORDS * RECORD_BYTES);
  }
}
