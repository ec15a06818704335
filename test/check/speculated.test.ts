import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isSpeculated } from "../../src/instrument/checks/speculated.js";
import { instructionEnd, op } from "../../src/wasm/instructions.js";
import { decodeModule } from "../../src/wasm/module.js";
import { countLocals } from "../../src/wasm/sections/code.js";
import { assemble, bumpAllocator, mallocAndFree, overridesOf } from "../instrument/support.js";
import { checking, waysToCheck } from "../support/checking.js";

/** Whether the read of the only load in a function is one. */
function verdict(body: string): boolean {
  const text = `(module (memory 1) (func (param $p i32) (param $q i32) (result i32) ${body}))`;
  const { bytes, bodies } = decodeModule(assemble(text));
  const end = bodies.end[0]!;
  let before = 0;
  for (let pos = countLocals(bytes, bodies.start[0]!, end).end; pos < end; pos = instructionEnd(bytes, pos)) {
    if (bytes[pos] === op.i32Load) return isSpeculated(bytes, before, pos);
    before = pos;
  }
  assert.fail("no load");
}

const load = "(i32.load offset=4 (local.get $p))";

describe("a read in front of the test of its pointer", () => {
  for (const [what, body] of [
    ["is used only where it is not null", `(select ${load} (i32.const 7) (local.get $p))`],
    ["the test turned round", `(select (i32.const 7) ${load} (i32.eqz (local.get $p)))`],
    ["what is worked out of it", `(select (i32.and ${load} (i32.const 8191)) (local.get $q) (local.get $p))`],
    [
      "its pointer just assigned",
      `(select (i32.load (local.tee $p (local.get $q))) (i32.const 7) (local.get $p))`,
    ],
  ] as const) {
    test(what, () => assert.equal(verdict(body), true));
  }
});

describe("no such read", () => {
  for (const [what, body] of [
    ["one that is used in any case", load],
    ["one that is used where the pointer is null", `(select (i32.const 7) ${load} (local.get $p))`],
    [
      "one that is used there, the test turned round",
      `(select ${load} (i32.const 7) (i32.eqz (local.get $p)))`,
    ],
    ["one that another pointer decides of", `(select ${load} (i32.const 7) (local.get $q))`],
    ["one that decides itself", `(select (i32.const 7) (i32.const 8) ${load})`],
    ["one of which more is used", `(i32.add ${load} (select (i32.const 7) (i32.const 8) (local.get $p)))`],
    ["a sum of what is read and the other", `(i32.add (local.get $q) ${load})`],
    [
      "one through something else",
      "(select (i32.load (i32.add (local.get $p) (local.get $q))) (i32.const 7) (local.get $p))",
    ],
    ["one behind which the pointer changes", `(select ${load} (local.tee $p (local.get $q)) (local.get $p))`],
  ] as const) {
    test(what, () => assert.equal(verdict(body), false));
  }
});

const fields = assemble(`(module ${bumpAllocator}
  (global $__stack_pointer (export "__stack_pointer") (mut i32) (i32.const 1024))
  (global (export "__data_end") i32 (i32.const 1024)) (global (export "__heap_base") i32 (i32.const 1024))
  (data (i32.const 512) "static")
  (func (export "read") (param $p i32) (result i32)
    (select (i32.load offset=4 (local.get $p)) (i32.const 7) (local.get $p)))
  (func (export "readAgain") (param $p i32) (result i32)
    (i32.add
      (select (i32.load offset=4 (local.get $p)) (i32.const 7) (local.get $p))
      (i32.load offset=4 (local.get $p))))
  (func (export "readKnown") (param $p i32) (result i32)
    (i32.add
      (i32.load offset=4 (local.get $p))
      (select (i32.load offset=4 (local.get $p)) (i32.const 7) (local.get $p)))))`);

for (const { name, inline } of waysToCheck) {
  test(`such a read may be through null, and is an error through all else, checked by ${name}`, () => {
    const { call, found } = checking(fields, { inline, allocator: overridesOf(mallocAndFree) });
    const p = call.malloc!(16) as number;
    assert.equal(call.read!(0), 7);
    call.read!(p);
    assert.deepEqual(found(), []);
    call.read!(8);
    assert.deepEqual(found(), ["null-access read at 12"]);
    call.read!(p + 12);
    assert.deepEqual(found(), ["heap-overflow read 0 past 16"]);
    call.free!(p);
    call.read!(p);
    assert.deepEqual(found(), ["use-after-free read 4 into 16"]);
  });

  test(`it says nothing of reads behind it, those before it say enough, checked by ${name}`, () => {
    const { call, found, sites } = checking(fields, { inline, allocator: overridesOf(mallocAndFree) });
    call.readAgain!(0);
    assert.deepEqual(found(), ["null-access read at 4"]);
    call.readKnown!(0);
    assert.deepEqual(found(), ["null-access read at 4"]);
    assert.equal(sites, 4, "one place in each function, two in readAgain");
  });
}
