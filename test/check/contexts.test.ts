// Where blocks of a checked module were allocated and freed: calling contexts, in which a recursion of a function into itself counts
// once.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { assemble, overridesOf } from "../instrument/support.js";
import { checking, waysToCheck } from "../support/checking.js";

const bytes = assemble(`(module
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 4096))
  (func $malloc (export "malloc") (param $size i32) (result i32)
    (global.get $top)
    (global.set $top (i32.add (global.get $top) (i32.const 48))))
  (func $free (export "free") (param i32))
  ;; a block of its own, and those of the calls below
  (func $grow (export "grow") (param $depth i32) (result i32)
    (local $block i32)
    (local.set $block (call $malloc (i32.const 8)))
    (if (local.get $depth) (then
      (drop (call $grow (i32.sub (local.get $depth) (i32.const 1))))
      (drop (call $grow (i32.sub (local.get $depth) (i32.const 1))))))
    (local.get $block))
  (func $before (export "before") (param $depth i32)
    (if (local.get $depth) (then (call $before (i32.sub (local.get $depth) (i32.const 1)))))
    (drop (call $malloc (i32.const 8))))
  (func $ping (param $depth i32)
    (drop (call $malloc (i32.const 8)))
    (if (local.get $depth) (then (call $pong (i32.sub (local.get $depth) (i32.const 1))))))
  (func $pong (param $depth i32)
    (call $ping (local.get $depth)))
  (func (export "twice") (param $depth i32)
    (drop (call $grow (local.get $depth)))
    (drop (call $grow (local.get $depth))))
  (func (export "mutual") (param $depth i32) (call $ping (local.get $depth)))
  (func (export "store") (param i32) (i32.store8 (local.get 0) (i32.const 1))))`);

for (const { name, inline } of waysToCheck) {
  describe(`contexts of a recursion, checked by ${name}`, () => {
    /** The contexts of the blocks that a call makes, found by writing behind each. */
    const contextsOf = (run: (call: Record<string, (...args: unknown[]) => unknown>) => void) => {
      const allocator = overridesOf({ malloc: "malloc", free: "free" });
      const { call, violations } = checking(bytes, { inline, allocator });
      const first = call.malloc!(8) as number;
      run(call);
      const last = call.malloc!(8) as number;
      const contexts: bigint[] = [];
      for (let block = first + 48; block < last; block += 48) {
        const before = violations.length;
        call.store!(block + 8);
        if (violations.length > before) contexts.push(violations.at(-1)!.block!.allocatedIn);
      }
      assert.equal(contexts.length, (last - first) / 48 - 1);
      return contexts;
    };
    const distinct = (contexts: readonly bigint[]) => new Set(contexts).size;

    test("a function that calls itself goes on in the context that it was called in", () => {
      const contexts = contextsOf((call) => call.grow!(3));
      assert.equal(contexts.length, 15);
      assert.equal(distinct(contexts), 1);
    });

    test("what called it first makes a difference all the same", () => {
      const contexts = contextsOf((call) => call.twice!(2));
      assert.equal(contexts.length, 14);
      assert.equal(distinct(contexts), 2);
      assert.equal(distinct(contexts.slice(0, 7)), 1);
    });

    test("what is allocated on the way back has the context of the way in", () => {
      assert.equal(distinct(contextsOf((call) => call.before!(3))), 1);
    });

    test("functions that call each other make contexts as ever", () => {
      assert.equal(distinct(contextsOf((call) => call.mutual!(3))), 4);
    });
  });
}
