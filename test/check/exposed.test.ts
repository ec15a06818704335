// Which blocks JavaScript may hold: it was handed an address in them, or named one.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { assemble, mallocAndFree, overridesOf } from "../instrument/support.js";
import { type CheckingOptions, checking, waysToCheck } from "../support/checking.js";

/** What it makes it remembers in `$made`, which is exported as a global: to read it hands out nothing. */
const bytes = assemble(`(module
  (import "env" "tell" (func $tell (param f64 i32)))
  (import "env" "ask" (func $ask (result f64)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "env" "invoke_vi" (func $invoke (param i32 i32)))
  (memory (export "memory") 2)
  (table (export "table") 4 funcref)
  (elem (i32.const 0) $make $count $free)
  (global $top (mut i32) (i32.const 4096))
  (global $made (export "made") (mut i32) (i32.const 0))
  (type $sizeToBlock (func (param i32) (result i32)))
  (func $malloc (export "malloc") (param i32) (result i32)
    (global.get $top)
    (global.set $top
      (i32.add (global.get $top) (i32.and (i32.add (local.get 0) (i32.const 31)) (i32.const -16)))))
  (func $realloc (export "realloc") (param i32 i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 1) (i32.const 32))
      (then (local.get 0))
      (else (call $malloc (local.get 1)))))
  (func $free (export "free") (param i32))
  (func $make (param i32) (result i32)
    (global.set $made (call $malloc (local.get 0)))
    (global.get $made))
  (func (export "hide") (param i32) (drop (call $make (local.get 0))))
  (func (export "hideThroughTable") (param i32)
    (drop (call_indirect (type $sizeToBlock) (local.get 0) (i32.const 0))))
  (func (export "give") (param i32) (result i32) (call $make (local.get 0)))
  (func (export "giveTwo") (param i32) (result i64 i32 f32)
    (i64.const 1) (call $make (local.get 0)) (f32.const 2))
  (func (export "giveInside") (param i32) (result i32) (i32.add (call $make (local.get 0)) (i32.const 20)))
  (func (export "take") (param i32))
  (func (export "tellMade") (call $tell (f64.const 1) (global.get $made)))
  (func (export "closeMade") (drop (call $close (global.get $made))))
  (func (export "invokeMade") (call $invoke (i32.const 2) (global.get $made)))
  (func (export "reallocMade") (param i32) (global.set $made (call $realloc (global.get $made) (local.get 0))))
  (func (export "again") (global.set $top (i32.const 4096)))
  (func (export "askAnd") (param i32) (drop (call $ask)) (drop (call $make (local.get 0))))
  (func $count (export "count") (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 7))))
    (return_call_indirect (type $sizeToBlock) (i32.sub (local.get 0) (i32.const 1)) (i32.const 1))))`);

const start = (inline: boolean, told: unknown[] = [], options: CheckingOptions = {}) => {
  const checked = checking(bytes, {
    inline,
    allocator: overridesOf({ ...mallocAndFree, realloc: "realloc" }),
    imports: {
      env: { tell: (...args: unknown[]) => told.push(...args), ask: () => 0, invoke_vi: () => {} },
      wasi_snapshot_preview1: { fd_close: () => 0 },
    },
    ...options,
  });
  const made = checked.instance.exports.made as WebAssembly.Global;
  /** Of the block that was made last. */
  const isExposed = (size: number) => checked.isExposed(made.value, size);
  return { ...checked, made, isExposed };
};

for (const { name, inline } of waysToCheck) {
  describe(`what JavaScript knows, checked by ${name}`, () => {
    test("a block that never left the module is not known", () => {
      const { call, isExposed } = start(inline);
      call.hide!(64);
      assert.equal(isExposed(64), false);
      call.hideThroughTable!(64);
      assert.equal(isExposed(64), false);
      call.closeMade!();
      call.invokeMade!();
      assert.equal(isExposed(64), false, "WASI keeps nothing, and invoke_vi hands it back");
    });

    test("what exported functions return is known, in its middle too, and among several results", () => {
      const { call, isExposed, made } = start(inline);
      assert.equal(call.give!(64), made.value);
      assert.equal(isExposed(64), true);
      assert.equal(call.giveInside!(64), made.value + 20);
      assert.equal(isExposed(64), true);
      assert.equal(isExposed(16), false, "the address lies behind these bytes");
      assert.deepEqual(call.giveTwo!(64), [1n, made.value, 2]);
      assert.equal(isExposed(64), true);
    });

    test("what JavaScript gives to them is known", () => {
      const { call, isExposed, made } = start(inline);
      call.hide!(64);
      call.take!(made.value + 63);
      assert.equal(isExposed(64), true);
    });

    test("what imported functions are given is known, and they get all of it", () => {
      const told: unknown[] = [];
      const { call, isExposed, made } = start(inline, told);
      call.hide!(64);
      call.tellMade!();
      assert.equal(isExposed(64), true);
      assert.deepEqual(told, [1, made.value]);
    });

    test("what JavaScript gets by calling a function of the table is known", () => {
      const { call, instance, isExposed } = start(inline);
      const make = (instance.exports.table as WebAssembly.Table).get(0);
      make(64);
      assert.equal(isExposed(64), true);
      call.hide!(64);
      assert.equal(isExposed(64), false);
    });

    test("what it gets while wasm waits for it is known, and what wasm makes then is not", () => {
      let nested = () => 0;
      const { call, isExposed, made } = start(inline, [], {
        imports: {
          env: { tell: () => {}, ask: () => nested(), invoke_vi: () => {} },
          wasi_snapshot_preview1: { fd_close: () => 0 },
        },
      });
      let known: boolean | undefined;
      nested = () => {
        call.give!(64);
        known = isExposed(64);
        return made.value;
      };
      call.askAnd!(64);
      assert.equal(known, true);
      assert.equal(isExposed(64), false);
    });

    test("a new block where a known one was is another one", () => {
      const { call, isExposed } = start(inline);
      call.give!(4000);
      call.give!(5000);
      call.again!();
      for (const size of [8, 600, 4096]) {
        call.hide!(size);
        assert.equal(isExposed(size), false, `${size}`);
      }
    });

    test("neighbours of a known block are not known", () => {
      const { call, isExposed, made } = start(inline);
      call.hide!(8);
      const before = made.value;
      call.give!(8);
      call.hide!(8);
      assert.deepEqual([isExposed(8), isExposed(1000)], [false, false]);
      assert.equal(made.value - before, 96);
    });

    test("a block that is resized where it is stays known; one that moves is not, until it is told again", () => {
      const { call, isExposed, made } = start(inline);
      const first = call.give!(16);
      call.reallocMade!(8);
      assert.deepEqual([made.value, isExposed(8)], [first, true]);
      call.reallocMade!(100);
      assert.notEqual(made.value, first);
      assert.equal(isExposed(100), false);
      call.realloc!(made.value, 120);
      assert.equal(isExposed(100), true);
    });

    test("exports and the table have the same functions, and tail calls through it leave no frames", () => {
      const { call, instance } = start(inline, [], { host: { isNested: () => true } });
      const table = instance.exports.table as WebAssembly.Table;
      assert.equal(table.get(1), call.count);
      assert.equal(table.get(2), call.free);
      assert.equal(call.count!(200_000), 7);
    });
  });
}
