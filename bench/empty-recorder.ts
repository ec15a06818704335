import { CodeWriter } from "../src/instrument/emit.js";
import { type RecorderFunction, recorderFunctionType } from "../src/instrument/plan.js";
import { Writer } from "../src/wasm/leb128.js";
import { encodeModule, makeSection } from "../src/wasm/module.js";
import { encodeExports } from "../src/wasm/sections/exports.js";
import { encodeTypes } from "../src/wasm/sections/types.js";
import { externalKind, sectionId } from "../src/wasm/types.js";

const names: readonly RecorderFunction[] = [
  "alloc",
  "free",
  "realloc",
  "allocSlowly",
  "freeSlowly",
  "reallocSlowly",
  "leave",
  "abandon",
  "nested",
  "grown",
];

/** A wasm module with the recorder's functions, which do nothing: what is left is the cost of the calls. */
export function emptyRecorder(): Record<string, WebAssembly.ExportValue> {
  const types = names.map(recorderFunctionType);
  const functions = new Writer();
  const code = new Writer();
  functions.u32(names.length);
  code.u32(names.length);
  types.forEach(({ results }, i) => {
    functions.u32(i);
    const body = new CodeWriter(8);
    body.u32(0);
    // every entry that finds a context is nested, no entry has anything to do on its way out
    if (results.length > 0) body.i32Const(names[i] === "nested" ? 1 : 0);
    body.end();
    code.u32(body.length);
    code.bytes(body.finish());
  });
  const exports = names.map((name, index) => ({ name, kind: externalKind.function, index }));
  const bytes = encodeModule([
    makeSection(sectionId.type, encodeTypes(types)),
    makeSection(sectionId.function, functions.finish()),
    makeSection(sectionId.export, encodeExports(exports)),
    makeSection(sectionId.code, code.finish()),
  ]);
  return new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
}
