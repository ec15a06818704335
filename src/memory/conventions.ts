// How modules of each toolchain export their allocator.
import { LinmemTypeError } from "../errors.js";
import type { Content } from "./allocator.js";
import type { Encoding } from "./blocks.js";
import { show } from "./pages.js";

/** Any function. */
// biome-ignore lint/suspicious/noExplicitAny: exports take and return what they like
export type AnyFunction = (...parameters: any[]) => any;

/** An exported function, by its name or itself. */
export type ExportedFunction = string | AnyFunction;

/** A module's allocator as it is called. Results are what the export returned; null is 0. */
export interface ModuleAllocator {
  /** In words, for errors. */
  readonly name: string;
  /** What text looks like in this language. */
  readonly encoding: Encoding;
  /** Whether a NUL ends text. */
  readonly terminated: boolean;
  /** The address of a new block, or 0. Sizes and alignments are bytes. */
  allocate(size: number, alignment: number, content: Content): number | bigint;
  /** Without it, or when it returns undefined, a block is allocated anew and copied. */
  reallocate?(ptr: number, oldSize: number, size: number, alignment: number): number | bigint | undefined;
  /** Without it blocks can only be given away. */
  free?(ptr: number, size: number, alignment: number): void;
}

/** Finds functions of a module; what it gives takes numbers also where addresses are 64 bits wide. */
export interface FunctionFinder {
  /** @throws TypeError (`ERR_LINMEM_ALLOCATOR`) when there is none */
  require(wanted: ExportedFunction): (...parameters: number[]) => number | bigint;
  /** Undefined when there is none. */
  find(wanted: ExportedFunction | undefined): ((...parameters: number[]) => number | bigint) | undefined;
}

/** A way of exporting an allocator. */
export type Convention = (exports: FunctionFinder) => ModuleAllocator;

/** Functions of C, where they are not called by their usual names. */
export interface CFunctions {
  /** Without it `malloc`. */
  malloc?: ExportedFunction;
  /** Without it `free`. */
  free?: ExportedFunction;
  /** Without it `realloc`, if there is one. */
  realloc?: ExportedFunction;
  /** For blocks that are aligned to more than 8 bytes; without it `aligned_alloc`, if there is one. */
  alignedAlloc?: ExportedFunction;
}

/** What `malloc` aligns to at least, everywhere. */
const MALLOC_ALIGNMENT = 8;

/** C, C++, Zig, napi-rs…: `malloc(size)`, `free(ptr)`, `realloc(ptr, size)`. Text ends with a NUL. */
export function c(names: CFunctions = {}): Convention {
  return (exports) => {
    const malloc = exports.require(names.malloc ?? "malloc");
    const free = exports.require(names.free ?? "free");
    const realloc = exports.find(names.realloc ?? "realloc");
    const alignedAlloc = exports.find(names.alignedAlloc ?? "aligned_alloc");
    return {
      name: "malloc",
      encoding: "utf-8",
      terminated: true,
      // The null that malloc(0) may return is no failure: never ask.
      allocate: (size, alignment) =>
        alignment > MALLOC_ALIGNMENT && alignedAlloc
          ? alignedAlloc(alignment, Math.ceil(Math.max(size, 1) / alignment) * alignment)
          : malloc(Math.max(size, 1)),
      // realloc(ptr, 0) frees in some libraries. What is aligned specially loses that when it moves.
      reallocate:
        realloc &&
        ((ptr, _oldSize, size, alignment) =>
          alignment > MALLOC_ALIGNMENT ? undefined : realloc(ptr, Math.max(size, 1))),
      free: (ptr) => void free(ptr),
    };
  };
}

/** Functions of wasm-bindgen, where they are not called by their usual names. */
export interface BindgenFunctions {
  /** Without it `__wbindgen_malloc`. */
  malloc?: ExportedFunction;
  /** Without it `__wbindgen_realloc`, if there is one. */
  realloc?: ExportedFunction;
  /** Without it `__wbindgen_free`. */
  free?: ExportedFunction;
}

/**
 * Rust with wasm-bindgen: `__wbindgen_malloc(size, align)`, `__wbindgen_realloc(ptr, oldSize, size, align)`,
 * `__wbindgen_free(ptr, size, align)`. Builds that call them `__wbindgen_export_0`… say nowhere which is which: look
 * into the JavaScript beside the module and name them.
 */
export function wasmBindgen(names: BindgenFunctions = {}): Convention {
  return (exports) => {
    const malloc = exports.require(names.malloc ?? "__wbindgen_malloc");
    const free = exports.require(names.free ?? "__wbindgen_free");
    const realloc = exports.find(names.realloc ?? "__wbindgen_realloc");
    return {
      name: "__wbindgen_malloc",
      encoding: "utf-8",
      terminated: false,
      // Releases before 0.2.85 take no alignment; more arguments than parameters do no harm. 0 bytes have no block, and
      // are never freed: wasm-bindgen's functions see to both.
      allocate: (size, alignment) => malloc(size, alignment),
      // It does not see to this one.
      reallocate:
        realloc &&
        ((ptr, oldSize, size, alignment) =>
          oldSize === 0 || size === 0 ? undefined : realloc(ptr, oldSize, size, alignment)),
      free: (ptr, size, alignment) => void free(ptr, size, alignment),
    };
  };
}

/** Functions of a component. */
export interface ComponentFunctions {
  /** Without it `cabi_realloc`. */
  realloc?: ExportedFunction;
  /** Called with address, size and alignment. Without it nothing can be released. */
  free?: ExportedFunction;
}

/**
 * The component model: `cabi_realloc(ptr, oldSize, align, size)`. It can't release: what it allocates belongs to the
 * call that it is passed to, so `give()` it. Name a `free(ptr, size, align)` if the module has one.
 */
export function componentModel(names: ComponentFunctions = {}): Convention {
  return (exports) => {
    const realloc = exports.require(names.realloc ?? "cabi_realloc");
    const free = names.free === undefined ? undefined : exports.require(names.free);
    return {
      name: "cabi_realloc",
      encoding: "utf-8",
      terminated: false,
      allocate: (size, alignment) => realloc(0, 0, alignment, size),
      reallocate: (ptr, oldSize, size, alignment) =>
        size === 0 ? undefined : realloc(oldSize === 0 ? 0 : ptr, oldSize, alignment, size),
      free: free && ((ptr, size, alignment) => void free(ptr, size, alignment)),
    };
  };
}

/** Ids that every AssemblyScript program gives to these classes. */
const classId = { bytes: 1, text: 2 };

/**
 * AssemblyScript with `--exportRuntime`: `__new(size, classId)`, `__pin`, `__unpin`. Blocks are pinned objects of class
 * ArrayBuffer, strings of class String: as such they can be passed to exports. Released means unpinned; the module's own
 * collector frees them later.
 */
export function assemblyScript(): Convention {
  return (exports) => {
    const create = exports.require("__new");
    const pin = exports.require("__pin");
    const unpin = exports.require("__unpin");
    return {
      name: "__new",
      encoding: "utf-16",
      terminated: false,
      allocate: (size, _alignment, content) => pin(Number(create(size, classId[content]))),
      free: (ptr) => void unpin(ptr),
    };
  };
}

/** Functions that allocate and release. */
export interface NamedFunctions {
  /** Called with size and alignment; returns the address. */
  allocate: ExportedFunction;
  /** Called with address, size and alignment. */
  free: ExportedFunction;
  /** Called with address, old size, new size and alignment; returns the address. */
  reallocate?: ExportedFunction;
}

/**
 * Any functions, by name or as functions of yours that call exports in their own way. FunctionFinder ignore arguments that they
 * have no parameters for.
 */
export function functions(names: NamedFunctions): Convention {
  return (exports) => {
    const allocate = exports.require(names.allocate);
    const free = exports.require(names.free);
    const reallocate = exports.find(names.reallocate);
    return {
      name: typeof names.allocate === "string" ? names.allocate : "the allocator",
      encoding: "utf-8",
      terminated: false,
      allocate: (size, alignment) => allocate(size, alignment),
      reallocate:
        reallocate && ((ptr, oldSize, size, alignment) => reallocate(ptr, oldSize, size, alignment)),
      free: (ptr, size, alignment) => void free(ptr, size, alignment),
    };
  };
}

/** The conventions by name: `new ModuleHeap(instance, { allocator: allocators.c({ malloc: "_malloc" }) })`. */
export const allocators = {
  /** C, C++, Zig, napi-rs…: `malloc(size)`, `free(ptr)`, `realloc(ptr, size)`. Text ends with a NUL. */
  c,
  /**
   * Rust with wasm-bindgen: `__wbindgen_malloc(size, align)` and its kin. Builds that call them `__wbindgen_export_0`…
   * say nowhere which is which: look into the JavaScript beside the module and name them.
   */
  wasmBindgen,
  /**
   * The component model: `cabi_realloc(ptr, oldSize, align, size)`. It can't release: `give()` blocks to the call that
   * takes them, or name a function that frees.
   */
  componentModel,
  /**
   * AssemblyScript with `--exportRuntime`. Blocks are pinned objects of class ArrayBuffer, strings of class String;
   * released means unpinned.
   */
  assemblyScript,
  /** Any functions, by name or as functions of yours that call exports in their own way. */
  functions,
} as const;

/** The convention that the names of a module's exports speak for. */
export function detect(names: readonly string[]): Convention {
  const has = (...wanted: string[]) => wanted.every((name) => names.includes(name));
  if (has("__wbindgen_malloc", "__wbindgen_free")) return wasmBindgen();
  if (has("__new", "__pin", "__unpin")) return assemblyScript();
  if (has("malloc", "free")) return c();
  if (has("_malloc", "_free")) {
    return c({ malloc: "_malloc", free: "_free", realloc: "_realloc", alignedAlloc: "_aligned_alloc" });
  }
  if (has("cabi_realloc")) return componentModel();
  const numbered = names.filter((name) => name.startsWith("__wbindgen_export"));
  const hint =
    numbered.length > 0
      ? `allocators.wasmBindgen({ malloc: …, realloc: …, free: … }) with the right ones of ${numbered.join(", ")}`
      : "allocators.functions({ allocate: …, free: … })";
  throw new LinmemTypeError(
    "ERR_LINMEM_ALLOCATOR",
    `the module exports no allocator under a usual name: name its functions with ${hint}`,
  );
}

/** The functions of `exports`, called with BigInts when `wide`. */
export function exportsOf(exports: Readonly<Record<string, unknown>>, wide: boolean): FunctionFinder {
  const find = (wanted: ExportedFunction | undefined) => {
    const found = typeof wanted === "string" ? exports[wanted] : wanted;
    if (typeof found !== "function") return undefined;
    // Functions of the user's own see to it themselves.
    if (!wide || typeof wanted === "function") return found as AnyFunction;
    return (...parameters: number[]) => found(...parameters.map(BigInt));
  };
  return {
    find,
    require(wanted) {
      const found = find(wanted);
      if (found) return found;
      throw new LinmemTypeError("ERR_LINMEM_ALLOCATOR", `the module exports no function ${show(wanted)}`);
    },
  };
}
