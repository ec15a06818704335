// Text in and out of a memory.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LinearMemory, LinmemRangeError, LinmemTypeError } from "../../src/index.js";

const seed = 0x7e_57;
const encoder = new TextEncoder();

/** Strings of all sorts: ASCII, any code points, and any code units, lone surrogates among them. */
const texts = fc.oneof(
  fc.string({ unit: "binary-ascii", maxLength: 60 }),
  fc.string({ unit: "binary", maxLength: 60 }),
  fc
    .array(fc.integer({ min: 0xd780, max: 0xe010 }), { maxLength: 20 })
    .map((units) => String.fromCharCode(...units)),
);
const places = fc.integer({ min: 0, max: 65_535 });

/** `text` after a round trip through UTF-8, by the engine's own means. */
function wellFormed(text: string): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(encoder.encode(text));
}

const outside = (error: unknown) => error instanceof LinmemRangeError && error.code === "ERR_LINMEM_BOUNDS";
const badText = (error: unknown) => error instanceof LinmemRangeError && error.code === "ERR_LINMEM_TEXT";

for (const shared of [false, true]) {
  const memory = new LinearMemory({ initial: 1, maximum: 1, shared });
  const what = shared ? "a shared memory" : "a memory";

  test(`UTF-8 of ${what} is what TextEncoder and TextDecoder make of it, or nothing happens`, () => {
    fc.assert(
      fc.property(places, texts, fc.option(fc.integer({ min: 0, max: 100 })), (address, text, option) => {
        const limit = option ?? undefined;
        const bytes = encoder.encode(text);
        const before = memory.copyBytes(0, 65_536);
        if (address + bytes.length > 65_536 || bytes.length > (limit ?? Infinity)) {
          assert.throws(() => memory.writeUtf8(address, text, limit), outside);
        } else {
          assert.equal(memory.writeUtf8(address, text, limit), bytes.length);
          before.set(bytes, address);
          assert.equal(memory.readUtf8(address, bytes.length), wellFormed(text));
        }
        assert.deepEqual(memory.copyBytes(0, 65_536), before, "no byte besides");
      }),
      { seed, numRuns: 1000 },
    );
  });

  test(`UTF-16 of ${what} keeps every code unit, at any address`, () => {
    fc.assert(
      fc.property(places, texts, fc.option(fc.integer({ min: 0, max: 100 })), (address, text, option) => {
        const limit = option ?? undefined;
        const before = memory.copyBytes(0, 65_536);
        const size = text.length * 2;
        if (address + size > 65_536 || size > (limit ?? Infinity)) {
          assert.throws(() => memory.writeUtf16(address, text, limit), outside);
        } else {
          assert.equal(memory.writeUtf16(address, text, limit), size);
          for (let i = 0; i < text.length; i++)
            new DataView(before.buffer).setUint16(address + 2 * i, text.charCodeAt(i), true);
          assert.equal(memory.readUtf16(address, size), text);
        }
        assert.deepEqual(memory.copyBytes(0, 65_536), before, "no byte besides");
      }),
      { seed, numRuns: 600 },
    );
  });

  test(`NUL-terminated text of ${what} comes back, in both encodings`, () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 60_000 }), texts, (address, text) => {
        memory.u8.fill(0xff);
        if (text.includes("\0")) {
          assert.throws(() => memory.writeCString(address, text), badText);
          assert.throws(() => memory.writeCString16(address, text), badText);
          assert.ok(memory.u8.every((byte) => byte === 0xff));
          return;
        }
        const { length } = encoder.encode(text);
        assert.equal(memory.writeCString(address, text), length + 1);
        assert.equal(memory.readCString(address), wellFormed(text));
        assert.equal(memory.readCString(address, length + 1), wellFormed(text));
        assert.throws(() => memory.readCString(address, length), badText);
        assert.equal(memory.readU8(address + length + 1), 0xff);
        assert.equal(memory.writeCString16(address, text), text.length * 2 + 2);
        assert.equal(memory.readCString16(address), text);
        assert.equal(memory.readCString16(address, text.length * 2 + 2), text);
        assert.throws(() => memory.readCString16(address, text.length * 2 + 1), badText);
      }),
      { seed, numRuns: 300 },
    );
  });
}

test("a lone surrogate is U+FFFD in UTF-8 and itself in UTF-16", () => {
  const memory = new LinearMemory({ initial: 1 });
  assert.equal(memory.writeUtf8(0, "a\ud800b"), 5);
  assert.equal(memory.readUtf8(0, 5), "a\ufffdb");
  assert.equal(memory.writeUtf16(0, "a\ud800b"), 6);
  assert.equal(memory.readUtf16(0, 6), "a\ud800b");
});

test("bytes that are not UTF-8 become U+FFFD, and a byte order mark stays", () => {
  const memory = new LinearMemory({ initial: 1 });
  memory.writeBytes(0, Uint8Array.of(0x61, 0xff, 0xc3, 0x62, 0xef, 0xbb, 0xbf));
  assert.equal(memory.readUtf8(0, 4), "a\ufffd\ufffdb");
  assert.equal(memory.readUtf8(4, 3), "\ufeff");
  assert.equal(memory.writeCString(100, "\ufeffx"), 5);
  assert.equal(memory.readCString(100), "\ufeffx");
});

test("long texts, in pieces as they need be", () => {
  const memory = new LinearMemory({ initial: 40 });
  const text = "añ→😀\ud800".repeat(60_000);
  memory.writeUtf16(1, text);
  assert.equal(memory.readUtf16(1, text.length * 2), text);
  const size = memory.writeCString(3, text);
  assert.equal(memory.readCString(3), wellFormed(text));
  assert.equal(size, encoder.encode(text).length + 1);
});

test("text fits to the last byte, and not beyond", () => {
  const memory = new LinearMemory({ initial: 1 });
  assert.equal(memory.writeUtf8(65_534, "é"), 2);
  assert.equal(memory.writeUtf8(65_536, ""), 0);
  assert.throws(() => memory.writeUtf8(65_535, "é"), outside);
  assert.equal(memory.readU8(65_535), 0xa9, "nothing was written");
  assert.equal(memory.writeCString(65_535, ""), 1);
  assert.throws(() => memory.writeCString(65_535, "a"), outside);
  assert.throws(() => memory.writeCString(65_536, ""), outside);
  assert.equal(memory.writeUtf16(65_534, "a"), 2);
  assert.throws(() => memory.writeCString16(65_534, "a"), outside);
  assert.equal(memory.readU8(65_534), 0x61, "nothing was written");
});

test("a limit is the room there is, the NUL included", () => {
  const memory = new LinearMemory({ initial: 1 });
  assert.equal(memory.writeCString(0, "abc", 4), 4);
  assert.throws(() => memory.writeCString(0, "abcd", 4), /text of 5 bytes does not fit 0x4 bytes/);
  assert.throws(() => memory.writeUtf8(0, "a", 0), outside);
  assert.throws(() => memory.writeUtf8(0, "a", -1), outside);
  assert.throws(() => memory.writeUtf8(0, "a", Number.NaN), LinmemTypeError);
  assert.throws(() => memory.writeCString(0, "x", "4" as unknown as number), LinmemTypeError);
  assert.equal(memory.readCString(0), "abc");
});

test("text without an end, or with an end in the middle, is an error that says where", () => {
  const memory = new LinearMemory({ initial: 1 });
  memory.u8.fill(0x61);
  assert.throws(() => memory.readCString(65_500), /no NUL in 36 bytes at 0xffdc/);
  assert.throws(() => memory.readCString(0, 10), /no NUL in 10 bytes at 0x0/);
  assert.throws(() => memory.readCString16(1), badText);
  assert.throws(() => memory.readCString(65_536), outside);
  assert.throws(() => memory.writeCString(0, "a\0b"), /NUL at index 1/);
  assert.throws(() => memory.readUtf16(0, 3), badText);
  for (const bad of [5, 5n, null, undefined, {}, new String("x")]) {
    assert.throws(() => memory.writeUtf8(0, bad as string), LinmemTypeError);
    assert.throws(() => memory.writeCString16(0, bad as string), LinmemTypeError);
  }
});

test("a dump has addresses, bytes and letters, and leaves out what repeats", () => {
  const memory = new LinearMemory({ initial: 1 });
  memory.writeUtf8(0x100, "linear memory, 64 KiB a page");
  memory.writeU32(0x140, 0xdeadbeef);
  assert.equal(
    memory.dump(0x100, 0x54),
    [
      "00000100  6c 69 6e 65 61 72 20 6d  65 6d 6f 72 79 2c 20 36  |linear memory, 6|",
      "00000110  34 20 4b 69 42 20 61 20  70 61 67 65 00 00 00 00  |4 KiB a page....|",
      "00000120  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|",
      "*",
      "00000140  ef be ad de 00 00 00 00  00 00 00 00 00 00 00 00  |................|",
      "00000150  00 00 00 00                                       |....|",
    ].join("\n"),
  );
  assert.equal(memory.dump(0, 0), "");
  assert.equal(memory.dump(0x103, 3), "00000103  65 61 72                                          |ear|");
});
