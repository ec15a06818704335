/**
 * Which toolchain made a module: by its `producers` section, and where optimisers dropped that, by the imports,
 * exports and names that toolchains are known for.
 */
import { DecodeError } from "../errors.js";
import type { Module } from "../wasm/module.js";
import { decodeProducers } from "../wasm/producers.js";
import { externalKind, sectionId } from "../wasm/types.js";

const unknownToolchain = "unknown";

interface Evidence {
  /** Version of a tool in the producers section, empty where it gives none; undefined when it isn't there. */
  tool(name: RegExp): string | undefined;
  importsFrom(module: RegExp): boolean;
  imports(name: RegExp): boolean;
  exports(name: RegExp): boolean;
  named(pattern: RegExp): boolean;
  custom(name: string): boolean;
  /** Whether the data contains this text. */
  data(text: string): boolean;
}

/** In words for people, as `wasm-bindgen 0.2.95 (Rust 1.86.0-nightly)`; `unknown` where nothing tells. */
export function detectToolchain(module: Module): string {
  const evidence = gather(module);
  for (const detect of detectors) {
    const toolchain = detect(evidence);
    if (toolchain) return toolchain;
  }
  return unknownToolchain;
}

/** Whether TinyGo made it. */
export function isTinyGo(module: Module): boolean {
  return detectGo(gather(module))?.startsWith("TinyGo") ?? false;
}

/** Whether Go's own compiler made it. Looks at no names: there may be many. */
export function isGo(module: Module): boolean {
  return detectGo(gather(module))?.startsWith("Go") ?? false;
}

function detectGo({ tool, importsFrom, exports }: Evidence): string | undefined {
  const tinyGo = tool(/^TinyGo$/);
  if (tinyGo !== undefined || exports(/^(?:go_scheduler|tinygo_\w+)$/)) return versioned("TinyGo", tinyGo);
  const go = tool(/^Go cmd\/compile$/);
  if (go === undefined && !importsFrom(/^go(?:js)?$/)) return undefined;
  return versioned("Go", go?.replace(/^go/, ""));
}

/** From the most particular to the most general: Rust's module may be wasm-bindgen's, Emscripten's or WASI's. */
const detectors: readonly ((evidence: Evidence) => string | undefined)[] = [
  detectGo,
  ({ importsFrom, exports, named, custom }) => {
    const debug = named(/^~lib\/rt\//);
    const runtime = exports(/^__(?:rtti_base|pin|unpin|collect|retain)$/) && !importsFrom(/^wbg$/);
    return debug || runtime || custom("assemblyscript") ? "AssemblyScript" : undefined;
  },
  (evidence) => {
    const { tool, importsFrom, imports, exports } = evidence;
    const version = tool(/^wasm-bindgen$/);
    const known =
      importsFrom(/^(?:wbg|__wbindgen_placeholder__|\.\/.*_bg\.js)$/) ||
      imports(/^__wbindgen_/) ||
      exports(/^__wbindgen_/);
    if (version === undefined && !known) return undefined;
    return `${versioned("wasm-bindgen", shortVersion(version))} (${rust(evidence) ?? "Rust"})`;
  },
  (evidence) => {
    const { imports, exports } = evidence;
    if (!imports(/^napi_/) && !exports(/^napi_register_/)) return undefined;
    const rustMade =
      rust(evidence) ?? (exports(/^(?:__napi_register__|napi_wasm_malloc)/) ? "Rust" : undefined);
    return rustMade ? `napi-rs (${rustMade})` : "Node-API";
  },
  ({ tool, named }) => {
    const clang = [tool(/zig-bootstrap/), tool(/^Zig$/i)].find((version) => version !== undefined);
    if (clang === undefined && !named(/^(?:heap\.(?:Wasm|Page|ArenaA)\w*|start\.\w+|builtin\.default_panic)/))
      return undefined;
    return "Zig";
  },
  (evidence) => {
    const { importsFrom, imports, exports, custom, named } = evidence;
    const side = custom("dylink.0") || custom("dylink");
    const base = imports(/^__memory_base$/) && imports(/^__table_base$/);
    if (side || base)
      return exports(/^emscripten_/) || imports(/^emscripten_/) ? "Emscripten" : "Emscripten side module";
    const known =
      imports(/^(?:emscripten_|_emscripten_|invoke_[a-z]+$|__syscall_|_embind_|_emval_|_abort_js$)/) ||
      exports(/^(?:emscripten_|_emscripten_|stackAlloc$|stackSave$|dynCall_)/) ||
      named(/^emscripten_/);
    if (known) return madeBy("Emscripten", rust(evidence));
    // minified: everything comes from `a` under names of one or two letters
    const minified = importsFrom(/^a$/) && imports(/^[a-zA-Z_$]{1,2}$/) && exports(/^[a-zA-Z_$]{1,2}$/);
    return minified ? "Emscripten (minified)" : undefined;
  },
  (evidence) => {
    const made = rust(evidence);
    if (!made) return undefined;
    if (evidence.exports(/^(?:cabi_realloc|canonical_abi_realloc)/)) return `${made} for the component model`;
    return evidence.importsFrom(/^wasi_/) ? `${made} for WASI` : made;
  },
  ({ tool, importsFrom, exports }) => {
    const clang = shortVersion(tool(/clang/));
    const wasi = importsFrom(/^wasi_/);
    if (clang === undefined && !wasi) return undefined;
    if (exports(/^cabi_realloc$/)) return "wit-bindgen (C)";
    const compiler = versioned("clang", clang);
    return wasi ? `wasi-sdk${clang === undefined ? "" : ` (${compiler})`}` : compiler;
  },
  // panic messages survive strippers
  ({ data }) => (data("/rustc/") || data("called `Option::unwrap()`") ? "Rust" : undefined),
];

function rust({ tool, named }: Evidence): string | undefined {
  const version = tool(/^rustc$/);
  if (version !== undefined) return versioned("Rust", shortVersion(version));
  return named(/^(?:core::panicking::|alloc::raw_vec::|_?_ZN4core9panicking|_RNv\w*4core9panicking)/)
    ? "Rust"
    : undefined;
}

function madeBy(toolchain: string, language: string | undefined): string {
  return language ? `${toolchain} (${language})` : toolchain;
}

function versioned(tool: string, version: string | undefined): string {
  return version ? `${tool} ${version}` : tool;
}

/** `1.86.0-nightly` of `1.86.0-nightly (3f43b1a63 2025-01-03)`. */
function shortVersion(version: string | undefined): string | undefined {
  return version?.split(" ")[0];
}

/** By module: finding asks several times who made it. */
const gathered = new WeakMap<Module, Evidence>();

function gather(module: Module): Evidence {
  let evidence = gathered.get(module);
  if (!evidence) gathered.set(module, (evidence = evidenceOf(module)));
  return evidence;
}

function evidenceOf(module: Module): Evidence {
  const producers = producersOf(module);
  const { imports } = module;
  const exported = module.exports;
  let names: string[] | undefined;
  return {
    tool: (name) => {
      const found = producers.filter((producer) => name.test(producer.name) || name.test(producer.version));
      // linked libraries bring the versions of their own, older compilers
      return found
        .map(({ version }) => version)
        .sort(compareVersions)
        .at(-1);
    },
    importsFrom: (pattern) => imports.some((item) => pattern.test(item.module)),
    imports: (pattern) =>
      imports.some(({ name, kind }) => kind !== externalKind.memory && pattern.test(name)),
    exports: (pattern) => exported.some(({ name }) => pattern.test(name)),
    named: (pattern) => {
      names ??= [...(module.names.functions?.values() ?? [])];
      return names.some((name) => pattern.test(name));
    },
    custom: (name) => module.custom(name) !== undefined,
    data: (text) => contains(module.section(sectionId.data)?.bytes, text),
  };
}

const { compare: compareVersions } = new Intl.Collator("en", { numeric: true });

function producersOf(module: Module): { name: string; version: string }[] {
  const section = module.custom("producers");
  if (!section) return [];
  try {
    return [...decodeProducers(module.reader(section)).values()].flat();
  } catch (error) {
    // what only informs must not stop anything
    if (error instanceof DecodeError) return [];
    throw error;
  }
}

function contains(bytes: Uint8Array | undefined, text: string): boolean {
  if (!bytes) return false;
  const wanted = new TextEncoder().encode(text);
  for (let at = bytes.indexOf(wanted[0]); at >= 0; at = bytes.indexOf(wanted[0], at + 1)) {
    let length = 1;
    while (length < wanted.length && bytes[at + length] === wanted[length]) length++;
    if (length === wanted.length) return true;
  }
  return false;
}
