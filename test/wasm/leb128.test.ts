import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DecodeError } from "../../src/errors.js";
import { Reader, skipLeb, u32At, u32Length, Writer } from "../../src/wasm/leb128.js";
import { hex } from "./support.js";

function written(write: (writer: Writer) => void): Uint8Array {
  const writer = new Writer(1);
  write(writer);
  return writer.finish();
}

function failsAt(offset: number, message: RegExp, run: () => unknown): void {
  assert.throws(
    run,
    (error) => error instanceof DecodeError && error.offset === offset && message.test(error.message),
  );
}

describe("numbers", () => {
  const unsigned = [
    0,
    1,
    127,
    128,
    16383,
    16384,
    2 ** 21 - 1,
    2 ** 21,
    2 ** 28 - 1,
    2 ** 28,
    2 ** 31,
    2 ** 32 - 1,
  ];
  const signed = [0, 1, -1, 63, 64, -64, -65, 8191, 8192, -8193, 2 ** 31 - 1, -(2 ** 31)];

  test("of 32 bits come back, in their shortest form", () => {
    for (const value of unsigned) {
      const bytes = written((writer) => writer.u32(value));
      assert.equal(bytes.length, u32Length(value));
      assert.equal(new Reader(bytes).u32(), value);
      assert.equal(u32At(bytes, 0), value);
      assert.equal(skipLeb(bytes, 0), bytes.length);
    }
    for (const value of signed) assert.equal(new Reader(written((writer) => writer.s32(value))).s32(), value);
  });

  test("of 33 bits come back", () => {
    for (const value of [...signed, 2 ** 32 - 1, -(2 ** 32)]) {
      const bytes = written((writer) => writer.s33(value));
      assert.ok(bytes.length <= 5);
      assert.equal(new Reader(bytes).s33(), value);
    }
  });

  test("of 64 bits come back", () => {
    for (const value of [0n, 1n, 127n, 128n, 2n ** 53n, 2n ** 63n - 1n]) {
      assert.equal(new Reader(written((writer) => writer.u64(value))).u64(), value);
      assert.equal(new Reader(written((writer) => writer.s64(value))).s64(), value);
      assert.equal(new Reader(written((writer) => writer.s64(-value))).s64(), -value);
    }
    const largest = 2n ** 64n - 1n;
    assert.equal(new Reader(written((writer) => writer.u64(largest))).u64(), largest);
    const smallest = -(2n ** 63n);
    assert.equal(new Reader(written((writer) => writer.s64(smallest))).s64(), smallest);
  });

  test("may be padded, as linkers write them", () => {
    const bytes = written((writer) => writer.paddedU32(5));
    assert.deepEqual(bytes, hex("85 80 80 80 00"));
    assert.equal(new Reader(bytes).u32(), 5);
    assert.equal(u32At(bytes, 0), 5);
    assert.equal(skipLeb(bytes, 0), 5);
    assert.equal(new Reader(hex("ff ff ff ff 7f")).s32(), -1);
    assert.equal(new Reader(hex("ff ff ff ff 7f")).s33(), -1);
    assert.equal(new Reader(hex("ff ff ff ff ff ff ff ff ff 7f")).s64(), -1n);
  });

  test("that are too long are refused where they begin", () => {
    const eleven = hex("00 80 80 80 80 80 80 80 80 80 80 00");
    const read = (method: "u32" | "s32" | "s33" | "u64" | "s64") => () => new Reader(eleven, 1)[method]();
    for (const method of ["u32", "s32", "s33", "u64", "s64"] as const) failsAt(1, /too long/, read(method));
    failsAt(1, /too long/, () => u32At(eleven, 1));
    failsAt(1, /too long/, () => skipLeb(eleven, 1));
  });

  test("with bits beyond their width are refused", () => {
    failsAt(0, /too large/, () => new Reader(hex("ff ff ff ff 1f")).u32());
    failsAt(0, /too large/, () => u32At(hex("ff ff ff ff 1f"), 0));
    failsAt(0, /too large/, () => new Reader(hex("ff ff ff ff 0f")).s32());
    failsAt(0, /too large/, () => new Reader(hex("80 80 80 80 70")).s32());
    failsAt(0, /too large/, () => new Reader(hex("ff ff ff ff 2f")).s33());
    failsAt(0, /too large/, () => new Reader(hex("ff ff ff ff ff ff ff ff ff 02")).u64());
    failsAt(0, /too large/, () => new Reader(hex("ff ff ff ff ff ff ff ff ff 01")).s64());
  });

  test("that are cut off are refused where the bytes end", () => {
    for (const method of ["u32", "s32", "s33", "u64", "s64"] as const) {
      failsAt(2, /unexpected end/, () => new Reader(hex("80 80"))[method]());
      failsAt(1, /unexpected end/, () => new Reader(hex("80 80 00"), 0, 1)[method]());
    }
    failsAt(2, /unexpected end/, () => u32At(hex("80 80"), 0));
    failsAt(2, /unexpected end/, () => skipLeb(hex("80 80"), 0));
    failsAt(0, /unexpected end/, () => u32At(new Uint8Array(0), 0));
  });
});

describe("names and vectors", () => {
  test("names keep every character, a byte order mark too", () => {
    for (const name of ["", "malloc", "名前", "\uFEFFx", "😀"]) {
      assert.equal(new Reader(written((writer) => writer.name(name))).name(), name);
    }
  });

  test("malformed UTF-8 is refused, and shown with a substitute where it is only for people", () => {
    const bytes = hex("03 61 ff 62");
    failsAt(1, /malformed UTF-8/, () => new Reader(bytes).name());
    assert.equal(new Reader(bytes).displayName(), "a\uFFFDb");
  });

  test("a count that can't fit in what follows is refused", () => {
    const bytes = hex("00 ff ff ff ff 0f 00");
    failsAt(1, /limit of 1000/, () => new Reader(bytes, 1).count(1, 1000, "things"));
    failsAt(1, /length out of bounds/, () => new Reader(bytes, 1).count(1, 2 ** 32, "things"));
    failsAt(5, /length out of bounds/, () =>
      new Reader(hex("00 00 00 00 00 0f 00"), 5).count(1, 99, "things"),
    );
  });
});

test("the writer grows, copies ranges and patches sizes", () => {
  const source = Uint8Array.from({ length: 300 }, (_, i) => i);
  const bytes = written((writer) => {
    writer.paddedU32(0);
    writer.copy(source, 10, 20);
    writer.copy(source, 100, 250);
    writer.bytes(source);
    writer.byte(7);
    writer.patchU32(0, writer.length - 5);
  });
  assert.equal(new Reader(bytes).u32(), 461);
  assert.deepEqual(
    [...bytes.subarray(5)],
    [...source.subarray(10, 20), ...source.subarray(100, 250), ...source, 7],
  );
});
