import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import fc from "fast-check";
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
  type Pointer,
  pointer,
  u8,
  u16,
  u32,
  u64,
} from "../../src/memory/data-types.js";
import { LinearMemory } from "../../src/memory/linear-memory.js";
import { Region } from "../../src/memory/region.js";
import { struct, type Value } from "../../src/memory/struct.js";
import { hasAddresses64 } from "./modules.js";

const Point = struct({ x: f32, alive: bool, tag: array(u8, 16) });

enum Color {
  Red,
  Green = 5,
}

const Inner = struct({ a: u8, b: f64 });
const Outer = struct({
  head: i16,
  inner: Inner,
  many: array(Inner, 3),
  color: enumeration(Color, u8),
  next: pointer(Inner),
  big: u64,
});

const memory = () => new LinearMemory({ initial: 1, maximum: 8 });

/** The same type, as far as TypeScript is concerned; fails to compile otherwise. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <T extends true>() => undefined as unknown as T;

test("types of fields are inferred", () => {
  const outer = Outer.at(memory(), 0);
  same<Same<typeof outer.head, number>>();
  same<Same<typeof outer.inner.b, number>>();
  same<Same<typeof outer.color, "Red" | "Green">>();
  same<Same<typeof outer.big, bigint>>();
  same<Same<typeof outer.next, Pointer<typeof Inner>>>();
  const point: Value<typeof Point> = Point.at(memory(), 0);
  same<Same<typeof point.alive, boolean>>();
  const tag: Uint8Array = point.tag.view();
  assert.equal(tag.length, 16);
  // @ts-expect-error a number can't be a boolean
  assert.throws(() => (point.alive = 1), { name: "LinmemTypeError", code: "ERR_LINMEM_VALUE" });
  // @ts-expect-error arrays are looked into, not assigned
  assert.throws(() => (point.tag = [1]), TypeError);
  // @ts-expect-error no such field
  assert.equal(point.y, undefined);
});

test("fields are read and written where they lie", () => {
  const m = memory();
  const point = Point.at(m, 64);
  point.x = 1.5;
  point.alive = true;
  point.tag.set(3, 0x1ff);
  assert.equal(m.readF32(64), 1.5);
  assert.equal(m.readU8(68), 1);
  assert.equal(m.readU8(72), 0xff);
  m.writeU8(68, 2);
  assert.equal(point.alive, true);
  assert.deepEqual(Object.keys(Object.getPrototypeOf(point)), ["x", "alive", "tag"]);
  assert.match(inspect(point), /x: 1.5/);
});

test("accessors stay valid when anyone grows the memory", () => {
  const m = memory();
  const point = Point.at(m, 64);
  const outer = Outer.at(m, 128);
  const element = outer.many.get(2);
  point.x = 1;
  m.grow(1);
  assert.equal(point.x, 1);
  m.wasm.grow(1);
  assert.equal(point.x, 1);
  m.wasm.grow(1);
  point.x = 2;
  point.alive = true;
  element.b = 0.5;
  assert.equal(point.x, 2);
  assert.equal(point.alive, true);
  m.wasm.grow(1);
  outer.big = 2n ** 64n - 1n;
  assert.equal(outer.big, 2n ** 64n - 1n);
  m.wasm.grow(1);
  outer.color = "Green";
  assert.equal(outer.color, "Green");
  assert.equal(element.b, 0.5);
  assert.equal(m.readF64(128 + Outer.fields.many.offset + 2 * 16 + 8), 0.5);
});

test("accessors of a shared memory reach what was added by growth", () => {
  const m = new LinearMemory({ initial: 1, maximum: 4, shared: true });
  const first = Point.at(m, 0);
  m.wasm.grow(1);
  const beyond = Point.at(m, 65_536 + 24);
  beyond.x = 4;
  first.x = 3;
  assert.equal(beyond.x, 4);
  assert.equal(m.readF32(65_536 + 24), 4);
});

test("nested structs and arrays are parts, not copies", () => {
  const m = memory();
  const outer = Outer.at(m, 0);
  outer.inner.b = 2;
  outer.many.get(1).a = 9;
  outer.many.set(2, { b: -1 });
  assert.deepEqual(
    [...outer.many].map(({ a, b }) => [a, b]),
    [
      [0, 0],
      [9, 0],
      [0, -1],
    ],
  );
  const copy = Outer.copy(m, 0);
  assert.deepEqual(copy, {
    head: 0,
    inner: { a: 0, b: 2 },
    many: [
      { a: 0, b: 0 },
      { a: 9, b: 0 },
      { a: 0, b: -1 },
    ],
    color: "Red",
    next: 0,
    big: 0n,
  });
  copy.inner.b = 5;
  assert.equal(outer.inner.b, 2);
});

test("pointers are addresses up to 4 GiB", () => {
  const m = memory();
  const outer = Outer.at(m, 0);
  Inner.write(m, 512, { b: 7 });
  outer.next = 512;
  assert.equal(Inner.at(m, outer.next).b, 7);
  outer.next = 0xffff_fff0;
  assert.equal(outer.next, 0xffff_fff0);
});

test("a list of structs that point to their like", () => {
  const Node = struct({ value: i32, next: pointer() });
  const m = memory();
  for (let i = 1; i <= 5; i++) Node.write(m, i * 8, { value: i, next: i < 5 ? (i + 1) * 8 : 0 });
  let sum = 0;
  for (let at: number = 8; at !== 0; at = Node.at(m, at).next) sum += Node.at(m, at).value;
  assert.equal(sum, 15);
});

test("enumerations refuse numbers without a name, and names without a number", () => {
  const m = memory();
  const outer = Outer.at(m, 0);
  m.writeU8(Outer.fields.color.offset, 77);
  assert.throws(() => outer.color, { name: "LinmemRangeError", code: "ERR_LINMEM_ENUM" });
  // @ts-expect-error no such member
  assert.throws(() => (outer.color = "Blue"), { name: "LinmemTypeError", code: "ERR_LINMEM_ENUM" });
  // @ts-expect-error a member by its name
  assert.throws(() => (outer.color = 5), { code: "ERR_LINMEM_ENUM" });
  assert.throws(() => enumeration({ Much: 256 }, u8), { name: "LinmemRangeError", code: "ERR_LINMEM_ENUM" });
  assert.throws(() => enumeration({ Half: 0.5 }), { code: "ERR_LINMEM_ENUM" });
});

test("a write changes everything or nothing", () => {
  const m = memory();
  Point.write(m, 64, { x: 1, alive: true, tag: new Uint8Array(16).fill(3) });
  const before = m.copyBytes(0, 256);
  const refused: [object, string][] = [
    [{ x: 2, tag: [1, 2] }, "ERR_LINMEM_LENGTH"],
    [{ x: 2, tag: Array(17).fill(0) }, "ERR_LINMEM_LENGTH"],
    [{ x: 2, tag: [...Array(15).fill(0), "7"] }, "ERR_LINMEM_VALUE"],
    [{ x: 2, alive: 1 }, "ERR_LINMEM_VALUE"],
    [{ alive: false, x: 2n }, "ERR_LINMEM_VALUE"],
    [{ x: 2, y: 3 }, "ERR_LINMEM_FIELD"],
    [{ x: 2, constructor: 3 }, "ERR_LINMEM_FIELD"],
    [null as never, "ERR_LINMEM_VALUE"],
  ];
  for (const [value, code] of refused) {
    assert.throws(
      () => Point.write(m, 64, value as never),
      { code },
      JSON.stringify(Object.keys(value ?? {})),
    );
    assert.deepEqual(m.copyBytes(0, 256), before);
  }
  const throws = {
    alive: false,
    get x(): number {
      throw new Error("mine");
    },
  };
  assert.throws(() => Point.write(m, 64, throws), { message: "mine" });
  assert.deepEqual(m.copyBytes(0, 256), before);
  Point.write(m, 64, { alive: false });
  assert.equal(m.readF32(64), 1);
});

test("a write whose values grow the memory still lands", () => {
  const m = memory();
  Point.write(m, 64, {
    alive: true,
    get x() {
      m.wasm.grow(1);
      return 4;
    },
  });
  assert.deepEqual([Point.at(m, 64).x, Point.at(m, 64).alive], [4, true]);
});

test("places that don't fit are errors", () => {
  const m = memory();
  const code = (address: unknown) => {
    try {
      Point.at(m, address as number);
      return "none";
    } catch (error) {
      return `${(error as Error).name} ${(error as { code: string }).code}`;
    }
  };
  assert.equal(code(65_536 - 24), "none");
  assert.equal(code(-0), "none");
  assert.equal(code(8n), "none");
  assert.equal(code(65_536 - 20), "LinmemRangeError ERR_LINMEM_BOUNDS");
  assert.equal(code(-4), "LinmemRangeError ERR_LINMEM_BOUNDS");
  assert.equal(code(2 ** 32), "LinmemRangeError ERR_LINMEM_BOUNDS");
  assert.equal(code(2 ** 60), "LinmemRangeError ERR_LINMEM_BOUNDS");
  assert.equal(code(2), "LinmemRangeError ERR_LINMEM_ALIGNMENT");
  assert.equal(code(Number.POSITIVE_INFINITY), "LinmemRangeError ERR_LINMEM_ALIGNMENT");
  for (const address of [Number.NaN, 0.5, "4", null, undefined, {}]) {
    assert.equal(code(address), "LinmemTypeError ERR_LINMEM_ADDRESS", String(address));
  }
  assert.throws(() => Point.at({} as never, 0), { code: "ERR_LINMEM_NOT_A_MEMORY" });
  assert.equal(Point.at(m.wasm, 0).x, 0);
});

test("names that a field can't have, and types that are none", () => {
  for (const name of ["#views", "__proto__", "0", "12"]) {
    assert.throws(() => struct(Object.defineProperty({}, name, { value: u8, enumerable: true }) as never), {
      name: "LinmemTypeError",
      code: "ERR_LINMEM_FIELD",
    });
  }
  assert.throws(() => struct({ a: "u8" as never }), { code: "ERR_LINMEM_FIELD" });
  const odd = struct({ constructor: u8, toString: u8, hasOwnProperty: u8 });
  const m = memory();
  const value = odd.at(m, 0);
  value.constructor = 3;
  assert.deepEqual([value.constructor, value.toString, m.readU8(0)], [3, 0, 3]);
});

test("lengths that no array has", () => {
  for (const length of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2n, "3"]) {
    assert.throws(() => array(u8, length as number), { name: "LinmemTypeError", code: "ERR_LINMEM_LENGTH" });
  }
  assert.throws(() => array(f64, 2 ** 53), { name: "LinmemRangeError", code: "ERR_LINMEM_LENGTH" });
});

test("elements outside an array are errors, and copies fit or change nothing", () => {
  const m = memory();
  const numbers = array(i16, 4).at(m, 0);
  numbers.copyFrom([1, 2, 3, 4]);
  for (const index of [-1, 4, 0.5, Number.NaN]) {
    assert.throws(() => numbers.get(index), { name: "LinmemRangeError", code: "ERR_LINMEM_INDEX" });
    assert.throws(() => numbers.set(index, 1), { code: "ERR_LINMEM_INDEX" });
  }
  assert.throws(() => numbers.get("1" as never), { name: "LinmemTypeError", code: "ERR_LINMEM_INDEX" });
  assert.throws(() => numbers.copyFrom([9, 9], 3), { code: "ERR_LINMEM_INDEX" });
  assert.throws(() => numbers.copyFrom([9, "9"] as never), { code: "ERR_LINMEM_VALUE" });
  assert.deepEqual(numbers.copy(), Int16Array.of(1, 2, 3, 4));
  numbers.copyFrom(Int16Array.of(8, 9), 2);
  numbers.copyFrom({ length: 1, 0: 7 });
  numbers.copyFrom([]);
  assert.deepEqual([...numbers], [7, 2, 8, 9]);
  assert.deepEqual(numbers.view(), Int16Array.of(7, 2, 8, 9));
  assert.equal(m.readI16(0), 7);
  assert.throws(() => array(bool, 2).at(m, 0).view(), { code: "ERR_LINMEM_NO_VIEW" });
});

// Every kind of field against DataView, at random places, with the values that go wrong most: what DataView's setter
// makes of the value, and what its getter reads from the place.
interface Kind {
  type: AnyType;
  values: fc.Arbitrary<unknown>;
  get(view: DataView, at: number): unknown;
  set(view: DataView, at: number, value: never): void;
}

const bigInts = fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n });
const integers = fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.double());
const kinds: Kind[] = [
  { type: i8, values: integers, get: (v, at) => v.getInt8(at), set: (v, at, x) => v.setInt8(at, x) },
  { type: u8, values: integers, get: (v, at) => v.getUint8(at), set: (v, at, x) => v.setUint8(at, x) },
  {
    type: i16,
    values: integers,
    get: (v, at) => v.getInt16(at, true),
    set: (v, at, x) => v.setInt16(at, x, true),
  },
  {
    type: u16,
    values: integers,
    get: (v, at) => v.getUint16(at, true),
    set: (v, at, x) => v.setUint16(at, x, true),
  },
  {
    type: i32,
    values: integers,
    get: (v, at) => v.getInt32(at, true),
    set: (v, at, x) => v.setInt32(at, x, true),
  },
  {
    type: u32,
    values: integers,
    get: (v, at) => v.getUint32(at, true),
    set: (v, at, x) => v.setUint32(at, x, true),
  },
  {
    type: f32,
    values: fc.double(),
    get: (v, at) => v.getFloat32(at, true),
    set: (v, at, x) => v.setFloat32(at, x, true),
  },
  {
    type: f64,
    values: fc.double(),
    get: (v, at) => v.getFloat64(at, true),
    set: (v, at, x) => v.setFloat64(at, x, true),
  },
  {
    type: i64,
    values: bigInts,
    get: (v, at) => v.getBigInt64(at, true),
    set: (v, at, x) => v.setBigInt64(at, x, true),
  },
  {
    type: u64,
    values: bigInts,
    get: (v, at) => v.getBigUint64(at, true),
    set: (v, at, x) => v.setBigUint64(at, x, true),
  },
  {
    type: bool,
    values: fc.boolean(),
    get: (v, at) => v.getUint8(at) !== 0,
    set: (v, at, x) => v.setUint8(at, x ? 1 : 0),
  },
  {
    type: pointer(),
    values: fc.nat(),
    get: (v, at) => v.getUint32(at, true),
    set: (v, at, x) => v.setUint32(at, x, true),
  },
];

test("every kind of field reads and writes what DataView does", () => {
  const m = new LinearMemory({ initial: 1, maximum: 64 });
  const place = fc.record({
    before: fc.nat({ max: 9 }),
    kind: fc.nat({ max: kinds.length - 1 }),
    slot: fc.nat({ max: 100 }),
    grow: fc.boolean(),
  });
  fc.assert(
    fc.property(place, fc.infiniteStream(fc.nat()), ({ before, kind, slot, grow }, numbers) => {
      const { type, values, get, set } = kinds[kind];
      const [value] = fc.sample(values, { numRuns: 1, seed: numbers.next().value });
      const Padded = struct({ before: array(u8, before), field: type, after: u8 });
      const address = slot * Padded.byteLength + 1024 - (1024 % Padded.alignment);
      const at = address + (Padded.fields.field.offset as number);
      const accessor = Padded.at(m, address) as { field: unknown; after: number };
      if (grow && m.pages < 60) m.wasm.grow(1);
      const around = () => [m.copyBytes(at - 16, 16), m.copyBytes(at + type.byteLength, 16)];
      const untouched = around();
      accessor.field = value;
      const wanted = new DataView(new ArrayBuffer(8));
      set(wanted, 0, value as never);
      assert.deepEqual(accessor.field, get(wanted, 0));
      assert.deepEqual(accessor.field, get(new DataView(m.buffer), at));
      assert.deepEqual(around(), untouched);
      const inArray = array(type, 1).at(m, at);
      inArray.set(0, Padded.copy(m, address).field as never);
      assert.deepEqual(inArray.get(0), get(wanted, 0));
    }),
    { seed: 3, numRuns: 400 },
  );
});

test("structs, arrays of them and regions reach the last byte of 4 GiB", () => {
  const m = new LinearMemory({ initial: 65_536, maximum: 65_536 });
  const end = 2 ** 32;
  const Last = struct({ a: f64, b: f32, c: bool, d: u8 });
  assert.equal(Last.byteLength, 16);
  const points = array(Last, 4).at(m, end - 64);
  points.get(3).a = 1.5;
  points.get(3).c = true;
  points.get(3).d = 7;
  const last = Last.at(m, end - 16);
  assert.deepEqual([last.a, last.c, last.d], [1.5, true, 7]);
  assert.equal(m.readU8(end - 3), 7);
  last.b = 2;
  const region = new Region(m, end - 16, 16);
  assert.deepEqual(Last.copy(region, 0), { a: 1.5, b: 2, c: true, d: 7 });
  region.writeU32(12, 0xffff_ffff);
  assert.equal(last.d, 255);
  assert.throws(() => Last.at(m, end - 8), { code: "ERR_LINMEM_BOUNDS" });
  assert.throws(() => points.get(4), { code: "ERR_LINMEM_INDEX" });
});

test("structs above 4 GiB, where engines have such memories", (t) => {
  if (!hasAddresses64) return t.skip("this engine has no 64-bit addresses");
  let m: LinearMemory;
  try {
    m = new LinearMemory({ initial: 65_537, maximum: 65_537, address: "i64" });
  } catch (error) {
    return t.skip((error as Error).message);
  }
  const point = Point.at(m, 2 ** 32 + 24);
  point.x = 1.5;
  point.tag.copyFrom([1, 2], 1);
  assert.equal(m.readF32(2 ** 32 + 24), 1.5);
  assert.equal(m.readF32(24), 0);
  const across = array(Point, 4).at(m, 2n ** 32n - 48n);
  across.get(3).x = 2.5;
  assert.equal(m.readF32(2 ** 32 + 24), 2.5);
  assert.deepEqual([...across.get(3).tag].slice(0, 4), [0, 1, 2, 0]);
});
