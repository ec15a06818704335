import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Reader } from "../../src/wasm/leb128.js";
import { decodeNames, encodeNames, renumberNames } from "../../src/wasm/names.js";
import type { Names } from "../../src/wasm/types.js";
import { hex } from "./support.js";

const decode = (bytes: Uint8Array) => decodeNames(new Reader(bytes));

const all: Names = {
  module: "m",
  functions: new Map([
    [0, "malloc"],
    [300, "é"],
  ]),
  locals: new Map([[1, new Map([[0, "size"]])]]),
  labels: new Map([[1, new Map()]]),
  types: new Map([[0, "pair"]]),
  tables: new Map([[0, "t"]]),
  memories: new Map([[0, "memory"]]),
  globals: new Map([[0, "__stack_pointer"]]),
  elements: new Map([[0, "e"]]),
  data: new Map([[0, ".rodata"]]),
  fields: new Map([[0, new Map([[1, "second"]])]]),
  tags: new Map([[0, "exception"]]),
};

describe("the name section", () => {
  test("of all subsections comes back", () => {
    assert.deepEqual(decode(encodeNames(all)), all);
    assert.deepEqual(decode(encodeNames({})), {});
  });

  test("has the bytes that toolchains write", () => {
    const bytes = hex(`00 02 01 "m"  01 0d 02 00 06 "malloc" 01 01 "f" 00  02 06 01 01 01 00 01 "x"`);
    // A size that is one too large for the function map: what it contains is read all the same.
    assert.deepEqual(
      decode(bytes).functions,
      new Map([
        [0, "malloc"],
        [1, "f"],
      ]),
    );
    const exact = hex(`00 02 01 "m"  01 0c 02 00 06 "malloc" 01 01 "f"  02 06 01 01 01 00 01 "x"`);
    assert.deepEqual(encodeNames(decode(exact)), exact);
  });

  test("skips subsections that it does not know", () => {
    assert.deepEqual(decode(hex(`7f 02 00 00  00 02 01 "m"`)), { module: "m" });
  });

  test("keeps what is readable of a damaged subsection, and reads the next", () => {
    const names = decode(hex(`01 07 02 00 01 "a" 01 09 "b"  04 04 01 00 01 "t"`));
    assert.deepEqual(names.functions, new Map([[0, "a"]]));
    assert.deepEqual(names.types, new Map([[0, "t"]]));
  });

  test("survives absurd sizes and counts, and names that are no UTF-8", () => {
    assert.deepEqual(decode(hex("01 ff ff ff ff 0f ff ff ff ff 0f")).functions, new Map());
    assert.deepEqual(decode(hex("02 80 80 80 80 80 80 80 80 80 80 00")), { damaged: true });
    assert.deepEqual(decode(hex("01 04 01 00 01 ff")).functions, new Map([[0, "\uFFFD"]]));
  });

  test("cut at any byte never throws, and keeps a prefix of the names", () => {
    const bytes = encodeNames(all);
    for (let length = 0; length < bytes.length; length++) {
      const names = decode(bytes.subarray(0, length));
      for (const [index, name] of names.functions ?? []) assert.equal(all.functions?.get(index), name);
    }
  });
});

describe("renumbering", () => {
  const shift = (index: number) => (index < 1 ? index : index + 3);
  const renumber = (bytes: Uint8Array, added?: Map<number, string>) =>
    renumberNames(new Reader(bytes), { functions: shift }, added);

  test("moves functions, locals and labels, and nothing else", () => {
    const expected: Names = {
      ...all,
      functions: new Map([
        [0, "malloc"],
        [303, "é"],
      ]),
      locals: new Map([[4, new Map([[0, "size"]])]]),
      labels: new Map([[4, new Map()]]),
    };
    assert.deepEqual(decode(renumber(encodeNames(all))), expected);
  });

  test("moves types with their fields, tables, memories, globals and tags", () => {
    const next = (index: number) => index + 1;
    const moved = { types: next, tables: next, memories: next, globals: next, tags: next };
    const names = decode(renumberNames(new Reader(encodeNames(all)), moved));
    assert.deepEqual(names.functions, all.functions);
    assert.deepEqual(names.fields, new Map([[1, new Map([[1, "second"]])]]));
    for (const kind of ["types", "tables", "memories", "globals", "tags"] as const) {
      assert.deepEqual([...(names[kind]?.keys() ?? [])], [1], kind);
    }
    assert.deepEqual(names.elements, all.elements);
  });

  test("adds names of functions, with or without others", () => {
    const added = new Map([[500, "hook"]]);
    assert.equal(decode(renumber(encodeNames(all), added)).functions?.get(500), "hook");
    assert.deepEqual(decode(renumber(encodeNames({ module: "m", types: all.types }), added)), {
      module: "m",
      functions: added,
      types: all.types,
    });
    assert.deepEqual(decode(renumber(encodeNames({}), added)), { functions: added });
  });

  test("with nothing to move copies the bytes", () => {
    const padded = hex(`01 86 80 00 81 00 00 81 00 "a"`);
    assert.deepEqual(renumberNames(new Reader(padded), {}), padded);
  });

  test("keeps names that are no UTF-8 byte by byte", () => {
    const bytes = hex("01 04 01 05 01 ff");
    assert.deepEqual(renumber(bytes), hex("01 04 01 08 01 ff"));
  });

  test("leaves damaged subsections as they are", () => {
    for (const damaged of [
      `01 07 02 00 01 "a" 01 09 "b"`,
      "01 ff ff ff ff 0f 00",
      "01 05 ff ff ff ff 0f",
      "02 80",
    ]) {
      assert.deepEqual(renumber(hex(damaged)), hex(damaged));
    }
  });
});
