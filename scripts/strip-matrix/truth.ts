/**
 * What the names of a module say about its allocator: the truth that a search without names is held against.
 * Written apart from the conventions of src/instrument on purpose; a mistake there must not hide here.
 */
import { buildCallGraph, type CallGraph } from "../../src/instrument/call-graph.js";
import type { AllocatorFunction } from "../../src/instrument/roles.js";
import { findSites } from "../../src/instrument/walker.js";
import { instructionEnd, op } from "../../src/wasm/instructions.js";
import type { Module } from "../../src/wasm/module.js";
import { countLocals } from "../../src/wasm/sections/code.js";
import { externalKind } from "../../src/wasm/types.js";

export const kinds = ["malloc", "free", "realloc", "calloc", "memalign"] as const;

/** Kinds of allocator functions that are looked at apart. */
export type Kind = (typeof kinds)[number];

export type Verdict = "right" | "not found" | "wrong" | "none";

const c = "(?:__libc_|__?|dl|emscripten_builtin_|emmalloc_|mi_|rpmalloc_|je_)?";
const operator = "(?:unsigned (?:int|long)|size_t)";
const rustCrates = "(?:dlmalloc|talc|wee_alloc|lol_alloc|__rust_|__rdl_|__rg_|___rust_)";

/** Names by kind. Also the functions inside allocators that take the same arguments. */
const patterns: readonly (readonly [Kind, RegExp])[] = [
  ["malloc", new RegExp(`^(?:${c}malloc|(?:__)?z?malloc_small|_?mi_malloc_generic|c_malloc)(?:\\.\\d+)?$`)],
  [
    "malloc",
    new RegExp(`^(?:operator new(?:\\[\\])?\\(${operator}(?:, std::\\w+(?: const&)?)*\\)|_Zn[wa][jm]\\w*)$`),
  ],
  ["malloc", /^_?mi_(?:heap|theap|page)_u?[mz]alloc\w*$/],
  ["free", new RegExp(`^(?:${c}free|c_free)(?:\\.\\d+)?$`)],
  ["free", /^(?:operator delete(?:\[\])?\(void\*.*\)|_Zd[la]Pv\w*)$/],
  ["free", /^_?mi_free(?:_\w+)?$/],
  ["realloc", new RegExp(`^(?:${c}(?:aligned_)?realloc|c_realloc)(?:\\.\\d+)?$`)],
  ["realloc", /^_?mi_(?:heap_|theap_)?realloc\w*$/],
  ["calloc", new RegExp(`^(?:${c}calloc|c_calloc)(?:\\.\\d+)?$`)],
  ["calloc", /^mi_(?:heap_|theap_)?calloc\w*$/],
  [
    "memalign",
    new RegExp(`^(?:${c}(?:memalign|aligned_alloc|posix_memalign)|internal_memalign)(?:\\.\\d+)?$`),
  ],
  ["memalign", /^_?mi_(?:heap_|theap_)?(?:m|z)?alloc_aligned\w*|^mi_theap_\w*aligned\w*$/],
  ["malloc", /^allocate_memory$/],
  ["malloc", /8Dlmalloc8c_malloc/],
  ["free", /8Dlmalloc6c_free/],
  ["realloc", /8Dlmalloc9c_realloc/],
  ["memalign", /8Dlmalloc10c_memalign/],
  ["calloc", /sys5alloc.*11GlobalAlloc12alloc_zeroed/],
  ["malloc", /sys5alloc.*11GlobalAlloc5alloc/],
  ["realloc", /sys5alloc.*11GlobalAlloc7realloc/],
  ["free", /sys5alloc.*11GlobalAlloc7dealloc/],
  ["calloc", /^__rust_alloc_zeroed$|___?(?:rust|rdl|rg)_alloc_zeroed/],
  ["malloc", /^__rust_alloc$|___?(?:rust|rdl|rg)_alloc(?:::h[0-9a-f]+)?$/],
  ["realloc", /___?(?:rust|rdl|rg)_realloc/],
  ["free", /___?(?:rust|rdl|rg)_dealloc/],
  // `std::alloc::alloc` and so on: take a layout as `__rust_alloc` does, which is often inlined in them
  ["malloc", /^_(?:RNvNtC\w+_|ZN)5alloc5alloc5alloc(?:17h|[BC]|$)/],
  ["calloc", /^_(?:RNvNtC\w+_|ZN)5alloc5alloc12alloc_zeroed(?:17h|[BC]|$)/],
  ["realloc", /^_(?:RNvNtC\w+_|ZN)5alloc5alloc(?:7realloc|15realloc_nonnull)(?:17h|[BC]|$)/],
  ["free", /^_(?:RNvNtC\w+_|ZN)5alloc5alloc(?:7dealloc|15dealloc_nonnull)(?:17h|[BC]|$)/],
  ["memalign", /dlmalloc.*(?:8|::)memalign/],
  [
    "realloc",
    new RegExp(
      `${rustCrates}.*(?:\\d|::)(?:realloc|try_realloc_in_place|try_grow_in_place|grow_in_place|shrink)`,
    ),
  ],
  ["calloc", new RegExp(`${rustCrates}.*(?:\\d|::)(?:alloc_zeroed|calloc)`)],
  ["free", new RegExp(`${rustCrates}.*(?:\\d|::)(?:dealloc|deallocate|free)(?:\\W|B|C|E|17h|$)`)],
  ["malloc", new RegExp(`${rustCrates}.*(?:\\d|::)(?:alloc|allocate|malloc)(?:\\W|B|C|E|17h|$)`)],
  [
    "malloc",
    /^~lib\/rt\/(?:tlsf|stub|__allocator|memory-runtime)\/(?:__alloc|__mem_allocate|allocateBlock|__new)$/,
  ],
  ["free", /^~lib\/rt\/(?:tlsf|stub)\/(?:__free|freeBlock)$/],
  ["realloc", /^~lib\/rt\/(?:tlsf|stub)\/(?:__realloc|reallocateBlock|__renew|moveBlock)$/],
  [
    "malloc",
    /^(?:std\.)?heap\.(?:wasm_allocator|WasmAllocator|WasmPageAllocator|BrkAllocator|PageAllocator|page_allocator|SbrkAllocator\S*?)\.alloc(?:\.\d+)?$/,
  ],
  [
    "realloc",
    /^(?:std\.)?heap\.(?:wasm_allocator|WasmAllocator|WasmPageAllocator|BrkAllocator|PageAllocator|page_allocator|SbrkAllocator\S*?)\.(?:resize|remap)(?:\.\d+)?$/,
  ],
  [
    "free",
    /^(?:std\.)?heap\.(?:wasm_allocator|WasmAllocator|WasmPageAllocator|BrkAllocator|PageAllocator|page_allocator|SbrkAllocator\S*?)\.free(?:\.\d+)?$/,
  ],
  ["malloc", /^runtime\.alloc$/],
  ["free", /^runtime\.free$/],
];

/** `<Global as Allocator>::deallocate`: takes the block and its layout as `__rust_dealloc` does, which is often inlined in it. */
const rustDeallocate = /5alloc5alloc.*6Global.*(?:9Allocator10deallocate|15deallocate_impl)/;

/** Names that look like an allocator's, of functions that are none of these kinds. */
const others =
  /(?:usable_size|no_alloc_shim|alloc_error|handle_alloc|malloc_?(?:init|trim|stats|info|opt|foot)|OomHandler|__rust_alloc_error|8oom_|handle_oom|short_backtrace|9Allocator\d|as\$u20\$dlmalloc\.\.Allocator| as dlmalloc\S*::Allocator)/;

/** Functions of mimalloc: what they make for themselves is none of the program's. */
export const mimallocs = /^_?mi_/;

/** What a function of this name does. */
export function kindOfName(name: string): Kind | undefined {
  if (rustDeallocate.test(name)) return "free";
  if (others.test(name)) return undefined;
  return patterns.find(([, pattern]) => pattern.test(name))?.[0];
}

export interface Truth {
  /** Only exports have names: of other functions nobody knows what they are. */
  partial: boolean;
  /** Kinds of functions by index. */
  kinds: ReadonlyMap<number, Kind>;
  /** Functions that can be called at all. */
  alive: ReadonlySet<number>;
  /**
   * Functions that those of known kinds may call, by whatever way, through tables as well: what is not among them has no part in
   * what these do.
   */
  behind: ReadonlySet<number>;
  graph: CallGraph;
  label(index: number): string;
  /** Whether it stores or asks for pages itself: what passes its arguments on, and may check them, does not. */
  changesMemory(index: number): boolean;
}

/** Prefixes of bulk memory and of atomic instructions. */
const prefixes: readonly number[] = [0xfc, 0xfe];

/** `i32.store`, behind which the other stores follow. */
const firstStore = 0x36;

/** Stores and `memory.grow`. */
export function changesMemory(opcode: number): boolean {
  const isStore = opcode >= firstStore && opcode < op.memorySize;
  return isStore || opcode === op.memoryGrow || prefixes.includes(opcode);
}

function hasChanges({ bytes, bodies, importedFunctionCount }: Module, index: number): boolean {
  const end = bodies.end[index - importedFunctionCount]!;
  let pos = countLocals(bytes, bodies.start[index - importedFunctionCount]!, end).end;
  for (; pos < end; pos = instructionEnd(bytes, pos)) if (changesMemory(bytes[pos]!)) return true;
  return false;
}

/** What the host or a table can call, and all that it reaches. */
function aliveIn(module: Module, graph: CallGraph): Set<number> {
  const alive = new Set(module.elements.flatMap(({ functions }) => functions ?? []));
  for (const { kind, index } of module.exports) if (kind === externalKind.function) alive.add(index);
  if (module.start !== undefined) alive.add(module.start);
  for (const index of alive) for (const callee of graph.callees(index)) alive.add(callee);
  return alive;
}

/** All that these may reach: of calls through tables, whatever has the type. */
function behindOf(module: Module, graph: CallGraph, from: Iterable<number>): Set<number> {
  const tabled = new Map<number, number[]>();
  for (const { functions = [] } of module.elements)
    for (const index of functions) {
      const type = module.functionTypeIndex(index);
      tabled.set(type, [...(tabled.get(type) ?? []), index]);
    }
  const behind = new Set(from);
  for (const index of behind) {
    for (const callee of graph.callees(index)) behind.add(callee);
    for (const type of graph.indirectTypes(index))
      for (const callee of tabled.get(type) ?? []) behind.add(callee);
  }
  return behind;
}

/** @param exported takes the names of exports, for modules without a name section */
export function truthOf(module: Module, exported = false): Truth {
  const found = new Map<number, Kind>();
  const names = new Map(module.names.functions ?? []);
  const partial = exported && names.size * 2 < module.functions.length;
  if (partial) {
    for (const { kind, name, index } of module.exports)
      if (kind === externalKind.function) names.set(index, name);
  }
  for (const [index, name] of names) {
    const kind = kindOfName(name);
    if (kind && index >= module.importedFunctionCount && index < module.functionCount) found.set(index, kind);
  }
  const graph = buildCallGraph(module, findSites(module));
  return {
    partial,
    kinds: found,
    alive: aliveIn(module, graph),
    behind: behindOf(module, graph, found.keys()),
    graph,
    label: (index) => names.get(index) ?? `function ${index}`,
    changesMemory: (index) => hasChanges(module, index),
  };
}

/** Without those of collected heaps, which are never found by what they do. */
const kindOfRole: Partial<Record<AllocatorFunction["role"], Kind>> = {
  malloc: "malloc",
  alloc_aligned: "malloc",
  malloc_method: "malloc",
  malloc_traced_method: "malloc",
  calloc: "calloc",
  realloc: "realloc",
  rust_realloc: "realloc",
  wbindgen_realloc: "realloc",
  sized_realloc: "realloc",
  cabi_realloc: "realloc",
  realloc_method: "realloc",
  realloc_layout_method: "realloc",
  free: "free",
  free_method: "free",
  free_sized_method: "free",
  free_traced_method: "free",
  memalign: "memalign",
  posix_memalign: "memalign",
  memalign_method: "memalign",
};

/** How deep below a function that has a name the one that was found may be: in builds without optimisation ever so deep. */
const depth = 8;

export interface Comparison {
  verdicts: Record<Kind, Verdict>;
  /** For people: what was found in place of what. */
  details: string[];
}

/** @param taken kinds of functions that wasm-opt put a whole allocator function into: that is where it is now */
export function compare(
  truth: Truth,
  found: readonly AllocatorFunction[],
  taken: ReadonlyMap<string, Kind> = new Map(),
): Comparison {
  const details: string[] = [];
  const wrong = new Set<Kind>();
  const indices = new Set(found.map(({ index }) => index));
  const releasing = new Set(found.flatMap(({ role, index }) => (kindOfRole[role] === "free" ? [index] : [])));
  const allocating = new Set([...indices].filter((index) => !releasing.has(index)));
  for (const { role, index } of found) {
    const kind = kindOfRole[role];
    if (kind === undefined || allowed(truth, index, kind) || isAlike(taken.get(truth.label(index)), kind))
      continue;
    wrong.add(kind);
    details.push(`${role} ${truth.label(index)}`);
  }
  const verdicts = {} as Record<Kind, Verdict>;
  for (const kind of kinds) {
    const used = [...truth.kinds].filter(([index, is]) => is === kind && isUsed(truth, index));
    // what is made of others that are hooked needs no hook
    const missing = used.filter(([index]) => {
      const alike = kind === "free" ? releasing : allocating;
      if (indices.has(index) || truth.graph.reaches(index, alike, depth)) return false;
      return !below(truth, index, indices);
    });
    if (wrong.has(kind)) verdicts[kind] = "wrong";
    else if (used.length === 0) verdicts[kind] = "none";
    else verdicts[kind] = missing.length === 0 ? "right" : "not found";
    if (found.length > 0 && verdicts[kind] === "not found") {
      details.push(`not ${missing.map(([index]) => truth.label(index)).join(", ")}`);
    }
  }
  return { verdicts, details };
}

/** Whether both give blocks, or both are the same. */
function isAlike(one: Kind | undefined, other: Kind): boolean {
  return one === other || (one !== undefined && one !== "free" && other !== "free" && other !== "realloc");
}

/** A function of that kind, or one that only such a function calls: the optimiser split it. */
function allowed(truth: Truth, index: number, kind: Kind): boolean {
  const is = truth.kinds.get(index);
  if (is === kind) return true;
  // zeroed and aligned forms give blocks of the same size by the same arguments
  if (is === "calloc" && kind === "malloc") return !/(?:^|_)calloc$/.test(truth.label(index));
  if (is === "memalign" && kind === "malloc") return true;
  // of Rust: takes the alignment first
  if (is === "calloc" && kind === "memalign") return /alloc_zeroed/.test(truth.label(index));
  // takes the alignment first
  if (is === "malloc" && kind === "memalign") return true;
  if (is !== undefined) return false;
  // only exports have names: what those of known kinds may call, and kinds of which none is exported
  if (truth.partial) return truth.behind.has(index) || ![...truth.kinds.values()].includes(kind);
  const callers = truth.graph.callers(index);
  return callers.length > 0 && callers.every((caller) => isAlike(truth.kinds.get(caller), kind));
}

/** Called by others than the allocator, by the host or through a table. */
function isUsed(truth: Truth, index: number): boolean {
  if (!truth.alive.has(index)) return false;
  const callers = truth.graph.callers(index).filter((caller) => truth.alive.has(caller));
  return (
    callers.length === 0 ||
    callers.some((caller) => !truth.kinds.has(caller) && !mimallocs.test(truth.label(caller)))
  );
}

/** Whether all calls come from functions that were found. */
function below(truth: Truth, index: number, found: ReadonlySet<number>): boolean {
  const callers = truth.graph.callers(index);
  return callers.length > 0 && callers.every((caller) => found.has(caller));
}
