// The heap of a compiled program, used from outside through the allocator that it exports.
import { AllocationError, LinmemError, LinmemTypeError } from "../errors.js";
import type { Content } from "./allocator.js";
import { type Convention, detect, exportsOf, type ModuleAllocator } from "./conventions.js";
import { LinearMemory } from "./linear-memory.js";
import { OwningHeap, type StringOptions } from "./owning-heap.js";
import { PAGE_SIZE, show } from "./pages.js";
import { hex } from "./views.js";

/** What `new ModuleHeap` takes. */
export interface ModuleHeapOptions {
  /** The module's memory, if it doesn't export it. */
  memory?: LinearMemory | WebAssembly.Memory;
  /** How the module exports its allocator. Without it: by the usual names. */
  allocator?: Convention;
}

/**
 * The heap of a module, through its own allocator: what a module allocates and releases, seen from outside.
 *
 * `new ModuleHeap(instance)` finds `malloc`, wasm-bindgen's functions, `cabi_realloc` or AssemblyScript's runtime by
 * their names; `allocator: allocators.functions({ … })` names others.
 *
 * @throws TypeError when there is no allocator (`ERR_LINMEM_ALLOCATOR`) or no memory (`ERR_LINMEM_NOT_A_MEMORY`)
 */
export class ModuleHeap extends OwningHeap {
  declare readonly memory: LinearMemory;
  readonly #allocator: ModuleAllocator;

  /** @param module an instance, its exports, or an object with the functions (Emscripten's `Module`) */
  constructor(module: WebAssembly.Instance | object, options: ModuleHeapOptions = {}) {
    const exports = (module instanceof WebAssembly.Instance ? module.exports : module) as Record<
      string,
      unknown
    >;
    if (typeof exports !== "object" || exports === null) {
      throw new LinmemTypeError(
        "ERR_LINMEM_ALLOCATOR",
        `an instance or its exports are expected, not ${show(exports)}`,
      );
    }
    super(memoryFrom(exports, options.memory));
    const convention = options.allocator ?? detect(Object.keys(exports));
    this.#allocator = convention(exportsOf(exports, this.memory.address === "i64"));
  }

  protected get text(): Required<StringOptions> {
    return this.#allocator;
  }

  /**
   * Asks the module for a block and returns its address. The handles are made from this; used by itself it takes a
   * `free()` with the same size and alignment.
   * @throws AllocationError with the numbers asked for and there: null (`ERR_LINMEM_OUT_OF_MEMORY`), a trap in the
   *   allocator (`ERR_LINMEM_ALLOCATOR_TRAP`), or a result that can't be a block (`ERR_LINMEM_ALLOCATOR_RESULT`)
   */
  allocate(byteLength: number, alignment = 8, content: Content = "bytes"): number {
    this.checkReach(byteLength);
    let result: number | bigint;
    try {
      result = this.#allocator.allocate(byteLength, alignment, content);
    } catch (cause) {
      throw this.trapped(byteLength, cause);
    }
    return this.checked(result, byteLength, alignment);
  }

  /** Makes a block larger or smaller; throws like `allocate`, and the block is as it was. */
  reallocate(ptr: number, oldByteLength: number, byteLength: number, alignment = 8): number {
    this.checkReach(byteLength);
    const allocator = this.#allocator;
    if (allocator.reallocate) {
      let result: number | bigint | undefined;
      try {
        result = allocator.reallocate(ptr, oldByteLength, byteLength, alignment);
      } catch (cause) {
        throw this.trapped(byteLength, cause);
      }
      if (result !== undefined) return this.checked(result, byteLength, alignment);
    }
    const moved = this.allocate(byteLength, alignment);
    this.memory.u8.copyWithin(moved, ptr, ptr + Math.min(oldByteLength, byteLength));
    this.free(ptr, oldByteLength, alignment);
    return moved;
  }

  /**
   * Gives a block back to the module.
   * @throws LinmemError when the module can't take blocks back (`ERR_LINMEM_NO_FREE`), or trapped
   *   (`ERR_LINMEM_ALLOCATOR_TRAP`), which means that its heap is damaged, or that the block was not its own
   */
  free(ptr: number, byteLength: number, alignment = 8): void {
    const { free, name } = this.#allocator;
    if (free === undefined) {
      throw new LinmemError(
        "ERR_LINMEM_NO_FREE",
        `${byteLength} bytes at ${hex(ptr)} stay allocated: ${name} can't release. Give the block to the function that ` +
          `takes it, with give(), or name a function that frees`,
      );
    }
    try {
      free(ptr, byteLength, alignment);
    } catch (cause) {
      throw new LinmemError(
        "ERR_LINMEM_ALLOCATOR_TRAP",
        `the module failed while ${byteLength} bytes at ${hex(ptr)} were released: ${messageOf(cause)}`,
        { cause },
      );
    }
  }

  /** A size that an export with 32-bit parameters would take for a smaller one. */
  private checkReach(byteLength: number): void {
    if (this.memory.address === "i64" || byteLength < 2 ** 32) return;
    throw this.failure("ERR_LINMEM_OUT_OF_MEMORY", byteLength, "more than 32-bit addresses reach");
  }

  private checked(result: number | bigint, byteLength: number, alignment: number): number {
    const ptr = typeof result === "bigint" ? Number(result) : result >>> 0;
    if (ptr === 0)
      throw this.failure("ERR_LINMEM_OUT_OF_MEMORY", byteLength, `${this.#allocator.name} returned null`);
    if (ptr > this.memory.byteLength - byteLength) {
      const told = `${this.#allocator.name} returned ${hex(ptr)}, which leaves no room for it`;
      throw this.failure("ERR_LINMEM_ALLOCATOR_RESULT", byteLength, told);
    }
    if (ptr % alignment !== 0) {
      this.#allocator.free?.(ptr, byteLength, alignment);
      const told = `${this.#allocator.name} returned ${hex(ptr)}, no multiple of ${alignment}`;
      throw this.failure("ERR_LINMEM_ALLOCATOR_RESULT", byteLength, told);
    }
    return ptr;
  }

  private trapped(byteLength: number, cause: unknown): AllocationError {
    const told = `${this.#allocator.name} failed: ${messageOf(cause)}`;
    return this.failure("ERR_LINMEM_ALLOCATOR_TRAP", byteLength, told, cause);
  }

  private failure(code: string, asked: number, told: string, cause?: unknown): AllocationError {
    const { pages, maximum, byteLength } = this.memory;
    const room = maximum === undefined ? undefined : (maximum - pages) * PAGE_SIZE;
    const limit =
      room === undefined
        ? "and no maximum"
        : `and can grow by ${room.toLocaleString("en")} more, to its maximum of ${maximum} pages`;
    const { live } = this;
    return new AllocationError(
      code,
      `no block of ${asked.toLocaleString("en")} bytes: ${told}. The memory has ` +
        `${byteLength.toLocaleString("en")} bytes ${limit}; live handles of this heap hold ` +
        `${live.bytes.toLocaleString("en")} bytes in ${live.blocks} blocks`,
      { asked, byteLength, ...(room !== undefined && { room }), held: live.bytes },
      { cause },
    );
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : show(cause);
}

function memoryFrom(
  exports: Record<string, unknown>,
  memory: LinearMemory | WebAssembly.Memory | undefined,
): LinearMemory {
  if (memory instanceof LinearMemory) return memory;
  if (memory !== undefined) return LinearMemory.wrap(memory);
  // Nothing of Emscripten's `Module` is looked at without need: in debug builds a getter may abort the program.
  const found =
    "memory" in exports
      ? exports.memory
      : "wasmMemory" in exports
        ? exports.wasmMemory
        : Object.values(exports).find((value) => value instanceof WebAssembly.Memory);
  if (found instanceof WebAssembly.Memory) return LinearMemory.wrap(found);
  throw new LinmemTypeError(
    "ERR_LINMEM_NOT_A_MEMORY",
    "the module exports no memory: pass the one that it imports, as `memory`",
  );
}
