// Bytes that lie. Whatever they say, decoding ends at once, allocates nothing for what isn't there, and throws
// nothing but a DecodeError.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DecodeError } from "../../src/errors.js";
import { Writer } from "../../src/wasm/leb128.js";
import { decodeModule, encodeModule, makeSection } from "../../src/wasm/module.js";
import { sectionId } from "../../src/wasm/types.js";
import { everything, hex, moduleOf, reencode, samples } from "./support.js";

/** Decodes all there is; the error when it is a DecodeError. */
function decodeError(bytes: Uint8Array): DecodeError | undefined {
  try {
    const module = decodeModule(bytes);
    everything(module);
    reencode(module);
    return undefined;
  } catch (error) {
    if (error instanceof DecodeError) return error;
    throw error;
  }
}

/** `offset` counts from the start of the section's payload. */
function damaged(id: number, payload: string, offset: number, message: RegExp): void {
  const error = decodeError(moduleOf([id, payload]));
  assert.ok(error, `section ${id}, ${payload}: not refused`);
  assert.match(error.message, message);
  assert.equal(error.offset, 10 + offset, error.message);
}

describe("handmade", () => {
  const endless = "ff ff ff ff 0f";

  test("counts of 2^32 - 1", () => {
    for (const id of [1, 2, 4, 5, 13, 6, 7, 9, 11])
      damaged(id, endless, 0, /4294967295 .*, more than the limit/);
    const functions = moduleOf([3, endless], [10, endless]);
    assert.match(decodeError(functions)?.message ?? "", /4294967295 functions/);
  });

  test("counts that are allowed but larger than what follows", () => {
    for (const id of [1, 2, 4, 5, 13, 6, 7, 9, 11]) damaged(id, "80 08 00 00", 0, /length out of bounds/);
  });

  test("counts inside of types, segments and bodies", () => {
    damaged(1, `01 60 ${endless} 00`, 2, /4294967295 parameters/);
    damaged(1, `01 60 00 ${endless}`, 3, /4294967295 results/);
    damaged(1, `01 5f ${endless}`, 2, /4294967295 fields/);
    damaged(1, `01 4e ${endless}`, 2, /4294967295 types in a recursion group/);
    damaged(1, `01 50 ${endless} 60 00 00`, 2, /4294967295 supertypes/);
    damaged(9, `01 01 00 ${endless}`, 3, /4294967295 elements/);
    damaged(9, `01 05 70 ${endless}`, 3, /4294967295 element expressions/);
    damaged(11, `01 01 ${endless}`, 7, /length out of bounds/);
    const locals = decodeError(moduleOf([1, "00"], [3, "01 00"], [10, `01 08 01 ${endless} 7f 0b`]));
    assert.match(locals?.message ?? "", /too many locals/);
    assert.equal(locals?.offset, 20);
  });

  test("element expressions that only together are too many", () => {
    // Two segments of 600,000 times ref.null func.
    const count = 600_000;
    const items = new Uint8Array(3 * count);
    for (let i = 0; i < items.length; i += 3) items.set([0xd0, 0x70, 0x0b], i);
    const writer = new Writer();
    writer.u32(2);
    for (let i = 0; i < 2; i++) {
      writer.bytes(hex("05 70"));
      writer.u32(count);
      writer.bytes(items);
    }
    const error = decodeError(encodeModule([makeSection(sectionId.element, writer.finish())]));
    assert.match(error?.message ?? "", /600000 element expressions, more than the limit of 400000/);
  });

  test("locals that only together are too many", () => {
    // 50,000 of i32 and one more of i64, in a body of 8 bytes.
    const error = decodeError(moduleOf([1, "00"], [3, "01 00"], [10, "01 08 02 d0 86 03 7f 01 7e 0b"]));
    assert.match(error?.message ?? "", /too many locals/);
  });

  test("bodies that reach behind their section", () => {
    const error = decodeError(moduleOf([3, "01 00"], [10, "01 7f 00 0b"]));
    assert.match(error?.message ?? "", /length out of bounds/);
    assert.equal(error?.offset, 15);
  });

  test("unknown forms", () => {
    damaged(1, "01 61 00", 1, /malformed type form 0x61/);
    damaged(1, "01 60 01 7a 00", 3, /malformed value type 0x7a/);
    damaged(1, "01 60 01 64 40 00", 4, /malformed heap type -64/);
    damaged(1, "01 5e 7f 02", 3, /malformed mutability 0x2/);
    damaged(2, "01 00 00 05 00", 3, /malformed import kind 0x5/);
    damaged(4, "01 7f 00 00", 1, /malformed reference type 0x7f/);
    damaged(4, "01 40 01 70 00 00 0b", 2, /zero byte expected/);
    damaged(4, "01 70 08 00", 2, /malformed limits flags 0x8/);
    damaged(5, "01 10 00", 1, /malformed limits flags 0x10/);
    damaged(5, "01 08 00 41", 3, /invalid custom page size/);
    damaged(5, "01 04 ff ff ff ff ff ff ff ff ff 01", 2, /larger than 2\^53/);
    damaged(6, "01 7f 02 41 00 0b", 2, /malformed mutability 0x2/);
    damaged(7, "01 00 05 00", 2, /malformed export kind 0x5/);
    damaged(9, "01 08 00 00", 1, /malformed element segment flags 8/);
    damaged(9, "01 01 01 00", 2, /malformed element kind 0x1/);
    damaged(11, "01 03 00", 1, /malformed data segment flags 3/);
    damaged(13, "01 01 00", 1, /malformed tag attribute 1/);
  });

  test("bytes behind the last item", () => {
    for (const id of [1, 2, 4, 5, 13, 6, 7, 9, 11]) damaged(id, "00 00", 1, /section size mismatch/);
    damaged(8, "00 00", 1, /section size mismatch/);
    const error = decodeError(moduleOf([3, "01 00"], [10, "01 02 00 0b 00"]));
    assert.match(error?.message ?? "", /section size mismatch/);
  });

  test("constant expressions without end, cut inside an instruction, or with an unknown opcode", () => {
    damaged(6, "01 7f 00 41 00", 5, /constant expression without end/);
    damaged(6, "01 7f 00 41 80", 5, /constant expression without end/);
    damaged(6, "01 7f 00 fd", 4, /constant expression without end|unknown opcode/);
    damaged(6, "01 7f 00 ff 0b", 3, /unknown opcode 0xff/);
  });
});

test("a module cut at any byte", () => {
  for (const [name, bytes] of Object.entries(samples)) {
    const ends = decodeModule(bytes).sections.map(({ offset, bytes: { length } }) => offset + length);
    for (let length = 0; length < bytes.length; length++) {
      const error = decodeError(bytes.subarray(0, length));
      // Between two sections it may still be a module.
      if (length !== 8 && !ends.includes(length))
        assert.ok(error, `${name}, first ${length} bytes: not refused`);
      if (error) assert.ok(error.offset <= length, `${name}, first ${length} bytes: offset ${error.offset}`);
    }
  }
});

/** Mulberry32: small, seeded, good enough to choose bytes with. */
function random(seed: number): (below: number) => number {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** Values at which decoders break: ends of ranges, LEB128 continuations, opcodes. */
const interesting = hex("00 01 40 4e 50 60 7f 80 ff 0b fb fc fd fe 63 64");

function mutate(bytes: Uint8Array, below: (below: number) => number): Uint8Array<ArrayBuffer> {
  const mutant = [...bytes];
  for (let changes = 1 + below(4); changes > 0; changes--) {
    const pos = 8 + below(mutant.length - 8);
    const byte = below(2) === 0 ? interesting[below(interesting.length)] : below(256);
    const kind = below(4);
    if (kind === 0) mutant.splice(pos, 1);
    else if (kind === 1) mutant.splice(pos, 0, byte);
    else if (kind === 2) mutant[pos] = byte;
    else mutant[pos] ^= 1 << below(8);
  }
  return Uint8Array.from(mutant);
}

test("5,000 seeded mutations: what is no DecodeError decodes, and encodes to the same meaning", () => {
  const originals = Object.values(samples);
  let refused = 0;
  for (let seed = 0; seed < 5000; seed++) {
    const bytes = mutate(originals[seed % originals.length], random(seed));
    try {
      if (decodeError(bytes)) {
        refused++;
        continue;
      }
      const module = decodeModule(bytes);
      const again = reencode(module);
      assert.deepEqual(everything(decodeModule(again)), everything(module));
      if (WebAssembly.validate(bytes)) assert.ok(WebAssembly.validate(again), "no longer valid");
    } catch (error) {
      throw new Error(`seed ${seed}: ${Buffer.from(bytes).toString("hex")}`, { cause: error });
    }
  }
  assert.ok(refused > 1000 && refused < 5000, `${refused} refused`);
});
