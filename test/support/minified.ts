import { readFileSync } from "node:fs";
import { decodeModule, encodeModule, makeSection, replaceSections } from "../../src/wasm/module.js";
import { encodeExports } from "../../src/wasm/sections/exports.js";
import { sectionId } from "../../src/wasm/types.js";

const short: Record<string, string> = {
  make: "a",
  malloc: "b",
  realloc: "c",
  free: "d",
  resize: "e",
  release: "f",
};

/** A module of wasi-libc's allocator whose exports are called as Emscripten's minifier would call them. */
export function minifiedModule(): Uint8Array<ArrayBuffer> {
  const file = new URL("../fixtures/allocators/c-exports.wasm", import.meta.url);
  const { sections, exports } = decodeModule(readFileSync(file));
  const renamed = exports.flatMap((item) => (short[item.name] ? [{ ...item, name: short[item.name] }] : []));
  return encodeModule(replaceSections(sections, [makeSection(sectionId.export, encodeExports(renamed))]));
}
