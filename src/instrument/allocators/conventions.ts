/**
 * Names under which toolchains' allocator functions are known, and the role that each name stands for. A name
 * alone decides nothing: the function's type has to fit (`fitsConvention`).
 */
import { type FunctionType, type ValueType, valueType } from "../../wasm/types.js";
import { fitsRole } from "../hooks.js";
import { type AllocatorRole, allocatorRoles } from "../roles.js";

export type Family = "C" | "C++" | "Rust" | "AssemblyScript" | "Zig" | "boundary";

export interface Convention {
  role: AllocatorRole;
  family: Family;
  /** How many parameters the function may have. */
  parameters: readonly [min: number, max: number];
}

/** What a function of this name is expected to be; several where the number of parameters decides. */
export function conventionsOf(name: string): readonly Convention[] {
  const letter = name.charCodeAt(0);
  // a module has thousands of names: nearly all are left out by their length, their first letter, and one word
  if (name.length <= longestCName && lettersOfC.has(letter)) {
    const c = cNames.get(name);
    if (c) return [c];
  }
  for (const { opening, part, pattern, conventions } of patternsByLetter.get(letter) ?? patternsOfPaths) {
    if (!name.startsWith(opening) || !name.includes(part)) continue;
    const match = pattern.exec(name);
    if (match) return conventions(match);
  }
  return none;
}

const none: readonly Convention[] = [];

/** Whether a function of this type can be what the convention says. `pointer` is the type of addresses. */
export function fitsConvention(convention: Convention, type: FunctionType, pointer: ValueType): boolean {
  const { role, parameters } = convention;
  const [min, max] = parameters;
  if (type.params.length < min || type.params.length > max || !fitsRole(role, type)) return false;
  const { params, returns } = allocatorRoles[role];
  if (params.some((meaning, i) => meaning !== "alignment" && type.params[i] !== pointer)) return false;
  if (returns === "block") return type.results[0] === pointer;
  return returns === "error" ? type.results[0] === valueType.i32 : type.results.length === 0;
}

function convention(
  family: Family,
  role: AllocatorRole,
  min: number = allocatorRoles[role].params.length,
  max = min,
): Convention {
  return { family, role, parameters: [min, max] };
}

const cNames = new Map<string, Convention>();

/** The C functions under the prefixes that libraries give them. */
const cPrefixes = ["", "__", "__libc_", "dl", "emscripten_builtin_", "emmalloc_", "mi_", "je_"];
const cFunctions: readonly (readonly [string, AllocatorRole])[] = [
  ["malloc", "malloc"],
  ["zalloc", "malloc"],
  ["valloc", "malloc"],
  ["pvalloc", "malloc"],
  ["calloc", "calloc"],
  ["realloc", "realloc"],
  ["free", "free"],
  ["memalign", "memalign"],
  ["aligned_alloc", "memalign"],
  ["posix_memalign", "posix_memalign"],
  ["malloc_aligned", "alloc_aligned"],
];
for (const prefix of cPrefixes) {
  for (const [name, role] of cFunctions) {
    // without a prefix of a library these two are anybody's names
    if (prefix === "" && (name === "zalloc" || name === "malloc_aligned")) continue;
    cNames.set(prefix + name, convention("C", role));
  }
}
cNames.set("internal_memalign", convention("C", "memalign"));
// as Emscripten's compiler before 2020 named what it exported
for (const [name, role] of cFunctions)
  if (/^(?:[cm]|re)alloc$|^free$|^memalign$/.test(name)) cNames.set(`_${name}`, convention("C", role));
for (const [name, role, parameters] of [
  ["mi_zalloc_aligned", "alloc_aligned", 2],
  ["mi_malloc_small", "malloc", 1],
  ["mi_zalloc_small", "malloc", 1],
  ["mi_free_size", "free", 2],
  ["mi_free_aligned", "free", 2],
  ["mi_free_size_aligned", "free", 3],
] as const) {
  cNames.set(name, convention("C", role, parameters));
}
const lettersOfC = new Set([...cNames.keys()].map((name) => name.charCodeAt(0)));
const longestCName = Math.max(...[...cNames.keys()].map(({ length }) => length));

const rustAllocator: Record<string, Convention> = {
  alloc: convention("Rust", "alloc_aligned"),
  alloc_zeroed: convention("Rust", "alloc_aligned"),
  // size and alignment, which the default allocator doesn't use, may have been optimised away
  dealloc: convention("Rust", "free", 1, 3),
  realloc: convention("Rust", "rust_realloc"),
};

/** `dlmalloc::dlmalloc::Dlmalloc`: without `self` where the optimiser found that there is only one. */
const dlmallocInner: Record<string, readonly Convention[]> = {
  malloc: [convention("Rust", "malloc"), convention("Rust", "malloc_method")],
  calloc: [convention("Rust", "malloc"), convention("Rust", "malloc_method")],
  free: [convention("Rust", "free"), convention("Rust", "free_method")],
  realloc: [convention("Rust", "realloc"), convention("Rust", "realloc_method")],
  memalign: [convention("Rust", "memalign"), convention("Rust", "memalign_method")],
};

/** `dlmalloc::Dlmalloc`, the public one, takes alignments. */
const dlmallocOuter: Record<string, readonly Convention[]> = {
  malloc: [convention("Rust", "alloc_aligned"), convention("Rust", "malloc_method", 3)],
  calloc: [convention("Rust", "alloc_aligned"), convention("Rust", "malloc_method", 3)],
  free: [convention("Rust", "free", 3), convention("Rust", "free_method", 4)],
  realloc: [convention("Rust", "rust_realloc")],
};

/**
 * `talc::Talc` and its lock: `Layout` is handed over as alignment and size, and a release doesn't look at the alignment.
 * What else they have calls these.
 */
const talc: Record<string, readonly Convention[]> = {
  malloc: [convention("Rust", "memalign_method")],
  free: [convention("Rust", "free_sized_method")],
  realloc: [convention("Rust", "realloc_layout_method")],
};

const assemblyScript: Record<string, Convention> = {
  __alloc: convention("AssemblyScript", "malloc", 1, 2),
  __realloc: convention("AssemblyScript", "realloc"),
  __free: convention("AssemblyScript", "free"),
  allocateBlock: convention("AssemblyScript", "malloc_method", 2, 3),
  reallocateBlock: convention("AssemblyScript", "realloc_method"),
  freeBlock: convention("AssemblyScript", "free_method"),
};

/** Names of one form. */
interface Pattern {
  /** How all of them begin. */
  opening: string;
  /** What is in all of them: to look for it is quicker than to match. */
  part: string;
  pattern: RegExp;
  conventions(match: RegExpExecArray): readonly Convention[];
}

const patterns: readonly Pattern[] = [
  {
    opening: "operator ",
    part: "new",
    pattern:
      /^operator new(?:\[\])?\((?:unsigned (?:int|long(?: long)?)|size_t)(, std::align_val_t)?(, std::nothrow_t const&)?\)$/,
    conventions: ([, aligned, nothrow]) => [operatorNew(aligned, nothrow)],
  },
  {
    opening: "_Zn",
    part: "",
    pattern: /^_Zn[wa][jmy](St11align_val_t)?(RKSt9nothrow_t)?$/,
    conventions: ([, aligned, nothrow]) => [operatorNew(aligned, nothrow)],
  },
  {
    opening: "operator ",
    part: "delete",
    pattern:
      /^operator delete(?:\[\])?\(void\*(?:, (?:unsigned (?:int|long(?: long)?)|size_t))?(?:, std::align_val_t)?(?:, std::nothrow_t const&)?\)$/,
    conventions: () => [convention("C++", "free", 1, 4)],
  },
  {
    opening: "_Zd",
    part: "",
    pattern: /^_Zd[la]Pv[jmy]?(?:St11align_val_t)?(?:RKSt9nothrow_t)?$/,
    conventions: () => [convention("C++", "free", 1, 4)],
  },
  {
    opening: "__r",
    part: "alloc",
    pattern:
      /^(?:__rustc(?:\[[0-9a-f]+\])?::)?__(?:rust|rdl|rg)_(alloc|alloc_zeroed|dealloc|realloc)(?:::h[0-9a-f]{16})?$/,
    conventions: ([, name]) => [rustAllocator[name]],
  },
  {
    opening: "_RNvC",
    part: "7___rustc",
    pattern: /^_RNvC\w*7___rustc\d+_?__(?:rust|rdl|rg)_(alloc|alloc_zeroed|dealloc|realloc)$/,
    conventions: ([, name]) => [rustAllocator[name]],
  },
  {
    opening: "",
    part: "dlmalloc::Dlmalloc",
    pattern:
      /(dlmalloc::)?dlmalloc::Dlmalloc(?:<.*>)?>?::(malloc|calloc|free|realloc|memalign)(?:::h[0-9a-f]{16})?$/,
    conventions: ([, inner, name]) => (inner ? dlmallocInner : dlmallocOuter)[name] ?? [],
  },
  {
    opening: "_ZN8dlmalloc",
    part: "",
    pattern:
      /^_ZN8dlmalloc(8dlmalloc)?\d+Dlmalloc(?:\$LT\$\w+\$GT\$)?\d(malloc|calloc|free|realloc|memalign)17h[0-9a-f]{16}E$/,
    conventions: ([, inner, name]) => (inner ? dlmallocInner : dlmallocOuter)[name] ?? [],
  },
  {
    opening: "_R",
    part: "8dlmalloc",
    pattern:
      /^_R.*?8dlmalloc(8dlmalloc)?.*8Dlmalloc.*\d(malloc|calloc|free|realloc|memalign)(?:B\w*_|Cs\w+)?$/,
    conventions: ([, inner, name]) => (inner ? dlmallocInner : dlmallocOuter)[name] ?? [],
  },
  {
    opening: "_R",
    part: "4talc4talc",
    pattern: /^_R.*4talc4talcI\w*4Talc\w*E\d(malloc|free)(?:B\w*_|Cs\w+)?(?:\.llvm\.\d+)?$/,
    conventions: ([, name]) => talc[name],
  },
  {
    opening: "_R",
    part: "4talc5talck",
    pattern: /^_R.*4talc5talckI\w*5Talck\w*GlobalAlloc\d(realloc)(?:B\w*_|Cs\w+)?(?:\.llvm\.\d+)?$/,
    conventions: ([, name]) => talc[name],
  },
  {
    opening: "_ZN4talc4talc",
    part: "",
    pattern: /^_ZN4talc4talc\d+Talc\$LT\$\w+\$GT\$\d(malloc|free)17h[0-9a-f]{16}E/,
    conventions: ([, name]) => talc[name],
  },
  {
    opening: "_ZN",
    part: "talc..talck..Talck",
    pattern: /^_ZN\d+_?\$LT\$talc\.\.talck\.\.Talck.*GlobalAlloc\$GT\$\d(realloc)17h[0-9a-f]{16}E/,
    conventions: ([, name]) => talc[name],
  },
  {
    opening: "~lib/rt/",
    part: "",
    pattern: /^~lib\/rt\/(?:tlsf|stub)\/(__alloc|__realloc|__free|\w+Block)$/,
    conventions: ([, name]) => pick(assemblyScript, name),
  },
  {
    opening: "__",
    part: "",
    pattern: /^(__alloc|__realloc|__free)$/,
    conventions: ([, name]) => pick(assemblyScript, name),
  },
  // context, length, log2 of the alignment, return address; free: context, address, length, …; debug builds since 0.14
  // pass a trace of errors first
  {
    opening: "heap.",
    part: "",
    pattern: /^heap\.(?:Wasm|Brk)Allocator\.alloc$/,
    conventions: () => [convention("Zig", "malloc_method", 4), convention("Zig", "malloc_traced_method", 5)],
  },
  {
    opening: "heap.",
    part: "",
    pattern: /^heap\.(?:Wasm|Brk)Allocator\.free$/,
    conventions: () => [convention("Zig", "free_method", 5), convention("Zig", "free_traced_method", 6)],
  },
  // before 0.2.85 without the alignment, which was always that of a pointer
  {
    opening: "__wbindgen_",
    part: "",
    pattern: /^__wbindgen_malloc$/,
    conventions: () => [convention("boundary", "alloc_aligned"), convention("boundary", "malloc")],
  },
  {
    opening: "__wbindgen_",
    part: "",
    pattern: /^__wbindgen_realloc$/,
    conventions: () => [convention("boundary", "wbindgen_realloc"), convention("boundary", "sized_realloc")],
  },
  {
    opening: "__wbindgen_",
    part: "",
    pattern: /^__wbindgen_free$/,
    conventions: () => [convention("boundary", "free", 2, 3)],
  },
  {
    opening: "ca",
    part: "_realloc",
    pattern: /^(?:cabi|canonical_abi)_realloc$/,
    conventions: () => [convention("boundary", "cabi_realloc")],
  },
  {
    opening: "canonical_abi_free",
    part: "",
    pattern: /^canonical_abi_free$/,
    conventions: () => [convention("boundary", "free", 3)],
  },
  {
    opening: "napi_wasm_malloc",
    part: "",
    pattern: /^napi_wasm_malloc$/,
    conventions: () => [convention("boundary", "malloc")],
  },
];

/** Those that may begin with anything: paths of types. */
const patternsOfPaths = patterns.filter(({ opening }) => opening === "");

/** By the code of the first letter, in their order. */
const patternsByLetter: ReadonlyMap<number, readonly Pattern[]> = new Map(
  patterns
    .map(({ opening }) => opening.charAt(0))
    .filter((letter) => letter !== "")
    .map((letter) => [
      letter.charCodeAt(0),
      patterns.filter(({ opening }) => opening === "" || opening.startsWith(letter)),
    ]),
);

function pick(table: Record<string, Convention>, name: string): readonly Convention[] {
  return Object.hasOwn(table, name) ? [table[name]] : [];
}

function operatorNew(aligned: string | undefined, nothrow: string | undefined): Convention {
  if (!aligned) return convention("C++", "malloc", nothrow ? 2 : 1);
  return convention("C++", "alloc_aligned", nothrow ? 3 : 2);
}

/** Exports of newer wasm-bindgen, whose names tell nothing but that they are wasm-bindgen's. */
export const numberedBindgenExport = /^__wbindgen_export(?:_?\d+)?$/;

/**
 * A name from the name section as people know it. Rust's older mangling is simple enough to be undone here, and
 * allocator names of the newer one; the rest is the demangler's.
 */
export function readableName(name: string): string {
  const shim =
    /^_RNvC\w*7___rustc\d+_?(__(?:rust|rdl|rg)_\w+)$/.exec(name) ?? /^__rustc(?:\[\w+\])?::(\w+)$/.exec(name);
  if (shim) return shim[1];
  const legacy = /^_ZN(.*)17h[0-9a-f]{16}E$/.exec(name);
  return legacy ? legacyPath(legacy[1]) : name.replace(/::h[0-9a-f]{16}$/, "");
}

const legacyEscapes: Record<string, string> = {
  LT: "<",
  GT: ">",
  u20: " ",
  RF: "&",
  BP: "*",
  LP: "(",
  RP: ")",
  C: ",",
};

/** `8dlmalloc8dlmalloc17Dlmalloc$LT$A$GT$4free` */
function legacyPath(path: string): string {
  const parts: string[] = [];
  for (let pos = 0; pos < path.length; ) {
    const digits = /^\d+/.exec(path.slice(pos))?.[0];
    if (!digits) return path;
    pos += digits.length;
    parts.push(path.slice(pos, pos + Number(digits)));
    pos += Number(digits);
  }
  const plain = parts.map((part) =>
    part.replace(/^_(?=\$)/, "").replaceAll(/\$(\w+)\$/g, (all, code: string) => legacyEscapes[code] ?? all),
  );
  return plain.join("::").replaceAll("..", "::");
}
