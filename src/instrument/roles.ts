/**
 * What an allocator function does and how it takes its arguments. The role decides the shape of its hook.
 * Sizes and alignments are in bytes; `p` is the address of a block.
 */
export const allocatorRoles = {
  /** `malloc(size) → p` */
  malloc: { params: ["size"], returns: "block" },
  /** `calloc(count, size) → p` */
  calloc: { params: ["count", "size"], returns: "block" },
  /** `realloc(p, size) → p` */
  realloc: { params: ["block", "size"], returns: "block" },
  /** `free(p)`; sized and aligned forms of `operator delete` pass more, which is ignored */
  free: { params: ["block"], returns: "nothing" },
  /** `aligned_alloc(alignment, size) → p`, `memalign` alike */
  memalign: { params: ["alignment", "size"], returns: "block" },
  /** `posix_memalign(out, alignment, size) → error`; the block's address is stored at `out` */
  posix_memalign: { params: ["out", "alignment", "size"], returns: "error" },
  /** `__rust_alloc(size, alignment) → p`, `__wbindgen_malloc`, `operator new(size, align)` alike */
  alloc_aligned: { params: ["size", "alignment"], returns: "block" },
  /** `__rust_realloc(p, oldSize, alignment, newSize) → p` */
  rust_realloc: { params: ["block", "oldSize", "alignment", "size"], returns: "block" },
  /** `__wbindgen_realloc(p, oldSize, newSize, alignment) → p` */
  wbindgen_realloc: { params: ["block", "oldSize", "size", "alignment"], returns: "block" },
  /** `__rust_realloc` of one alignment: `(p, oldSize, newSize) → p` */
  sized_realloc: { params: ["block", "oldSize", "size"], returns: "block" },
  /** `cabi_realloc(p, oldSize, alignment, newSize) → p`: allocates when `p` is 0 */
  cabi_realloc: { params: ["block", "oldSize", "alignment", "size"], returns: "block" },
  /** a method `Dlmalloc::malloc(self, size) → p` */
  malloc_method: { params: ["self", "size"], returns: "block" },
  /** a method `Dlmalloc::memalign(self, alignment, size) → p` */
  memalign_method: { params: ["self", "alignment", "size"], returns: "block" },
  /** a method `Dlmalloc::realloc(self, p, size) → p` */
  realloc_method: { params: ["self", "block", "size"], returns: "block" },
  /** a method `Talck::realloc(self, p, alignment, oldSize, newSize) → p` */
  realloc_layout_method: { params: ["self", "block", "alignment", "oldSize", "size"], returns: "block" },
  /** a method `Dlmalloc::free(self, p)` */
  free_method: { params: ["self", "block"], returns: "nothing" },
  /** a method `Talc::free(self, p, size)` */
  free_sized_method: { params: ["self", "block", "oldSize"], returns: "nothing" },
  /** a method in Zig's debug builds, `alloc(errorTrace, self, size, …) → p` */
  malloc_traced_method: { params: ["trace", "self", "size"], returns: "block" },
  /** a method in Zig's debug builds, `free(errorTrace, self, p, …)` */
  free_traced_method: { params: ["trace", "self", "block"], returns: "nothing" },
  /** `__new(size, id) → p`, TinyGo's `runtime.alloc(size, layout) → p`: released by the guest's collector, unseen */
  collected_alloc: { params: ["size"], returns: "block" },
  /** Go's `runtime.mallocgc(block) → unwinds`, whose real arguments lie in memory (hooks-go.ts) */
  go_alloc: { params: ["resume"], returns: "unwinds" },
  /** each call is a collection of garbage */
  collect: { params: [], returns: "nothing" },
  /** Go's form of it */
  go_collect: { params: ["resume"], returns: "unwinds" },
} as const satisfies Record<string, RoleShape>;

export type AllocatorRole = keyof typeof allocatorRoles;

/** What one argument of an allocator function means. */
export type ArgumentMeaning =
  | "size"
  | "oldSize"
  | "count"
  | "alignment"
  | "block"
  | "out"
  | "self"
  | "trace"
  /** where in its body a function of Go goes on; 0 is its beginning */
  | "resume";

export interface RoleShape {
  readonly params: readonly ArgumentMeaning[];
  readonly returns: "block" | "error" | "nothing" | "unwinds";
}

/** What a function of a role does with blocks; `counted` ones are released by the guest's collector, which nobody hears. */
export type RoleKind = "allocates" | "releases" | "counted" | "collects";

export function kindOfRole(role: AllocatorRole): RoleKind {
  if (role === "collected_alloc" || role === "go_alloc") return "counted";
  if (role === "collect" || role === "go_collect") return "collects";
  return allocatorRoles[role].returns === "nothing" ? "releases" : "allocates";
}

/** One allocator function of a module, and how it is known to be one. */
export interface AllocatorFunction {
  role: AllocatorRole;
  /** Function index in the original module. */
  index: number;
  /** Its name for people: demangled where possible, `wasm-function[12]` where it has none. */
  name: string;
  /** Why: `name section`, `export "malloc"`, `callee of export "__wbindgen_malloc"`, `--allocator`, … */
  evidence: string;
  confidence: Confidence;
}

/**
 * How sure it is what a function does: `told` by the user; `named` by the module; `proved` by calling it in a sandbox;
 * `likely` by the constants, the calls and the state of its body. What is less than likely is not hooked.
 */
export type Confidence = "told" | "named" | "proved" | "likely";

/** `--allocator malloc=v`: the function to hook under a role, by export name, name-section name or index. */
export interface AllocatorOverride {
  role: AllocatorRole;
  /** A name, or a decimal function index of the original module. */
  target: string;
}
