// What lies where in a linear memory, and how a range of it is drawn: rows of cells, each as many bytes as fit.
import type { MapData } from "../report/html/data.js";

/** A range of addresses, end exclusive. */
export interface AddressRange {
  start: number;
  end: number;
}

/** What an address is in, most certain first. */
export type Region = "block" | "data" | "stack" | "heap" | "unknown";

export const regionTitles: Record<Region, string> = {
  block: "live block",
  data: "data of the module",
  stack: "stack",
  heap: "heap, no live block: free, or the allocator's own",
  unknown: "not known",
};

/** Cells of a picture: for each the share that live blocks take and the block that takes most of it. */
export interface Cells {
  columns: number;
  rows: number;
  /** Bytes in one cell; may be less than 1. */
  bytes: number;
  /** 0 to 1. */
  share: Float32Array;
  /** Index of a block; -1 where there is none. */
  block: Int32Array;
}

const mostAsked = 16;

export class AddressMap {
  /** Blocks in the order of their addresses. */
  readonly starts: Float64Array;
  readonly sizes: Float64Array;
  readonly contexts: Float64Array;
  readonly reachability: Float64Array;
  readonly size: number;
  /** Whether the live blocks are known. */
  readonly hasBlocks: boolean;
  readonly #map: MapData<Float64Array>;
  /** Of block i: the sizes of all blocks before it. */
  readonly #sums: Float64Array;
  /** What surely belongs to the allocator: from the heap's base to the end, or what lies between blocks. */
  readonly #heap: AddressRange;

  /** @param size of the memory in bytes */
  constructor(map: MapData<Float64Array>, size: number) {
    this.#map = map;
    this.size = size;
    this.hasBlocks = map.time !== null;
    const { gap, size: sizes, context, reachability } = map.blocks;
    this.starts = new Float64Array(sizes.length);
    this.#sums = new Float64Array(sizes.length + 1);
    let end = 0;
    for (let i = 0; i < sizes.length; i++) {
      this.starts[i] = end + gap[i]!;
      end = this.starts[i]! + sizes[i]!;
      this.#sums[i + 1] = this.#sums[i]! + sizes[i]!;
    }
    this.sizes = sizes;
    this.contexts = context;
    this.reachability = reachability;
    const heapBase = map.heapBase ?? this.starts[0] ?? 0;
    // Where blocks were not written nothing is said of the heap.
    const heapEnd = this.hasBlocks ? (map.heapBase === null ? end : size) : heapBase;
    this.#heap = { start: heapBase, end: heapEnd };
  }

  /** Bytes of all blocks. */
  get liveBytes(): number {
    return this.#sums[this.count]!;
  }

  get count(): number {
    return this.starts.length;
  }

  /** The first block that ends behind `address`; `count` when there is none. */
  blockFrom(address: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.starts[middle]! + Math.max(1, this.sizes[middle]!) > address) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The block that holds `address`; -1 when none does. */
  blockAt(address: number): number {
    const block = this.blockFrom(address);
    return block < this.count && this.starts[block]! <= address ? block : -1;
  }

  regionAt(address: number): Region {
    return this.blockAt(address) >= 0 ? "block" : this.#groundAt(address);
  }

  /** What an address is in where blocks are left aside. */
  #groundAt(address: number): Region {
    const { data, stack } = this.#map;
    for (let i = 0; i + 1 < data.length; i += 2) {
      if (data[i]! <= address && address < data[i + 1]!) return "data";
    }
    if (stack && stack[0] <= address && address < stack[1]) return "stack";
    return address >= this.#heap.start && address < this.#heap.end ? "heap" : "unknown";
  }

  /** The whole memory in ranges, blocks left aside. */
  grounds(): (AddressRange & { region: Region })[] {
    const { data, stack } = this.#map;
    const { start, end } = this.#heap;
    const edges = [...new Set([0, this.size, ...data, ...(stack ?? []), start, end])]
      .filter((edge) => edge >= 0 && edge <= this.size)
      .sort((a, b) => a - b);
    const found: (AddressRange & { region: Region })[] = [];
    for (let i = 0; i + 1 < edges.length; i++) {
      const region = this.#groundAt(edges[i]!);
      const last = found.at(-1);
      if (last?.region === region) last.end = edges[i + 1]!;
      else found.push({ start: edges[i]!, end: edges[i + 1]!, region });
    }
    return found;
  }

  /**
   * The cells of a picture of `range`, from left to right and from top to bottom. Takes as long for a million blocks as
   * for a thousand: shares come from sums made once, and of many blocks in a cell only some are asked for their size.
   */
  cells({ start, end }: AddressRange, columns: number, rows: number): Cells {
    const count = columns * rows;
    const bytes = (end - start) / count;
    const share = new Float32Array(count);
    const block = new Int32Array(count).fill(-1);
    let first = this.blockFrom(start);
    for (let cell = 0; cell < count && first < this.count; cell++) {
      const from = start + cell * bytes;
      const to = from + bytes;
      if (this.starts[first]! >= to) continue;
      const next = this.#blockStartingFrom(to, first);
      const last = next - 1;
      const lastEnd = this.starts[last]! + this.sizes[last]!;
      const live =
        this.#sums[next]! -
        this.#sums[first]! -
        Math.max(0, from - this.starts[first]!) -
        Math.max(0, lastEnd - to);
      share[cell] = Math.max(0, Math.min(1, live / bytes));
      block[cell] = this.#largest(first, next, from, to);
      first = lastEnd > to ? last : next;
    }
    return { columns, rows, bytes, share, block };
  }

  /** The first block at or behind `from` that starts at or behind `address`. */
  #blockStartingFrom(address: number, from: number): number {
    // Near more often than not: in steps that double, then by halves.
    let step = 1;
    let low = from;
    while (low + step < this.count && this.starts[low + step]! < address) {
      low += step;
      step *= 2;
    }
    let high = Math.min(this.count, low + step);
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.starts[middle]! >= address) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Of some blocks the one that takes most of a cell. */
  #largest(first: number, next: number, from: number, to: number): number {
    let largest = first;
    let most = -1;
    const step = Math.max(1, Math.floor((next - first) / mostAsked));
    for (let i = first; i < next; i += step) {
      const taken = Math.min(to, this.starts[i]! + this.sizes[i]!) - Math.max(from, this.starts[i]!);
      if (taken <= most) continue;
      most = taken;
      largest = i;
    }
    return largest;
  }
}
