// Modules that can't or needn't be instrumented, and bytes that are no module.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DecodeError, InstrumentError, LinmemError } from "../../src/errors.js";
import { instrument } from "../../src/instrument/index.js";
import { hex, moduleOf, samples } from "../wasm/support.js";
import { assemble, bumpAllocator, mallocAndFree, overridesOf, supports } from "./support.js";

const allocator = overridesOf(mallocAndFree);

const working = assemble(`(module
  (import "env" "log" (func $log (param i32)))
  ${bumpAllocator}
  (table (export "table") 4 funcref)
  (global funcref (ref.func $make))
  (elem (i32.const 0) $malloc $make)
  (elem funcref (ref.func $make) (ref.null func))
  (data (i32.const 8) "hello")
  (func $make (export "make") (param i32) (result i32) (local f32 i64)
    (call $log (local.get 0))
    (if (i32.eqz (local.get 0)) (then (return (i32.const -1))))
    (block (block (br_table 0 1 0 (local.get 0))))
    (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "release") (param i32) (call $free (local.get 0)) (call $free (i32.const 0)))
  (func $calls (export "calls") (param i32) (result i32)
    (loop (result i32)
      (drop (call $make (local.get 0)))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))
      (return_call $make (local.get 0)))))`);

describe("nothing to do: the same bytes", () => {
  for (const [name, bytes] of Object.entries({
    "an empty module": moduleOf(),
    "no allocator and no growth": assemble(`(module (memory (export "memory") 1)
      (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))`),
    "a module of only tables": samples.tables,
    "types of the GC proposal": samples.gc,
    "padded numbers": samples.padded,
  })) {
    test(name, () => {
      const { bytes: out, allocator: hooked, toOriginal } = instrument(bytes);
      assert.equal(out, bytes);
      assert.deepEqual(hooked, []);
      assert.deepEqual(toOriginal(3, 77), { functionIndex: 3, offset: 77 });
    });
  }
});

test("an instrumented module is not instrumented again", () => {
  const { bytes } = instrument(working, { allocator });
  assert.throws(() => instrument(bytes, { allocator }), InstrumentError);
  assert.throws(() => instrument(bytes), /give the original/);
});

test("what isn't touched stays as it was", () => {
  const custom = moduleOf([0, `05 "hello" 01 02 03`]).subarray(8);
  const { bytes } = instrument(Uint8Array.from([...working, ...custom]), { allocator });
  const [section] = WebAssembly.Module.customSections(new WebAssembly.Module(new Uint8Array(bytes)), "hello");
  assert.deepEqual([...new Uint8Array(section)], [1, 2, 3]);
  // i32.const 7 in five bytes, end
  const body = [0, 0x41, 0x87, 0x80, 0x80, 0x80, 0x00, 0x0b];
  const { bytes: padded } = instrument(
    moduleOf(
      [1, "03 60 01 7f 01 7f  60 01 7f 00  60 00 01 7f"],
      [3, "03 00 01 02"],
      [7, `03 06 "malloc" 00 00  04 "free" 00 01  05 "apart" 00 02`],
      [10, `03 04 00 41 10 0b  02 00 0b  08 ${Buffer.from(body).toString("hex")}`],
    ),
    { allocator },
  );
  assert.ok(Buffer.from(padded).includes(Buffer.from(body)));
});

describe("bytes that are no module", () => {
  const absurd: Record<string, Uint8Array<ArrayBuffer>> = {
    "no bytes": new Uint8Array(),
    text: new TextEncoder().encode("<!doctype html>"),
    "a section of 4 GiB": hex(`00 61 73 6d 01 00 00 00  01 ff ff ff ff 0f 00`),
    "a size of eleven bytes": hex(`00 61 73 6d 01 00 00 00  01 80 80 80 80 80 80 80 80 80 80 00`),
    ...Object.fromEntries(
      [1, 2, 3, 4, 5, 6, 7, 9, 10].map((id) => [
        `section ${id} with 2^32 - 1 entries`,
        hex(`00 61 73 6d 01 00 00 00  ${id.toString(16).padStart(2, "0")} 05 ff ff ff ff 0f`),
      ]),
    ),
    "2^32 - 1 locals in every group": moduleOf(
      [1, "01 60 00 00"],
      [3, "01 00"],
      [10, `01 0f 02 ff ff ff ff 0f 7f ff ff ff ff 0f 7e 0b`],
    ),
  };
  for (const [name, bytes] of Object.entries(absurd)) {
    test(name, () => {
      assert.throws(
        () => instrument(bytes),
        (error) => error instanceof DecodeError && error.offset >= 0 && error.offset <= bytes.length,
      );
    });
  }

  test("every truncation of a module", () => {
    for (let length = 0; length < working.length; length++) {
      const bytes = working.slice(0, length);
      if (WebAssembly.validate(bytes)) continue;
      try {
        // names and custom sections may be cut off behind a whole module, and code that nothing reaches
        const { bytes: out } = instrument(bytes);
        assert.ok(!WebAssembly.validate(new Uint8Array(out)), `${length} bytes became valid`);
      } catch (error) {
        assert.ok(error instanceof DecodeError, `${length} bytes: ${error}`);
        assert.ok(error.offset <= length);
      }
    }
  });
});

/** xorshift32: the same changes in every run. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

test("changed bytes: an error of linmem, or a module that is as valid as the changed one", (t) => {
  const random = randomFrom(0x1234567);
  const tally = { refused: 0, valid: 0, invalid: 0, becameValid: 0 };
  for (let round = 0; round < 10_000; round++) {
    const bytes = working.slice();
    for (let changes = 1 + random(3); changes > 0; changes--) {
      const at = 8 + random(bytes.length - 8);
      bytes[at] = random(2) ? random(256) : bytes[at] ^ (1 << random(8));
    }
    const valid = supports(bytes);
    let out: Uint8Array;
    try {
      out = instrument(bytes, { allocator }).bytes;
    } catch (error) {
      assert.ok(error instanceof LinmemError, `round ${round}: ${(error as Error).stack}`);
      // a changed name or type of `malloc` is the one reason to refuse what is valid
      if (valid) assert.equal(error.code, "ERR_LINMEM_USAGE", `round ${round}: ${error.message}`);
      tally.refused++;
      continue;
    }
    const validNow = supports(new Uint8Array(out));
    if (valid) {
      assert.ok(validNow, `round ${round}: no longer valid`);
      tally.valid++;
    } else if (validNow) {
      tally.becameValid++;
    } else {
      tally.invalid++;
    }
  }
  t.diagnostic(JSON.stringify(tally));
  assert.ok(tally.valid > 1000 && tally.invalid > 1000 && tally.refused > 1000);
  // an index one past the last may be that of a local or global that was added
  assert.ok(tally.becameValid * 200 < tally.invalid);
});
