// One example of every form of every section: bytes, what they mean, and the same bytes again.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Reader, Writer } from "../../src/wasm/leb128.js";
import { decodeModule } from "../../src/wasm/module.js";
import { decodeBodies, decodeLocals, encodeBodies, encodeLocals } from "../../src/wasm/sections/code.js";
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
import {
  type DataSegment,
  type ElementSegment,
  externalKind,
  type Import,
  type Limits,
  packedType,
  type Table,
  type TypeDefinition,
  valueType,
} from "../../src/wasm/types.js";
import { everything, hex, reencode, samples } from "./support.js";

const { i32, i64, f32, f64, v128, funcref, externref } = valueType;

/** `payload` decodes to `value`, `value` encodes to `payload`. */
function both<T>(
  payload: string,
  value: T,
  decode: (reader: Reader) => T,
  encode: (value: T) => Uint8Array,
): void {
  const bytes = hex(payload);
  // Not at the start of the bytes, so that offsets must be right.
  const shifted = new Uint8Array(bytes.length + 8);
  shifted.set(bytes, 5);
  const reader = new Reader(shifted, 5, 5 + bytes.length);
  assert.deepEqual(decode(reader), value);
  assert.ok(reader.atEnd());
  assert.deepEqual(encode(value), bytes);
}

describe("types", () => {
  const types = (payload: string, value: TypeDefinition[]) => both(payload, value, decodeTypes, encodeTypes);

  test("functions", () => {
    types("02 60 00 00  60 05 7f 7e 7d 7c 7b 02 70 6f", [
      { kind: "func", params: [], results: [] },
      { kind: "func", params: [i32, i64, f32, f64, v128], results: [funcref, externref] },
    ]);
  });

  test("references to types and to abstract heap types", () => {
    types("01 60 04 64 05 63 00 64 70 63 ff 00 01 6e", [
      {
        kind: "func",
        params: [
          { nullable: false, heap: 5 },
          { nullable: true, heap: 0 },
          { nullable: false, heap: -16 },
          { nullable: true, heap: 127 },
        ],
        results: [0x6e],
      },
    ]);
  });

  test("structs, arrays, subtypes and recursion groups, flattened", () => {
    types("03 4e 02 50 00 5f 01 63 01 01  4f 01 00 5f 02 63 01 01 78 00  5e 77 01  4e 01 60 00 00", [
      {
        kind: "struct",
        fields: [{ type: { nullable: true, heap: 1 }, mutable: true }],
        sub: { final: false, supertypes: [] },
        groupSize: 2,
      },
      {
        kind: "struct",
        fields: [
          { type: { nullable: true, heap: 1 }, mutable: true },
          { type: packedType.i8, mutable: false },
        ],
        sub: { final: true, supertypes: [0] },
      },
      { kind: "array", element: { type: packedType.i16, mutable: true } },
      { kind: "func", params: [], results: [], groupSize: 1 },
    ]);
  });
});

test("imports of every kind", () => {
  const limits: Limits = { min: 1, shared: false, index64: false };
  const imports: Import[] = [
    { module: "env", name: "f", kind: externalKind.function, type: 3 },
    { module: "env", name: "t", kind: externalKind.table, table: { element: funcref, limits } },
    { module: "env", name: "m", kind: externalKind.memory, memory: { ...limits, max: 2, shared: true } },
    { module: "env", name: "g", kind: externalKind.global, global: { type: i32, mutable: true } },
    { module: "", name: "é", kind: externalKind.tag, type: 0 },
  ];
  both(
    `05 03 "env" 01 "f" 00 03  03 "env" 01 "t" 01 70 00 01  03 "env" 01 "m" 02 03 01 02
     03 "env" 01 "g" 03 7f 01  00 02 c3 a9 04 00 00`,
    imports,
    decodeImports,
    encodeImports,
  );
});

test("functions, start, tags and data count", () => {
  both("03 00 02 80 01", [0, 2, 128], decodeFunctions, encodeFunctions);
  both("80 02", 256, decodeStart, encodeStart);
  both("02 00 01 00 05", [1, 5], decodeTags, encodeTags);
  both("07", 7, decodeDataCount, encodeDataCount);
});

describe("memories", () => {
  const memories = (payload: string, value: Limits[]) => both(payload, value, decodeMemories, encodeMemories);

  test("with and without maximum, shared, several", () => {
    memories("03 00 01  01 01 80 80 04  03 02 03", [
      { min: 1, shared: false, index64: false },
      { min: 1, max: 65536, shared: false, index64: false },
      { min: 2, max: 3, shared: true, index64: false },
    ]);
  });

  test("of 64-bit addresses, up to 2^48 pages and beyond 32 bits", () => {
    memories("02 04 01  05 00 80 80 80 80 80 80 40", [
      { min: 1, shared: false, index64: true },
      { min: 0, max: 2 ** 48, shared: false, index64: true },
    ]);
  });

  test("of custom page sizes", () => {
    memories("02 08 05 00  09 00 07 10", [
      { min: 5, shared: false, index64: false, pageSizeLog2: 0 },
      { min: 0, max: 7, shared: false, index64: false, pageSizeLog2: 16 },
    ]);
  });
});

test("tables, with 64-bit indices and with an initialiser", () => {
  const tables: Table[] = [
    { element: funcref, limits: { min: 1, shared: false, index64: false } },
    { element: externref, limits: { min: 1, max: 2, shared: false, index64: true } },
    {
      element: { nullable: false, heap: 0 },
      limits: { min: 3, shared: false, index64: false },
      init: hex("d2 00 0b"),
    },
  ];
  both("03 70 00 01  6f 05 01 02  40 00 64 00 00 03 d2 00 0b", tables, decodeTables, encodeTables);
});

test("globals, with extended constants and constants that contain the byte of end", () => {
  both(
    "04 7f 00 41 0b 0b  7e 01 23 00 42 0b 7c 0b  7b 00 fd 0c 0b 0b 0b 0b 0b 0b 0b 0b 0b 0b 0b 0b 0b 0b 0b 0b 0b  6c 00 41 05 fb 1c 0b",
    [
      { type: i32, mutable: false, init: hex("41 0b 0b") },
      { type: i64, mutable: true, init: hex("23 00 42 0b 7c 0b") },
      { type: v128, mutable: false, init: hex(`fd 0c ${"0b ".repeat(17)}`) },
      { type: 0x6c, mutable: false, init: hex("41 05 fb 1c 0b") },
    ],
    decodeGlobals,
    encodeGlobals,
  );
});

test("exports of every kind", () => {
  both(
    `05 01 "f" 00 07  01 "t" 01 00  06 "memory" 02 00  01 "g" 03 01  01 "e" 04 00`,
    [
      { name: "f", kind: externalKind.function, index: 7 },
      { name: "t", kind: externalKind.table, index: 0 },
      { name: "memory", kind: externalKind.memory, index: 0 },
      { name: "g", kind: externalKind.global, index: 1 },
      { name: "e", kind: externalKind.tag, index: 0 },
    ],
    decodeExports,
    encodeExports,
  );
});

test("element segments of all eight forms", () => {
  const offset = hex("41 01 0b");
  const expressions = [hex("d2 00 0b"), hex("d0 70 0b")];
  const segments: ElementSegment[] = [
    { flags: 0, table: 0, offset, type: funcref, functions: [1, 200] },
    { flags: 1, table: 0, type: funcref, functions: [1] },
    { flags: 2, table: 3, offset, type: funcref, functions: [] },
    { flags: 3, table: 0, type: funcref, functions: [4] },
    { flags: 4, table: 0, offset, type: funcref, expressions },
    { flags: 5, table: 0, type: externref, expressions: [hex("d0 6f 0b")] },
    { flags: 6, table: 3, offset, type: { nullable: false, heap: 2 }, expressions: expressions.slice(0, 1) },
    { flags: 7, table: 0, type: funcref, expressions: [] },
  ];
  both(
    `08  00 41 01 0b 02 01 c8 01  01 00 01 01  02 03 41 01 0b 00 00  03 00 01 04
     04 41 01 0b 02 d2 00 0b d0 70 0b  05 6f 01 d0 6f 0b  06 03 41 01 0b 64 02 01 d2 00 0b  07 70 00`,
    segments,
    decodeElements,
    encodeElements,
  );
});

test("data segments: active, passive, active in another memory", () => {
  const segments: DataSegment[] = [
    { flags: 0, memory: 0, offset: hex("41 08 0b"), bytes: hex(`"hi"`) },
    { flags: 1, memory: 0, bytes: new Uint8Array(0) },
    { flags: 2, memory: 1, offset: hex("42 00 0b"), bytes: hex("00") },
  ];
  both(`03 00 41 08 0b 02 "hi"  01 00  02 01 42 00 0b 01 00`, segments, decodeData, encodeData);
});

test("function bodies: where they lie, and their locals", () => {
  const bytes = hex("ff ff 02  02 00 0b  88 80 00 02 01 7f 03 63 05 01 0b ff");
  const bodies = decodeBodies(new Reader(bytes, 2, 17));
  assert.equal(bodies.count, 2);
  assert.deepEqual([...bodies.sizeStart], [3, 6]);
  assert.deepEqual([...bodies.start], [4, 9]);
  assert.deepEqual([...bodies.end], [6, 17]);
  assert.deepEqual(encodeBodies(bytes, bodies), hex("02  02 00 0b  08 02 01 7f 03 63 05 01 0b"));

  const locals = decodeLocals(bytes, 9, 17);
  const groups = [
    { count: 1, type: i32 },
    { count: 3, type: { nullable: true, heap: 5 } },
  ];
  assert.deepEqual(locals, { groups, count: 4, end: 15 });
  const writer = new Writer();
  encodeLocals(writer, groups);
  assert.deepEqual(writer.finish(), hex("02 01 7f 03 63 05"));
});

describe("whole modules", () => {
  for (const [name, bytes] of Object.entries(samples)) {
    test(`${name}: encoding what was decoded changes nothing but padding`, () => {
      const module = decodeModule(bytes);
      const again = reencode(module);
      if (name === "padded") assert.ok(again.length < bytes.length);
      else assert.deepEqual(again, bytes);
      assert.deepEqual(everything(decodeModule(again)), everything(module));
    });
  }

  test("the engine agrees", () => {
    for (const [name, bytes] of Object.entries(samples)) {
      assert.equal(WebAssembly.validate(reencode(decodeModule(bytes))), WebAssembly.validate(bytes), name);
    }
    for (const name of ["plain", "padded", "tags"]) assert.ok(WebAssembly.validate(samples[name]), name);
  });
});
