import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isSpeculated } from "../../src/instrument/checks/speculated.js";
import { instructionEnd, op } from "../../src/wasm/instructions.js";
import { decodeModule } from "../../src/wasm/module.js";
import { countLocals } from "../../src/wasm/sections/code.js";
import { assemble } from "../instrument/support.js";

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
