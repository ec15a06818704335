// Loads and stores at an address, against DataView.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LinearMemory, LinmemRangeError, LinmemTypeError } from "../../src/index.js";

const seed = 0x11e_a5;
const size = 65_536;

const bits64 = fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n });
const numbers = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(-0, Number.NaN, Infinity, -Infinity, 2 ** 32, -(2 ** 31), 2 ** 53, 0.5, -1.5, 3e38, 1e-45),
);

/** Each kind: bytes, the methods of DataView, and the values to write. */
const kinds = {
  U8: { bytes: 1, method: "Uint8", values: numbers },
  I8: { bytes: 1, method: "Int8", values: numbers },
  U16: { bytes: 2, method: "Uint16", values: numbers },
  I16: { bytes: 2, method: "Int16", values: numbers },
  U32: { bytes: 4, method: "Uint32", values: numbers },
  I32: { bytes: 4, method: "Int32", values: numbers },
  F32: { bytes: 4, method: "Float32", values: numbers },
  F64: { bytes: 8, method: "Float64", values: numbers },
  I64: { bytes: 8, method: "BigInt64", values: bits64 },
  U64: { bytes: 8, method: "BigUint64", values: bits64 },
} as const;
type Kind = keyof typeof kinds;
type AnyView = Record<string, (address: number, ...rest: unknown[]) => unknown>;

function read(memory: LinearMemory, kind: Kind, address: unknown): unknown {
  return (memory[`read${kind}`] as (address: unknown) => unknown).call(memory, address);
}
function write(memory: LinearMemory, kind: Kind, address: unknown, value: unknown): void {
  (memory[`write${kind}`] as (address: unknown, value: unknown) => void).call(memory, address, value);
}

for (const [kind, { bytes, method, values }] of Object.entries(kinds) as [Kind, (typeof kinds)[Kind]][]) {
  for (const shared of [false, true]) {
    test(`read${kind} and write${kind} of a ${shared ? "shared" : "plain"} memory do as DataView does`, () => {
      const memory = new LinearMemory({ initial: 1, maximum: 1, shared });
      const model = new DataView(new ArrayBuffer(size));
      const addresses = fc.oneof(
        fc.integer({ min: 0, max: size - 1 }),
        fc.integer({ min: -3, max: 12 }),
        fc.integer({ min: size - 12, max: size + 3 }),
      );
      fc.assert(
        fc.property(
          addresses,
          values as fc.Arbitrary<number | bigint>,
          fc.boolean(),
          (address, value, asBigInt) => {
            const place = asBigInt ? BigInt(address) : address;
            const view = model as unknown as AnyView;
            let outside = false;
            try {
              view[`set${method}`]?.(address, value, true);
            } catch {
              outside = true;
            }
            assert.equal(outside, address < 0 || address > size - bytes);
            if (outside) {
              assert.throws(() => write(memory, kind, place, value), RangeError);
              assert.throws(() => read(memory, kind, place), RangeError);
            } else {
              write(memory, kind, place, value);
              assert.deepEqual(read(memory, kind, place), view[`get${method}`]?.(address, true));
            }
          },
        ),
        { seed, numRuns: 400 },
      );
      assert.deepEqual(memory.copyBytes(0, size), new Uint8Array(model.buffer), "no byte besides");
    });
  }

  test(`${kind} at all offsets of a word reads what the typed arrays hold`, () => {
    const memory = new LinearMemory({ initial: 1 });
    for (let i = 0; i < 64; i++) memory.u8[i] = i * 37 + 11;
    const view = new DataView(memory.buffer) as unknown as AnyView;
    for (let at = 0; at < 40; at++)
      assert.deepEqual(read(memory, kind, at), view[`get${method}`]?.(at, true));
  });

  test(`${kind}: what is no address, or outside, is an error before anything is written`, () => {
    const memory = new LinearMemory({ initial: 1, maximum: 2 });
    const last = size - bytes;
    write(memory, kind, last, kind.endsWith("64") && kind !== "F64" ? 1n : 1);
    for (const bad of [1.5, Number.NaN, "8", "", null, undefined, {}, [8], true, Symbol("s"), () => 8]) {
      for (const action of [() => read(memory, kind, bad), () => write(memory, kind, bad, 0)]) {
        assert.throws(action, (error: unknown) => {
          assert.ok(error instanceof LinmemTypeError && error.code === "ERR_LINMEM_ADDRESS", String(error));
          return true;
        });
      }
    }
    for (const bad of [
      -1,
      -(2 ** 31),
      last + 1,
      size,
      2 ** 32 - 1,
      2 ** 32,
      2 ** 53,
      1e300,
      Infinity,
      -Infinity,
      -1n,
      2n ** 64n,
    ]) {
      assert.throws(
        () => read(memory, kind, bad),
        (error: unknown) => {
          assert.ok(error instanceof LinmemRangeError && error.code === "ERR_LINMEM_BOUNDS", String(error));
          assert.equal(error.numbers.size, bytes);
          assert.equal(error.numbers.byteLength, size);
          return true;
        },
      );
    }
    assert.equal(read(memory, kind, -0), read(memory, kind, 0), "-0 is 0");
    const wrong =
      kind === "I64" || kind === "U64"
        ? [1, "1", null, undefined, {}, true]
        : [1n, "1", null, undefined, {}, true];
    const before = memory.copyBytes(0, size);
    for (const value of wrong) {
      assert.throws(
        () => write(memory, kind, 0, value),
        (error: unknown) => error instanceof LinmemTypeError && error.code === "ERR_LINMEM_VALUE",
      );
    }
    assert.deepEqual(memory.copyBytes(0, size), before);
  });
}

test("a bounds error names address and size in hexadecimal", () => {
  const memory = new LinearMemory({ initial: 1 });
  assert.throws(
    () => memory.readU32(0xfffe),
    /^LinmemRangeError: out of bounds: 4 bytes at 0xfffe of a memory of 0x10000 bytes$/,
  );
  assert.throws(() => memory.writeU8(-2, 0), /1 byte at -0x2 of a memory of 0x10000 bytes/);
  assert.throws(() => memory.readF64(Infinity), /8 bytes at Infinity/);
});

test("hostile objects are never asked what number they are", () => {
  const memory = new LinearMemory({ initial: 1, maximum: 3 });
  const hostile = {
    valueOf: () => assert.fail("valueOf was called"),
    toString: () => assert.fail("toString was called"),
    [Symbol.toPrimitive]: () => assert.fail("toPrimitive was called"),
  };
  for (const kind of Object.keys(kinds) as Kind[]) {
    assert.throws(() => read(memory, kind, hostile), LinmemTypeError);
    assert.throws(() => write(memory, kind, hostile, 0), LinmemTypeError);
    assert.throws(() => write(memory, kind, 0, hostile), LinmemTypeError);
  }
  assert.throws(() => memory.grow(hostile as unknown as number), LinmemTypeError);
  assert.throws(() => memory.viewBytes(0, hostile as unknown as number), LinmemTypeError);
  assert.throws(() => memory.writeUtf8(0, hostile as unknown as string), LinmemTypeError);
  assert.throws(() => memory.writeBytes(0, hostile as unknown as Uint8Array), LinmemTypeError);
  assert.throws(() => new LinearMemory({ initial: hostile as unknown as number }), LinmemTypeError);
});

test("viewBytes is the memory, copyBytes is not", () => {
  for (const shared of [false, true]) {
    const memory = new LinearMemory({ initial: 1, maximum: 2, shared });
    const view = memory.viewBytes(16, 4);
    const copy = memory.copyBytes(16, 4);
    memory.writeU32(16, 0x04030201);
    assert.deepEqual([...view], [1, 2, 3, 4]);
    assert.deepEqual([...copy], [0, 0, 0, 0]);
    view[0] = 9;
    assert.equal(memory.readU8(16), 9);
    assert.ok(copy.buffer instanceof ArrayBuffer, "a copy is never shared");
    memory.grow(1);
    assert.equal(memory.viewBytes(65_536, 65_536).length, 65_536, "also in pages that are new");
  }
});

test("writeBytes copies from anywhere, the memory itself included", () => {
  const memory = new LinearMemory({ initial: 1, maximum: 2 });
  memory.writeBytes(10, Uint8Array.of(1, 2, 3, 4, 5));
  memory.writeBytes(12, memory.viewBytes(10, 5));
  assert.deepEqual([...memory.copyBytes(10, 7)], [1, 2, 1, 2, 3, 4, 5], "overlapping");
  memory.writeBytes(65_536, new Uint8Array(0));
  memory.writeBytes(0, Buffer.from("abc"));
  assert.equal(memory.readUtf8(0, 3), "abc");
});

test("bytes that can't be written are an error, and nothing is written", () => {
  const memory = new LinearMemory({ initial: 1, maximum: 3 });
  memory.u8.fill(0xee);
  const source = new Uint8Array(8);
  const outside = (error: unknown) => error instanceof LinmemRangeError && error.code === "ERR_LINMEM_BOUNDS";
  assert.throws(() => memory.writeBytes(65_536 - 7, source), outside);
  assert.throws(() => memory.writeBytes(-1, source), outside);
  for (const bad of [
    [1, 2],
    new ArrayBuffer(8),
    new DataView(new ArrayBuffer(8)),
    "abc",
    null,
    new Uint16Array(2),
    { length: 1 },
  ]) {
    assert.throws(
      () => memory.writeBytes(0, bad as unknown as Uint8Array),
      (error: unknown) => error instanceof LinmemTypeError && error.code === "ERR_LINMEM_VALUE",
    );
  }
  const stale = memory.viewBytes(0, 8);
  memory.grow(1);
  const transferred = new Uint8Array(8);
  structuredClone(transferred.buffer, { transfer: [transferred.buffer] });
  for (const detached of [stale, transferred]) {
    assert.throws(
      () => memory.writeBytes(0, detached),
      (error: unknown) => error instanceof LinmemTypeError && error.code === "ERR_LINMEM_DETACHED",
    );
  }
  assert.ok(memory.viewBytes(0, 65_536).every((byte) => byte === 0xee));
});

test("a source that lies about its length can't write outside, or grow the memory on the way", () => {
  const memory = new LinearMemory({ initial: 1, maximum: 3 });
  class Liar extends Uint8Array {
    override get length(): number {
      memory.grow(1);
      return 0;
    }
    override get byteLength(): number {
      memory.grow(1);
      return 0;
    }
  }
  assert.throws(() => memory.writeBytes(65_530, new Liar(8)), LinmemRangeError);
  memory.writeBytes(65_528, new Liar(8));
  assert.equal(memory.pages, 1);
});

test("lengths are checked like addresses", () => {
  const memory = new LinearMemory({ initial: 1 });
  for (const [address, length] of [
    [0, -1],
    [0, 65_537],
    [65_536, 1],
    [1, 65_536],
    [0, Infinity],
    [0, 2 ** 53],
  ] as const) {
    for (const method of ["viewBytes", "copyBytes", "readUtf8", "dump"] as const) {
      assert.throws(
        () => memory[method](address, length),
        (error: unknown) => error instanceof LinmemRangeError && error.code === "ERR_LINMEM_BOUNDS",
        `${method}(${address}, ${length})`,
      );
    }
  }
  for (const length of [1.5, Number.NaN, "1", null, undefined]) {
    assert.throws(() => memory.viewBytes(0, length as number), LinmemTypeError);
  }
  assert.equal(memory.viewBytes(65_536, 0).length, 0);
  assert.equal(memory.copyBytes(8n, 4n).length, 4);
});
