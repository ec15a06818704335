// The strip matrix runs what modules export: a wrong hook is seen where no name tells.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { exercise } from "../../scripts/strip-matrix/exercised.js";
import { decodeModule } from "../../src/wasm/module.js";
import { assemble } from "../instrument/support.js";
import { heapOfListsText, release } from "../support/heap-of-lists.js";

/** The heap of lists, with more functions behind it. */
function module(more: string) {
  return decodeModule(assemble(heapOfListsText({ release }).replace(/\)$/, `${more})`)));
}

const exported = `
  (func (export "malloc") (param i32) (result i32) (call $make (local.get 0)))
  (func (export "free") (param i32) (call $release (local.get 0)))`;

describe("running what a module exports", () => {
  test("its blocks are recorded, and gone when they are released", () => {
    assert.deepEqual(exercise(module(exported)), { outcome: "confirmed", how: "" });
  });

  test("also where they come from the allocator through a table", () => {
    const through = `
      (type $makes (func (param i32) (result i32)))
      (type $releases (func (param i32)))
      (table 3 funcref)
      (elem (i32.const 1) $make $release)
      (func (export "malloc") (param i32) (result i32) (call_indirect (type $makes) (local.get 0) (i32.const 1)))
      (func (export "free") (param i32) (call_indirect (type $releases) (local.get 0) (i32.const 2)))`;
    assert.equal(exercise(module(through)).outcome, "confirmed");
  });

  test("another allocator than the one that is hooked", () => {
    const other = `
      (global $next (mut i32) (i32.const 32768))
      (func (export "malloc") (param i32) (result i32)
        (global.get $next)
        (global.set $next (i32.add (global.get $next) (i32.and (i32.add (local.get 0) (i32.const 15)) (i32.const -8)))))
      (func (export "free") (param i32))`;
    const { outcome, how } = exercise(module(other));
    assert.deepEqual([outcome, how], ["contradicted", "malloc(24) is not recorded"]);
  });

  test("nothing is said where nothing is hooked, and where what is exported doesn't work", () => {
    const broken = `
      (func (export "malloc") (param i32) (result i32) unreachable)
      (func (export "free") (param i32))`;
    assert.equal(exercise(module(broken)).outcome, "nothing");
    assert.equal(exercise(decodeModule(assemble("(module (memory 1))"))).outcome, "nothing");
  });
});
