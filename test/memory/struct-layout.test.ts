// Offsets, sizes and alignments of structs, held against what clang and rustc say (test/fixtures/layouts/): the structs
// written there by hand, and 80 random ones.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { array } from "../../src/memory/array-type.js";
import {
  type AnyType,
  bool,
  enumeration,
  f32,
  f64,
  i8,
  i16,
  i32,
  i64,
  pointer,
  u8,
  u16,
  u32,
  u64,
} from "../../src/memory/data-types.js";
import { type StructType, struct } from "../../src/memory/struct.js";

type TypeName = string | [TypeName, number];

interface Answer {
  byteLength: number;
  alignment: number;
  offsets: number[];
}

interface Fixture {
  structs: { name: string; fields: [string, TypeName][]; c: Answer; rust: Answer }[];
}

const fixture: Fixture = JSON.parse(
  readFileSync(new URL("../fixtures/layouts/layouts.json", import.meta.url), "utf8"),
);

const types: Record<string, AnyType> = {
  i8,
  u8,
  i16,
  u16,
  i32,
  u32,
  i64,
  u64,
  f32,
  f64,
  bool,
  pointer: pointer(),
  enum_u8: enumeration({ A: 0, B: 200 }, u8),
  enum_i16: enumeration({ A: 0, B: -300 }, i16),
  enum_i32: enumeration({ A: 0, B: -1 }, i32),
  enum_u32: enumeration({ A: 0, B: 1 }),
};

function typeOf(name: TypeName): AnyType {
  if (Array.isArray(name)) return array(typeOf(name[0]), name[1]);
  assert.ok(types[name], `no type ${name}`);
  return types[name];
}

for (const { name, fields, c, rust } of fixture.structs) {
  const type: StructType<Record<string, AnyType>> = struct(
    Object.fromEntries(fields.map(([field, fieldType]) => [field, typeOf(fieldType)])),
  );
  types[name] = type;
  const answer: Answer = {
    byteLength: type.byteLength,
    alignment: type.alignment,
    offsets: fields.map(([field]) => type.fields[field].offset),
  };
  test(`${name}: as in C`, () => assert.deepEqual(answer, c));
  test(`${name}: as in Rust`, () => assert.deepEqual(answer, rust));
}
