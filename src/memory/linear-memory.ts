// One linear memory: made or wrapped, grown, watched, read and written. Views, loads and stores come from
// views.ts, bytes and text from memory-bytes.ts, the list of all memories from registry.ts.
import { LinmemRangeError, LinmemTypeError } from "../errors.js";
import { Budget, claimAll, pressAll } from "./budget.js";
import { createMemory, memoryOf } from "./create.js";
import { type AddressType, addressType, findMaximum, isShared, sizeReader } from "./engine.js";
import { bufferOf } from "./intrinsics.js";
import { MemoryBytes } from "./memory-bytes.js";
import { checkPages, MAX_PAGES, MAX_PAGES_64, PAGE_SIZE, show } from "./pages.js";
import { register } from "./registry.js";
import { type Subscription, subscription } from "./subscription.js";

/** What `new LinearMemory` takes. Sizes are pages of 64 KiB. */
export interface LinearMemoryOptions {
  /** Pages at the start. */
  initial: number;
  /** Pages that the memory can never exceed. Engines reserve address space for it: always set it. */
  maximum?: number;
  /** A memory for several threads; needs `maximum`. */
  shared?: boolean;
  /** "i64": addresses of 64 bits, where the engine has them (`ERR_LINMEM_UNSUPPORTED` elsewhere). */
  address?: AddressType;
  /** A cap that this memory shares with others. It also bounds `maximum`: by its limit, or by what it has left. */
  budget?: Budget;
}

/** What a growth listener hears. */
export interface GrowthEvent {
  /** Which memory it is. */
  memory: LinearMemory;
  /** Pages before. */
  previous: number;
  /** Pages now. */
  pages: number;
}

/** How `LinearMemory.wrap` hands a memory to the constructor. */
class Adopted {
  constructor(readonly wasm: WebAssembly.Memory) {}
}

/** The one `LinearMemory` of each `WebAssembly.Memory`. */
const known = new WeakMap<WebAssembly.Memory, LinearMemory>();

/** Who holds a view holds its buffer, and this keeps the memory that belongs to it: `liveMemories()` then lists it. */
const heldByBuffer = new WeakMap<ArrayBufferLike, LinearMemory>();

/**
 * A linear memory: one flat run of bytes, in pages of 64 KiB, addressed from 0.
 *
 * `u8`, `i32`, `f64`… are typed arrays over all of it that are valid after any growth; `readU32(address)`,
 * `writeF64(address, value)`… work at any address and check bounds. Addresses and lengths are bytes, numbers or BigInts.
 */
export class LinearMemory extends MemoryBytes {
  /** The memory itself, to pass as an import. */
  readonly wasm: WebAssembly.Memory;
  /** Whether threads can share it. */
  readonly shared: boolean;
  /** What `LinearMemory.reserve` asked for, in pages; `maximum` says what it got. */
  readonly asked: number | undefined = undefined;

  /** Pages as last seen. */
  protected heldPages = 0;
  /** The engine's `memory.size`, for shared memories. */
  protected readPages: () => number = noPages;
  private held: ArrayBufferLike | undefined;
  private knownAddress: AddressType | undefined;
  private knownMaximum: number | undefined;
  private maximumIsKnown = false;
  private intercepted = false;
  /** True while this object grows the memory itself. */
  private growing = false;
  private readonly listeners = new Set<(event: GrowthEvent) => void>();

  /**
   * Makes a memory.
   *
   * @throws RangeError: `initial` above `maximum` (`ERR_LINMEM_MAXIMUM`), more pages than addresses reach
   *   (`ERR_LINMEM_LIMIT`), or than the engine has room for (`ERR_LINMEM_REFUSED`), or than the budget has left
   *   (`ERR_LINMEM_BUDGET`).
   * @throws TypeError: not a whole number of pages (`ERR_LINMEM_PAGES`), a shared memory without a maximum
   *   (`ERR_LINMEM_OPTIONS`), 64-bit addresses where the engine has none (`ERR_LINMEM_UNSUPPORTED`).
   */
  constructor(options: LinearMemoryOptions) {
    super();
    const budget = options instanceof Adopted ? undefined : options?.budget;
    if (options instanceof Adopted) {
      this.wasm = options.wasm;
    } else {
      const maximum = budget === undefined ? options?.maximum : claimInitial(options, budget);
      this.wasm = createMemory(budget === undefined ? options : { ...options, maximum });
      this.knownAddress = options.address ?? "i32";
      this.knownMaximum = maximum;
      this.maximumIsKnown = true;
    }
    const buffer = bufferOf(this.wasm);
    this.shared = isShared(buffer);
    this.heldPages = buffer.byteLength / PAGE_SIZE;
    this.hold(buffer);
    if (this.shared) {
      this.readPages = sizeReader(this.wasm, this.address);
      Object.setPrototypeOf(this, prototypeFor(this, this.readPages));
    }
    known.set(this.wasm, this);
    register(this, options instanceof Adopted ? LinearMemory.wrap : LinearMemory);
    budget?.admit(this);
  }

  /**
   * The `LinearMemory` of a memory that exists: a `WebAssembly.Memory`, or one that an instance exports. The same
   * memory always gives the same object.
   *
   * @param exportName which export of the instance; without it, its only memory.
   * @throws TypeError (`ERR_LINMEM_NOT_A_MEMORY`) when there is none, or several to choose from.
   */
  static wrap(source: WebAssembly.Memory | WebAssembly.Instance, exportName?: string): LinearMemory {
    const wasm = memoryOf(source, exportName);
    return known.get(wasm) ?? new LinearMemory(new Adopted(wasm) as unknown as LinearMemoryOptions);
  }

  /**
   * Makes a memory with the largest maximum that the engine grants, at most the one asked for: half of it is tried
   * next, down to `initial`. `maximum` says what was got, `asked` what was wanted.
   *
   * @throws RangeError (`ERR_LINMEM_REFUSED`) when the engine has no room even for `initial` pages.
   */
  static reserve(options: LinearMemoryOptions & { maximum: number }): LinearMemory {
    checkPages(options.maximum, "maximum");
    const limit = options.address === "i64" ? MAX_PAGES_64 : MAX_PAGES;
    for (let maximum = Math.min(options.maximum, limit); ; ) {
      try {
        const memory = new LinearMemory({ ...options, maximum });
        (memory as { asked: number | undefined }).asked = options.maximum;
        return memory;
      } catch (error) {
        const refused = error instanceof LinmemRangeError && error.code === "ERR_LINMEM_REFUSED";
        if (!refused || maximum <= options.initial) throw error;
        maximum = Math.max(options.initial, Math.floor(maximum / 2));
      }
    }
  }

  /** The buffer as it is now. Growth replaces it: don't keep it. */
  get buffer(): ArrayBufferLike {
    return this.u8.buffer;
  }

  /** Bytes now. */
  get byteLength(): number {
    return this.u8.length;
  }

  /** Pages now, 64 KiB each. */
  get pages(): number {
    return this.u8.length / PAGE_SIZE;
  }

  /** The most pages it can ever have; undefined when nothing but its addresses bounds it. */
  get maximum(): number | undefined {
    if (!this.maximumIsKnown) {
      this.knownMaximum = findMaximum(this.wasm, this.pages, this.address, this.shared);
      this.maximumIsKnown = true;
    }
    return this.knownMaximum;
  }

  /** Whether a module addresses it with 32 or with 64 bits. */
  get address(): AddressType {
    return (this.knownAddress ??= addressType(this.wasm, isShared(this.wasm.buffer)));
  }

  /**
   * Grows by `pages` and returns how many there were before. `grow(0)` changes nothing. A memory never shrinks.
   *
   * @throws RangeError, and nothing changed: past the maximum or past what addresses reach (`ERR_LINMEM_MAXIMUM`),
   *   past the budget (`ERR_LINMEM_BUDGET`), or no room (`ERR_LINMEM_REFUSED`).
   * @throws TypeError (`ERR_LINMEM_PAGES`): not a whole number of pages.
   */
  grow(pages: number): number {
    checkPages(pages, "pages");
    const previous = this.pages;
    // The engine's grow(0) would detach every view of everybody.
    if (pages === 0) return previous;
    const limit = this.knownMaximum ?? (this.address === "i64" ? MAX_PAGES_64 : MAX_PAGES);
    if (previous + pages > limit) throw pastMaximum(previous, pages, limit);
    claimAll(this, pages);
    return this.growNow(pages);
  }

  /** Grows by what the budgets have granted. */
  private growNow(pages: number): number {
    try {
      const amount = this.address === "i64" ? BigInt(pages) : pages;
      return this.whileGrowing(() => Number(engineGrow(this.wasm, amount)));
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      const { pages: previous, maximum } = this;
      if (maximum !== undefined && previous + pages > maximum) throw pastMaximum(previous, pages, maximum);
      throw new LinmemRangeError(
        "ERR_LINMEM_REFUSED",
        `the engine has no room to grow ${previous} pages by ${pages}`,
        { previous, pages },
        { cause },
      );
    }
  }

  /**
   * Calls `listener` after each growth, whoever caused it: at once when JavaScript grew the memory (also by
   * `wasm.grow`, as the glue of Emscripten does); when a module or another thread grew it, at the next look at the
   * memory through this object, which is any view, load, store or `refresh()`. An error of a listener is reported as
   * uncaught and stops neither the growth nor other listeners.
   */
  onGrow(listener: (event: GrowthEvent) => void): Subscription {
    if (typeof listener !== "function") {
      throw new LinmemTypeError("ERR_LINMEM_OPTIONS", `a listener must be a function, not ${show(listener)}`);
    }
    this.interceptGrow();
    // One function may listen twice: each subscription is one of its own.
    const own = (event: GrowthEvent) => listener(event);
    this.listeners.add(own);
    return subscription(() => this.listeners.delete(own));
  }

  /** Looks whether somebody else grew the memory, and tells the listeners: for a call after a module has run. */
  refresh(): void {
    this.renew();
  }

  /** Puts a `grow` of its own on the WebAssembly.Memory, so that budgets and listeners hear of it. @internal */
  interceptGrow(): void {
    if (this.intercepted) return;
    this.intercepted = true;
    Reflect.defineProperty(this.wasm, "grow", {
      configurable: true,
      writable: true,
      value: (delta: unknown) => this.growForeign(delta),
    });
  }

  /** `wasm.grow`: what is no number of pages is the engine's to refuse, in its own words. */
  private growForeign(delta: unknown): number | bigint {
    // Converted once, as the engine would: an object could answer otherwise the second time.
    const isNumber = typeof delta === "number" || typeof delta === "bigint";
    const amount = isNumber ? delta : this.address === "i64" ? BigInt(delta as string) : Number(delta);
    const pages = Math.floor(Number(amount));
    this.renew();
    if (pages > 0 && Number.isFinite(pages)) claimAll(this, pages);
    return this.whileGrowing(() => engineGrow(this.wasm, amount));
  }

  /** Runs `grow`, and then tells the listeners. */
  private whileGrowing<T>(grow: () => T): T {
    const outer = this.growing;
    this.growing = true;
    try {
      return grow();
    } finally {
      this.renew();
      this.growing = outer;
    }
  }

  protected renew(): this {
    const buffer = bufferOf(this.wasm);
    if (buffer !== this.held) this.hold(buffer);
    const pages = buffer.byteLength / PAGE_SIZE;
    if (pages !== this.heldPages) {
      const event = { memory: this, previous: this.heldPages, pages };
      this.heldPages = pages;
      this.tell(event);
    }
    return this;
  }

  private hold(buffer: ArrayBufferLike): void {
    if (this.held !== undefined) heldByBuffer.delete(this.held);
    this.held = buffer;
    heldByBuffer.set(buffer, this);
    this.makeViews(buffer);
  }

  private tell(event: GrowthEvent): void {
    for (const listener of [...this.listeners]) reportErrors(() => listener(event));
    if (!this.growing) reportErrors(() => pressAll(this));
  }
}

/** Shared buffers don't detach: the engine's size tells whether the views are still of the right length. */
class SharedLinearMemory extends LinearMemory {
  override get u8(): Uint8Array {
    return this.readPages() === this.heldPages ? this.bytes : this.renew().bytes;
  }
  override get i8(): Int8Array {
    return this.readPages() === this.heldPages ? this.viewI8 : this.renew().viewI8;
  }
  override get u16(): Uint16Array {
    return this.readPages() === this.heldPages ? this.viewU16 : this.renew().viewU16;
  }
  override get i16(): Int16Array {
    return this.readPages() === this.heldPages ? this.viewI16 : this.renew().viewI16;
  }
  override get u32(): Uint32Array {
    return this.readPages() === this.heldPages ? this.viewU32 : this.renew().viewU32;
  }
  override get i32(): Int32Array {
    return this.readPages() === this.heldPages ? this.viewI32 : this.renew().viewI32;
  }
  override get f32(): Float32Array {
    return this.readPages() === this.heldPages ? this.viewF32 : this.renew().viewF32;
  }
  override get f64(): Float64Array {
    return this.readPages() === this.heldPages ? this.viewF64 : this.renew().viewF64;
  }
  override get i64(): BigInt64Array {
    return this.readPages() === this.heldPages ? this.viewI64 : this.renew().viewI64;
  }
  override get u64(): BigUint64Array {
    return this.readPages() === this.heldPages ? this.viewU64 : this.renew().viewU64;
  }
}

/**
 * The prototype of one shared memory, in whose getters `size`, the engine's `memory.size`, is a constant: V8 calls it
 * directly. Through a property, where it differs from memory to memory, the same call takes 2 ns more.
 */
function ownPrototype(size: () => number): SharedLinearMemory {
  const readPages = size;
  class OwnSharedLinearMemory extends SharedLinearMemory {
    override get u8(): Uint8Array {
      return readPages() === this.heldPages ? this.bytes : this.renew().bytes;
    }
    override get i8(): Int8Array {
      return readPages() === this.heldPages ? this.viewI8 : this.renew().viewI8;
    }
    override get u16(): Uint16Array {
      return readPages() === this.heldPages ? this.viewU16 : this.renew().viewU16;
    }
    override get i16(): Int16Array {
      return readPages() === this.heldPages ? this.viewI16 : this.renew().viewI16;
    }
    override get u32(): Uint32Array {
      return readPages() === this.heldPages ? this.viewU32 : this.renew().viewU32;
    }
    override get i32(): Int32Array {
      return readPages() === this.heldPages ? this.viewI32 : this.renew().viewI32;
    }
    override get f32(): Float32Array {
      return readPages() === this.heldPages ? this.viewF32 : this.renew().viewF32;
    }
    override get f64(): Float64Array {
      return readPages() === this.heldPages ? this.viewF64 : this.renew().viewF64;
    }
    override get i64(): BigInt64Array {
      return readPages() === this.heldPages ? this.viewI64 : this.renew().viewI64;
    }
    override get u64(): BigUint64Array {
      return readPages() === this.heldPages ? this.viewU64 : this.renew().viewU64;
    }
  }
  return OwnSharedLinearMemory.prototype;
}

/** Memories that have a prototype of their own. One more, and code that sees them all would be slow for each. */
const owners: (WeakRef<LinearMemory> | undefined)[] = [undefined, undefined, undefined];

function prototypeFor(memory: LinearMemory, size: () => number): SharedLinearMemory {
  const free = owners.findIndex((owner) => owner?.deref() === undefined);
  if (free < 0) return SharedLinearMemory.prototype;
  owners[free] = new WeakRef(memory);
  return ownPrototype(size);
}

function noPages(): number {
  return 0;
}

/** Asks the budget for the first pages, and returns the maximum that the memory may then have. */
function claimInitial(options: LinearMemoryOptions, budget: Budget): number | undefined {
  if (!(budget instanceof Budget)) {
    throw new LinmemTypeError("ERR_LINMEM_OPTIONS", `budget must be a Budget, not ${show(budget)}`);
  }
  checkPages(options.initial, "initial");
  if (options.maximum !== undefined) checkPages(options.maximum, "maximum");
  return budget.claimNew(options.initial, options.maximum);
}

function engineGrow(memory: WebAssembly.Memory, pages: number | bigint): number | bigint {
  return Reflect.apply(WebAssembly.Memory.prototype.grow, memory, [pages]);
}

function pastMaximum(previous: number, pages: number, maximum: number): LinmemRangeError {
  return new LinmemRangeError(
    "ERR_LINMEM_MAXIMUM",
    `${previous} pages can't grow by ${pages}: the maximum is ${maximum}`,
    { previous, pages, maximum },
  );
}

/** Runs `action`; what it throws becomes an uncaught error, as of any event listener. */
function reportErrors(action: () => void): void {
  try {
    action();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
