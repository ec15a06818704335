// Readable names for C++ (Itanium) and Rust (legacy and v0), by the demangler of the Firefox Profiler. Its own
// entry point imports a .wasm file, which Node 20 can't do: so it is instantiated here, when first needed.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import * as glue from "gecko-profiler-demangle/index_bg.js";

let ready = false;

function load(): void {
  const path = createRequire(import.meta.url).resolve("gecko-profiler-demangle/index_bg.wasm");
  const module = new WebAssembly.Module(readFileSync(path));
  const instance = new WebAssembly.Instance(module, { "./index_bg.js": { ...glue } });
  glue.__wbg_set_wasm(instance.exports);
  (instance.exports.__wbindgen_start as () => void)();
  ready = true;
}

/** A mangled name in readable form; any other name as it is. */
export function demangle(name: string): string {
  // Any other name would only lose an underscore at its start.
  if (!/^(_{0,2}_Z|_?_R)/.test(name)) return name;
  if (!ready) load();
  const readable = glue.demangle_any(name);
  return name.endsWith(readable) ? name : readable;
}
