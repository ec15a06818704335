// Small modules written byte by byte, and ways to go through everything that a module has.
import type { Reader } from "../../src/wasm/leb128.js";
import { encodeModule, type Module, makeSection } from "../../src/wasm/module.js";
import { decodeBodies, decodeLocals, encodeBodies } from "../../src/wasm/sections/code.js";
import { decodeData, encodeData } from "../../src/wasm/sections/data.js";
import { decodeDataCount, encodeDataCount } from "../../src/wasm/sections/data-count.js";
import { decodeElements, encodeElements } from "../../src/wasm/sections/elements.js";
import { decodeExports, encodeExports } from "../../src/wasm/sections/exports.js";
import { decodeFunctions, encodeFunctions } from "../../src/wasm/sections/functions.js";
import { decodeGlobals, encodeGlobals } from "../../src/wasm/sections/globals.js";
import { decodeImports, encodeImports } from "../../src/wasm/sections/imports.js";
import { decodeMemories, encodeMemories } from "../../src/wasm/sections/memories.js";
import { decodeStart, encodeStart } from "../../src/wasm/sections/start.js";
import { decodeTables, encodeTables } from "../../src/wasm/sections/tables.js";
import { decodeTags, encodeTags } from "../../src/wasm/sections/tags.js";
import { decodeTypes, encodeTypes } from "../../src/wasm/sections/types.js";
import { type RawSection, sectionId } from "../../src/wasm/types.js";

/** Bytes from hexadecimal digits; `"text"` stands for its UTF-8, `;` begins a comment. */
export function hex(text: string): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  for (const [, quoted, digits, rest] of text
    .replace(/;.*$/gm, "")
    .matchAll(/"([^"]*)"|([0-9a-f]{2})|(\S)/gi)) {
    if (rest !== undefined) throw new Error(`not hexadecimal: ${rest}`);
    if (quoted !== undefined) bytes.push(...new TextEncoder().encode(quoted));
    else bytes.push(Number.parseInt(digits, 16));
  }
  return Uint8Array.from(bytes);
}

/** A module of these sections: id and payload, a custom section with its name in front of the payload. */
export function moduleOf(...sections: [id: number, payload: string][]): Uint8Array<ArrayBuffer> {
  return encodeModule(sections.map(([id, payload]) => rawSection(id, hex(payload))));
}

function rawSection(id: number, payload: Uint8Array): RawSection {
  if (id !== sectionId.custom) return makeSection(id, payload);
  const name = new TextDecoder().decode(payload.subarray(1, 1 + payload[0]));
  return makeSection(id, payload.subarray(1 + payload[0]), name);
}

/** Decoder and encoder of each section as one function: payload to payload. */
const codecs: Record<number, (reader: Reader) => Uint8Array> = {
  [sectionId.type]: (reader) => encodeTypes(decodeTypes(reader)),
  [sectionId.import]: (reader) => encodeImports(decodeImports(reader)),
  [sectionId.function]: (reader) => encodeFunctions(decodeFunctions(reader)),
  [sectionId.table]: (reader) => encodeTables(decodeTables(reader)),
  [sectionId.memory]: (reader) => encodeMemories(decodeMemories(reader)),
  [sectionId.tag]: (reader) => encodeTags(decodeTags(reader)),
  [sectionId.global]: (reader) => encodeGlobals(decodeGlobals(reader)),
  [sectionId.export]: (reader) => encodeExports(decodeExports(reader)),
  [sectionId.start]: (reader) => encodeStart(decodeStart(reader)),
  [sectionId.element]: (reader) => encodeElements(decodeElements(reader)),
  [sectionId.dataCount]: (reader) => encodeDataCount(decodeDataCount(reader)),
  [sectionId.code]: (reader) => encodeBodies(reader.bytes, decodeBodies(reader)),
  [sectionId.data]: (reader) => encodeData(decodeData(reader)),
};

/** The module with every known section decoded and encoded again, in the shortest form. */
export function reencode(module: Module): Uint8Array<ArrayBuffer> {
  return encodeModule(
    module.sections.map((section) => {
      const codec = codecs[section.id];
      return codec ? makeSection(section.id, codec(module.reader(section))) : section;
    }),
  );
}

/** Each typed part of a module, the locals of each body included. */
export function everything(module: Module) {
  const { types, imports, functions, tables, memories, tags, globals, exports, start, elements } = module;
  const { dataCount, data, names, bodies } = module;
  const locals = Array.from(
    bodies.start,
    (first, i) => decodeLocals(module.bytes, first, bodies.end[i]).groups,
  );
  const typed = { types, imports, functions, tables, memories, tags, globals, exports, start, elements };
  return { ...typed, dataCount, data, names, locals };
}

const add = "07 00 20 00 20 01 6a 0b"; // size, no locals, local.get 0, local.get 1, i32.add, end

/** Modules with what toolchains emit, by feature. Node 20 compiles `plain`, `padded` and `tags`; 24 all but `pages`. */
export const samples: Record<string, Uint8Array<ArrayBuffer>> = {
  plain: moduleOf(
    [1, `02 60 02 7f 7f 01 7f  60 00 00`],
    [2, `02 03 "env" 03 "log" 00 01  03 "env" 01 "m" 02 01 01 10`],
    [3, `02 00 01`],
    [4, `01 70 00 04`],
    [6, `01 7f 01 41 80 80 04 0b`],
    [7, `02 03 "add" 00 01  01 "t" 01 00`],
    [8, `02`],
    [9, `01 00 41 00 0b 02 01 02`],
    [12, `02`],
    [10, `02 ${add}  04 01 01 7e 0b`],
    [11, `02 00 41 08 0b 02 "hi"  01 01 "x"`],
    [0, `04 "name" 00 02 01 "p"  01 06 01 01 03 "add"`],
    [0, `09 "producers" 01 08 "language" 01 01 "C" 02 "11"`],
  ),
  padded: moduleOf(
    [1, `81 80 80 80 00 60 82 00 7f 7f 81 00 7f`],
    [3, `81 00 80 80 80 80 00`],
    [10, `81 80 00 87 80 80 80 00 00 20 00 20 01 6a 0b`],
  ),
  gc: moduleOf(
    [1, `02 4e 02 50 00 5f 02 78 01 63 00 00  4f 01 00 5f 03 78 01 63 00 00 7f 01  5e 77 01`],
    [6, `01 63 02 00 d0 71 0b`],
  ),
  tables: moduleOf(
    [1, `01 60 00 00`],
    [3, `01 00`],
    [4, `03 40 00 70 00 02 d2 00 0b  6f 05 01 02  63 00 01 03 03`],
    [9, `02 05 70 02 d0 70 0b d2 00 0b  03 00 01 00`],
    [10, `01 02 00 0b`],
  ),
  memories: moduleOf([5, `05 00 01  01 01 02  03 01 80 02  05 01 80 80 01  00 00`]),
  pages: moduleOf([5, `02 08 05 00  09 00 07 10`]),
  tags: moduleOf([1, `01 60 01 7f 00`], [2, `01 01 "e" 01 "t" 04 00 00`], [13, `01 00 00`]),
};
