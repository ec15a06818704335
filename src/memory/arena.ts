/**
 * Blocks that live and die together: an arena hands out pieces of a few large chunks, one behind the other, and takes them
 * all back at once.
 *
 * ```
 *  chunks[0]                     chunks[1] = current
 *  | block | block | (rest) |    | block |▒ gap for alignment | block |   room   |
 *                                            ▲ a mark            ▲ used
 * ```
 *
 * A mark is a chunk and a place in it. Going back to one takes as long as there are chunks and handles behind it.
 */
import {
  AllocationError,
  DoubleReleaseError,
  LinmemError,
  LinmemTypeError,
  ReleasedError,
} from "../errors.js";
import type { OwnedBlock } from "./blocks.js";
import { dispose } from "./dispose.js";
import { OwningHeap, type StringOptions } from "./owning-heap.js";
import { PAGE_SIZE, show } from "./pages.js";
import type { MarkedMemory } from "./scope.js";

/** What `new Arena` takes. */
export interface ArenaOptions {
  /** Bytes that the arena asks of its heap at a time, 65,536 without it. A larger block gets a chunk of its size. */
  chunkByteLength?: number;
}

/** A moment of an arena that it can go back to. */
export class ArenaMark {
  /** @internal */
  constructor(
    /** Which of the arena's chunks was the current one; -1 before the first. @internal */
    readonly chunk: number,
    /** The first free address in it. @internal */
    readonly used: number,
    /** Handles that there were. @internal */
    readonly handles: number,
  ) {}
}

interface Chunk {
  ptr: number;
  byteLength: number;
}

/** Alignment of chunks: blocks that want more get it from a gap. */
const CHUNK_ALIGNMENT = 16;
/** Where the first free address is before there is a chunk: past the end, so that even 0 bytes don't lie there. */
const NOWHERE = 1;
const LARGEST = 0x7fff_0000;

/**
 * An arena on a heap: allocating is an addition, and `reset` takes back everything since a `mark` at once. It has the
 * handles, strings, arrays and structs of every heap; those that are live when their memory is taken back end then, and
 * each later use of them throws `ReleasedError`.
 *
 * Text is UTF-8 without a NUL behind it unless one says so.
 */
export class Arena extends OwningHeap implements Disposable, MarkedMemory<ArenaMark> {
  /** Where its chunks come from. */
  readonly heap: OwningHeap;
  private readonly chunkByteLength: number;
  private chunks: Chunk[] = [];
  private current = -1;
  private used = NOWHERE;
  private end = 0;
  private handles: OwnedBlock[] = [];
  private marks: ArenaMark[] = [new ArenaMark(-1, NOWHERE, 0)];
  private state: "live" | "released" = "live";

  /**
   * An empty arena, which takes nothing from its heap yet.
   * @throws TypeError for a heap that is none (`ERR_LINMEM_NOT_A_HEAP`), or a size that is none (`ERR_LINMEM_SIZE`)
   */
  constructor(heap: OwningHeap, { chunkByteLength = PAGE_SIZE }: ArenaOptions = {}) {
    if (!(heap instanceof OwningHeap)) {
      throw new LinmemTypeError("ERR_LINMEM_NOT_A_HEAP", `an arena lies on a heap, not on ${show(heap)}`);
    }
    super(heap.memory);
    this.heap = heap;
    this.chunkByteLength = Math.max(checkBytes(chunkByteLength), CHUNK_ALIGNMENT);
  }

  /** What it has from its heap, in bytes. */
  get byteLength(): number {
    return this.chunks.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /**
   * The address of `byteLength` bytes, a multiple of `alignment` (a power of two up to 65,536), of which nothing is known.
   *
   * @throws AllocationError: the heap has no chunk to give, and nothing has changed
   * @throws TypeError (`ERR_LINMEM_SIZE`, `ERR_LINMEM_ALIGNMENT`)
   * @throws ReleasedError
   */
  allocate(byteLength: number, alignment = 8): number {
    const whole = byteLength >>> 0 === byteLength && byteLength <= LARGEST;
    const aligning = alignment > 0 && alignment <= PAGE_SIZE && (alignment & (alignment - 1)) === 0;
    if (!whole || !aligning) this.refuse(byteLength, alignment);
    // not in 32 bits: an address may be anywhere below 2^32, and what lies behind it beyond
    const ptr = ((this.used + alignment - 1) & -alignment) >>> 0;
    const used = ptr + byteLength;
    if (used > this.end || ptr < this.used) return this.allocateInNext(byteLength, alignment);
    this.used = used;
    return ptr;
  }

  /** The same with all bytes 0. */
  allocateZeroed(byteLength: number, alignment = 8): number {
    const ptr = this.allocate(byteLength, alignment);
    this.memory.u8.fill(0, ptr, ptr + byteLength);
    return ptr;
  }

  /**
   * Makes a block larger or smaller, where it is if it is the last one and its chunk has room, and returns its address.
   * What fits stays.
   */
  reallocate(ptr: number, oldByteLength: number, byteLength: number, alignment = 8): number {
    const end = ptr + byteLength;
    const whole = byteLength >>> 0 === byteLength;
    if (whole && this.isLast(ptr, oldByteLength) && end <= this.end) {
      this.used = end;
      return ptr;
    }
    if (whole && byteLength <= oldByteLength) return ptr;
    const moved = this.allocate(byteLength, alignment);
    this.memory.u8.copyWithin(moved, ptr, ptr + oldByteLength);
    return moved;
  }

  /** Takes back the last block since the last mark. Of every other block the memory stays until the arena is reset. */
  free(ptr: number, byteLength: number): void {
    if (this.isLast(ptr, byteLength)) this.used = ptr;
    const floor = this.marks.at(-1)!.handles;
    while (this.handles.length > floor && this.handles.at(-1)!.released) this.handles.pop();
  }

  /** This moment, for `reset`. */
  mark(): ArenaMark {
    this.open();
    const { current, used, handles } = this;
    const last = this.marks.at(-1)!;
    // the same moment, the same mark: a loop of `mark` and `reset` adds nothing
    if (last.chunk === current && last.used === used && last.handles === handles.length) return last;
    const mark = new ArenaMark(current, used, handles.length);
    this.marks.push(mark);
    return mark;
  }

  /**
   * Takes back everything that was allocated since `mark`, or since the beginning, and ends its handles. The mark can be
   * used again, later ones can't. One chunk is kept for what comes next, the others go back to the heap.
   *
   * @throws LinmemError when the arena went back behind the mark meanwhile, or it is another's (`ERR_LINMEM_STALE_MARK`)
   */
  reset(mark: ArenaMark = this.marks[0]!): void {
    this.open();
    const index = this.marks.lastIndexOf(mark);
    if (index < 0) {
      throw new LinmemError(
        "ERR_LINMEM_STALE_MARK",
        "there is no way back to this mark: the arena was reset to an earlier one since, or the mark is of another arena",
      );
    }
    this.marks.length = index + 1;
    // the last one first, as scopes do
    while (this.handles.length > mark.handles) this.handles.pop()!.lose();
    this.enter(mark.chunk, mark.used);
    while (this.chunks.length > mark.chunk + 2) this.giveBack();
  }

  /**
   * Takes everything back and gives all chunks to the heap. The arena is of no use afterwards.
   * @throws DoubleReleaseError
   */
  release(): void {
    if (this.state !== "live") throw new DoubleReleaseError("arena", this.state);
    this.reset();
    this.state = "released";
    while (this.chunks.length > 0) this.giveBack();
    this.enter(-1, NOWHERE);
  }

  /** For `using` and scopes. After `release()` it does nothing. */
  [dispose](): void {
    if (this.state === "live") this.release();
  }

  protected get text(): Required<StringOptions> {
    return { encoding: "utf-8", terminated: false };
  }

  protected override own<B extends OwnedBlock>(block: B): B {
    this.handles.push(block);
    return block;
  }

  private isLast(ptr: number, byteLength: number): boolean {
    const mark = this.marks.at(-1)!;
    if (ptr + byteLength !== this.used || this.current < 0) return false;
    // what lies below a mark must stay, or `reset` would take what comes there for older than the mark
    return mark.chunk < this.current ? ptr >= this.chunks[this.current]!.ptr : ptr >= mark.used;
  }

  private allocateInNext(byteLength: number, alignment: number): number {
    this.open();
    const needed = byteLength + Math.max(alignment - CHUNK_ALIGNMENT, 0);
    const next = this.current + 1;
    const kept = this.chunks[next];
    if (kept === undefined || kept.byteLength < needed) {
      const size = Math.max(this.chunkByteLength, needed);
      const chunk = { ptr: this.heap.allocate(size, CHUNK_ALIGNMENT), byteLength: size };
      if (kept !== undefined) this.giveBack();
      this.chunks.push(chunk);
    }
    this.enter(next, this.chunks[next]!.ptr);
    return this.allocate(byteLength, alignment);
  }

  private enter(chunk: number, used: number): void {
    const { ptr, byteLength } = this.chunks[chunk] ?? { ptr: 0, byteLength: 0 };
    this.current = chunk;
    this.used = used;
    this.end = ptr + byteLength;
  }

  private giveBack(): void {
    const { ptr, byteLength } = this.chunks.pop()!;
    this.heap.free(ptr, byteLength, CHUNK_ALIGNMENT);
  }

  private open(): void {
    if (this.state !== "live") throw new ReleasedError("arena", this.state);
  }

  private refuse(byteLength: unknown, alignment: unknown): never {
    this.open();
    const asked = checkBytes(byteLength);
    if (asked > LARGEST) {
      throw new AllocationError(
        "ERR_LINMEM_OUT_OF_MEMORY",
        `no block of ${asked.toLocaleString("en")} bytes: an arena's have ${LARGEST.toLocaleString("en")} at most`,
        { asked },
      );
    }
    throw new LinmemTypeError(
      "ERR_LINMEM_ALIGNMENT",
      `an alignment must be a power of two up to ${PAGE_SIZE}, not ${show(alignment)}`,
    );
  }
}

function checkBytes(bytes: unknown): number {
  if (typeof bytes === "number" && Number.isInteger(bytes) && bytes >= 0) return bytes;
  throw new LinmemTypeError("ERR_LINMEM_SIZE", `a size must be a whole number of bytes, not ${show(bytes)}`);
}
