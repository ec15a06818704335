import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { array } from "../../src/memory/array-type.js";
import { bool, f32, u8 } from "../../src/memory/data-types.js";
import { LinearMemory } from "../../src/memory/linear-memory.js";
import { Region } from "../../src/memory/region.js";
import { struct } from "../../src/memory/struct.js";
import { withTypeScript } from "../support/typescript.js";

const memory = () => new LinearMemory({ initial: 1, maximum: 8 });

test("a region reads and writes its bytes and no others", () => {
  const m = memory();
  m.u8.fill(0xee);
  const region = new Region(m, 100, 16);
  assert.equal(region.byteLength, 16);
  assert.equal(region.readU32(12), 0xeeee_eeee);
  region.fill(0);
  region.writeU64(8, 2n ** 64n - 1n);
  region.writeU8(0, 7);
  assert.equal(m.readU8(99), 0xee);
  assert.equal(m.readU8(100), 7);
  assert.equal(m.readU64(108), 2n ** 64n - 1n);
  assert.equal(m.readU8(116), 0xee);
  assert.equal(region.readU8(15), 255);
});

test("everything outside is an error that tells only of the region", () => {
  const region = new Region(memory(), 5000, 16);
  const outside: [string, () => unknown][] = [
    ["behind", () => region.readU8(16)],
    ["across the end", () => region.readU32(13)],
    ["before", () => region.readU8(-1)],
    ["far before", () => region.writeU8(-8192, 1)],
    ["around the numbers", () => region.readU8(2 ** 32)],
    ["around more numbers", () => region.readU8(2n ** 64n)],
    ["infinite", () => region.readU8(Number.POSITIVE_INFINITY)],
    ["a long copy", () => region.copyBytes(0, 17)],
    ["a negative length", () => region.copyBytes(8, -4)],
    ["long bytes", () => region.writeBytes(10, new Uint8Array(7))],
    ["long text", () => region.writeUtf8(12, "éééé")],
    ["a long fill", () => region.fill(1, 1, 16)],
    ["a long part", () => region.subregion(8, 9)],
    ["a part before", () => region.subregion(-8, 8)],
    ["nothing, outside", () => region.writeBytes(17, new Uint8Array(0))],
  ];
  for (const [what, act] of outside) {
    assert.throws(
      act,
      (error: Error & { code: string; numbers: object }) => {
        assert.equal(`${error.name} ${error.code}`, "LinmemRangeError ERR_LINMEM_BOUNDS");
        assert.doesNotMatch(error.message + JSON.stringify(error.numbers), /5000|0x1388|65536|0x10000\b/);
        return true;
      },
      what,
    );
  }
  assert.throws(() => region.readU8(2 ** 32), {
    message: "out of bounds: 1 byte at 0x100000000 of a region of 0x10 bytes",
  });
  assert.deepEqual(region.copyBytes(), new Uint8Array(16));
});

test("arguments that are no numbers run no code of the caller's", () => {
  const region = new Region(memory(), 0, 16);
  let ran = 0;
  const hostile = {
    get length() {
      ran++;
      return 8;
    },
    valueOf: () => ++ran,
    toString: () => `${++ran}`,
    [Symbol.toPrimitive]: () => ++ran,
  };
  for (const offset of [hostile, "0", null, undefined, Number.NaN, 0.5, true, [], Symbol("0")]) {
    assert.throws(() => region.readU8(offset as never), {
      name: "LinmemTypeError",
      code: "ERR_LINMEM_ADDRESS",
    });
    assert.throws(() => region.writeU8(offset as never, 1), { name: "LinmemTypeError" });
    assert.throws(() => region.subregion(0, (offset === undefined ? null : offset) as never), {
      name: "LinmemTypeError",
    });
    assert.throws(() => region.writeU8(0, (offset === 0.5 || Number.isNaN(offset) ? "1" : offset) as never), {
      code: "ERR_LINMEM_VALUE",
    });
  }
  for (const bytes of [hostile, [1, 2], "12", null, new Float32Array(2), new Proxy(new Uint8Array(2), {})]) {
    assert.throws(() => region.writeBytes(0, bytes as never), {
      name: "LinmemTypeError",
      code: "ERR_LINMEM_VALUE",
    });
  }
  assert.throws(() => region.writeUtf8(0, hostile as never), { code: "ERR_LINMEM_VALUE" });
  const gone = new Uint8Array(4);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  assert.throws(() => region.writeBytes(0, gone), { code: "ERR_LINMEM_DETACHED" });
  assert.equal(ran, 0);
  // A typed array that lies about itself is believed in nothing.
  const liar = Object.defineProperty(new Uint8Array(4).fill(9), "length", { value: 1000 });
  region.writeBytes(0, liar);
  assert.deepEqual([...region.copyBytes()], [9, 9, 9, 9, ...Array(12).fill(0)]);
});

test("bytes of the same memory can be written, overlapping too", () => {
  const m = memory();
  const region = new Region(m, 0, 8);
  region.writeBytes(0, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  region.writeBytes(2, m.viewBytes(0, 6));
  assert.deepEqual([...region.copyBytes()], [1, 2, 1, 2, 3, 4, 5, 6]);
});

test("growth by anyone changes nothing: the bytes stay, and no more can be seen", () => {
  for (const shared of [false, true]) {
    const m = new LinearMemory({ initial: 1, maximum: 8, shared });
    const region = new Region(m, 65_528, 8);
    region.writeU64(0, 5n);
    for (const grow of [() => m.grow(1), () => m.wasm.grow(2), () => m.grow(0)]) {
      grow();
      assert.equal(region.readU64(0), 5n);
      region.writeU8(7, 1);
      region.writeU8(7, 0);
      assert.deepEqual([...region.copyBytes()], [5, 0, 0, 0, 0, 0, 0, 0]);
      assert.equal(region.byteLength, 8);
      assert.throws(() => region.readU8(8), { code: "ERR_LINMEM_BOUNDS" });
    }
  }
});

test("parts of regions, and parts of parts", () => {
  const m = memory();
  const part = new Region(m, 1000, 100).subregion(10, 50).subregion(40, 10);
  part.writeU8(9, 3);
  assert.equal(m.readU8(1059), 3);
  assert.throws(() => part.readU8(10), { code: "ERR_LINMEM_BOUNDS" });
  assert.equal(part.subregion(10, 0).byteLength, 0);
});

test("read-only regions, their parts, and structs in them can't be written", () => {
  const m = memory();
  const Point = struct({ x: f32, alive: bool, tag: array(u8, 3) });
  const region = new Region(m, 0, 64);
  Point.at(region, 8).x = 1.5;
  for (const reader of [
    region.readOnly(),
    region.readOnly().subregion(0, 32),
    region.subregion(0, 32).readOnly(),
  ]) {
    assert.equal(reader.writable, false);
    const point = Point.at(reader, 8);
    assert.equal(point.x, 1.5);
    for (const write of [
      () => reader.writeU8(0, 1),
      () => reader.writeI64(0, 1n),
      () => reader.writeBytes(0, Uint8Array.of(1)),
      () => reader.writeBytes(0, new Uint8Array(0)),
      () => reader.writeUtf8(0, "x"),
      () => reader.fill(1),
      () => reader.fill(1, 0, 0),
      () => (point.x = 2),
      () => (point.alive = true),
      () => point.tag.set(0, 1),
      () => point.tag.copyFrom([1, 2, 3]),
      () => Point.write(reader, 8, { x: 2 }),
    ]) {
      assert.throws(write, { name: "LinmemTypeError", code: "ERR_LINMEM_READ_ONLY" }, write.toString());
    }
  }
  assert.equal(region.writable, true);
  assert.equal(m.readF32(8), 1.5);
});

test("structs in a region: bounds are the region's, and no typed array comes out", () => {
  const m = memory();
  const Point = struct({ x: f32, tag: array(u8, 4) });
  const region = new Region(m, 1004, 20);
  const point = Point.at(region, 4);
  point.x = 2;
  point.tag.copyFrom([1, 2, 3, 4]);
  m.grow(1);
  assert.deepEqual(Point.copy(region, 4), { x: 2, tag: Uint8Array.of(1, 2, 3, 4) });
  assert.equal(m.readF32(1008), 2);
  assert.equal(point.tag.copy().buffer.byteLength, 4);
  assert.throws(() => point.tag.view(), { code: "ERR_LINMEM_NO_VIEW" });
  assert.throws(() => Point.at(region, 16), { code: "ERR_LINMEM_BOUNDS" });
});

/** Every object that can be reached from `start` over properties, prototypes, getters and what methods give. */
function reachable(start: object): Set<unknown> {
  const found = new Set<unknown>();
  const queue: unknown[] = [start];
  while (queue.length > 0) {
    const value = queue.pop();
    if ((typeof value !== "object" && typeof value !== "function") || value === null || found.has(value))
      continue;
    found.add(value);
    for (let owner: object | null = value; owner !== null; owner = Object.getPrototypeOf(owner)) {
      queue.push(owner);
      if (owner === Object.prototype || owner === Function.prototype) break;
      for (const key of Reflect.ownKeys(owner)) {
        try {
          queue.push(Reflect.get(owner, key, value));
        } catch {}
      }
    }
  }
  return found;
}

test("no chain of properties leads from a region, its accessors or its errors to the memory", () => {
  const m = memory();
  const Point = struct({ x: f32, tag: array(u8, 4) });
  const region = new Region(m, 1000, 64);
  const point = Point.at(region, 0);
  let failure: unknown;
  try {
    region.readU8(64);
  } catch (error) {
    failure = error;
  }
  const starts = [
    region,
    point,
    point.tag,
    region.copyBytes(),
    region.subregion(0, 8),
    region.readOnly(),
    failure,
  ];
  // The library itself is no secret: what its classes hold must be no memory either.
  for (const start of starts) {
    for (const value of reachable(start as object)) {
      assert.ok(value !== m && value !== m.wasm && value !== m.buffer, "the memory was reached");
      if (ArrayBuffer.isView(value))
        assert.ok(value.buffer.byteLength <= 64, "a view of the memory was reached");
    }
  }
});

test("methods can't be replaced, and don't work on what is no region", () => {
  assert.ok(Object.isFrozen(Region) && Object.isFrozen(Region.prototype));
  const { readU8, subregion } = Region.prototype;
  for (const self of [
    {},
    memory(),
    Object.create(Region.prototype),
    new Proxy(new Region(memory(), 0, 8), {}),
  ]) {
    assert.throws(() => readU8.call(self as Region, 0), TypeError);
    assert.throws(() => subregion.call(self as Region, 0, 1), TypeError);
  }
  assert.throws(() => new Region({} as never, 0, 8), { code: "ERR_LINMEM_NOT_A_MEMORY" });
  assert.throws(() => new Region(null as never, 0, 8), { code: "ERR_LINMEM_NOT_A_MEMORY" });
  assert.throws(() => new Region(memory(), 65_530, 8), { code: "ERR_LINMEM_BOUNDS" });
  assert.equal(new Region(memory().wasm, 65_528, 8).readU64(0), 0n);
});

test("nothing of the engine that a region uses can be replaced by something that sees the memory", () => {
  const script = fileURLToPath(new URL("support/hostile-realm.ts", import.meta.url));
  const run = (...mode: string[]) => {
    const { stdout, stderr } = spawnSync(process.execPath, [withTypeScript, script, ...mode], {
      encoding: "utf8",
    });
    assert.notEqual(stdout, "", stderr);
    return JSON.parse(stdout) as { leaks: string[]; seen: number; untouched: boolean };
  };
  const { leaks, seen, untouched } = run();
  assert.deepEqual(leaks, []);
  assert.ok(seen > 100);
  assert.ok(untouched);
  assert.notDeepEqual(run("control").leaks, []);
});

// A region against a DataView over a copy of exactly its bytes, with everything around it watched.
const methods = ["U8", "I8", "U16", "I16", "U32", "I32", "F32", "F64", "I64", "U64"] as const;
const sizes = { U8: 1, I8: 1, U16: 2, I16: 2, U32: 4, I32: 4, F32: 4, F64: 8, I64: 8, U64: 8 };

test("random reads and writes do what DataView does, inside, and nothing outside", () => {
  const step = fc.record({
    method: fc.constantFrom(...methods),
    offset: fc.oneof(fc.integer({ min: -10, max: 80 }), fc.integer(), fc.constantFrom(-0, 2 ** 32, 2 ** 53)),
    write: fc.boolean(),
    number: fc.double(),
    big: fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }),
    grow: fc.nat({ max: 40 }),
  });
  const window = fc.record({ start: fc.nat({ max: 65_536 - 72 }), length: fc.nat({ max: 72 }) });
  fc.assert(
    fc.property(window, fc.array(step, { maxLength: 40 }), ({ start, length }, steps) => {
      const m = memory();
      for (let at = 0; at < 65_536; at += 4) m.writeU32(at, Math.imul(at, 0x9e3779b1));
      const model = m.copyBytes(0, 65_536);
      const view = new DataView(model.buffer, start, length);
      const region = new Region(m, start, length);
      for (const { method, offset, write, number, big, grow } of steps) {
        if (grow === 0 && m.pages < 8) m.wasm.grow(1);
        const value = (method === "I64" || method === "U64" ? big : number) as never;
        const act = () => (write ? region[`write${method}`](offset, value) : region[`read${method}`](offset));
        const name = { U8: "Uint8", I8: "Int8", U16: "Uint16", I16: "Int16", U32: "Uint32", I32: "Int32" }[
          method as "U8"
        ];
        const native =
          name ?? { F32: "Float32", F64: "Float64", I64: "BigInt64", U64: "BigUint64" }[method as "F32"];
        if (offset >= 0 && offset + sizes[method] <= length) {
          const wanted = write
            ? view[`set${native}` as "setUint16"](offset, value, true)
            : view[`get${native}` as "getUint16"](offset, true);
          assert.deepEqual(act(), wanted);
        } else {
          assert.throws(act, { code: "ERR_LINMEM_BOUNDS" });
        }
      }
      assert.deepEqual(m.copyBytes(0, 65_536), model);
    }),
    { seed: 11, numRuns: 100 },
  );
});
