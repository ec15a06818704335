// Readable names for C++ (Itanium) and Rust (legacy and v0), by the demangler of the Firefox Profiler. Its own
// entry point imports a .wasm file, which Node 20 can't do: so it is instantiated here, when first needed, and so that
// it appears in no profile of the program that runs here.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import * as glue from "gecko-profiler-demangle/index_bg.js";
import { instantiateUnseen } from "../attach/natives.js";

let ready = false;

function load(): void {
  const path = createRequire(import.meta.url).resolve("gecko-profiler-demangle/index_bg.wasm");
  const exports = instantiateUnseen(readFileSync(path), { "./index_bg.js": { ...glue } });
  glue.__wbg_set_wasm(exports);
  (exports.__wbindgen_start as () => void)();
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
