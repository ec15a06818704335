// What belongs to an allocator besides the functions that allocate and release, and what only looks as if it did.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { stripped } from "../../scripts/strip-matrix/variants.js";
import { findAllocator } from "../../src/instrument/find-allocator.js";
import { decodeModule } from "../../src/wasm/module.js";
import { heapAtAddressesText } from "../support/heap-of-lists.js";
import { assemble } from "./support.js";

function found(bytes: Uint8Array) {
  return findAllocator(decodeModule(stripped(decodeModule(bytes))));
}

function heapAtAddresses(options: Parameters<typeof heapAtAddressesText>[0]): Uint8Array<ArrayBuffer> {
  return assemble(heapAtAddressesText(options));
}

describe("beside what allocates and what releases", () => {
  const roles = (more: string) =>
    found(heapAtAddresses({ more })).functions.map(({ role, index }) => [role, index]);
  const pair = [
    ["malloc", 2],
    ["free", 3],
  ];

  test("what stores the address of an aligned block is found, and what gives a wrong one is not", () => {
    // room for the block wherever the alignment puts it, and a list of that size to release it to
    const storing = (mask: string) => `
      (func $aligned (param $out i32) (param $alignment i32) (param $size i32) (result i32) (local $at i32)
        (if (i32.ne (i32.popcnt (local.get $alignment)) (i32.const 1)) (then (return (i32.const 22))))
        (local.set $at
          (call $make
            (i32.add (i32.add (local.get $alignment) (i32.const 16)) (i32.shl (local.get $size) (i32.const 1)))))
        (local.set $at
          (i32.and (i32.add (local.get $at) (i32.sub (local.get $alignment) (i32.const 1))) ${mask}))
        (i32.store (i32.sub (local.get $at) (i32.const 4)) (call $list (local.get $size)))
        (i32.store (local.get $out) (local.get $at))
        (i32.const 0))
      (func (export "buffer") (param $size i32) (result i32) (local $out i32)
        (local.set $out (call $make (i32.const 4)))
        (drop (call $aligned (local.get $out) (i32.const 64) (local.get $size)))
        (i32.load (local.get $out)))`;
    assert.deepEqual(roles(storing("(i32.sub (i32.const 0) (local.get $alignment))")), [
      ...pair,
      ["posix_memalign", 6],
    ]);
    assert.deepEqual(roles(storing("(i32.const -8)")), pair);
  });

  test("what resizes and is told both sizes is found, unless only the host calls it", () => {
    const resizing = (exported: string) => `
      (func $resize ${exported} (param $block i32) (param $old i32) (param $new i32) (result i32) (local $to i32)
        (local.set $to (call $make (local.get $new)))
        (memory.copy (local.get $to) (local.get $block)
          (select (local.get $old) (local.get $new) (i32.lt_u (local.get $old) (local.get $new))))
        (call $release (local.get $block))
        (local.get $to))`;
    const caller = `(func (export "grow") (param $block i32) (param $size i32) (result i32)
      (call $resize (local.get $block) (i32.const 24) (local.get $size)))`;
    assert.deepEqual(roles(resizing("") + caller), [...pair, ["sized_realloc", 6]]);
    assert.deepEqual(roles(resizing('(export "resize")')), pair);
  });

  test("what it calls back through a table is no other way to its memory", () => {
    const grows =
      "(i32.and (call $pages (i32.const 4)) (call_indirect (param i32) (result i32) (i32.const 1) (i32.const 0)))";
    const obtain = (head: string) => `
      (table 1 funcref)
      (elem (i32.const 0) $obtain)
      (func $pages (param $count i32) (result i32) (memory.grow (local.get $count)))
      (func $obtain ${head} (param $count i32) (result i32) (call $pages (local.get $count)))`;
    const given = (more: string) =>
      found(heapAtAddresses({ grows, more })).functions.map(({ role, index }) => [role, index]);
    assert.deepEqual(given(obtain("")), pair);
    // whoever else calls it takes memory as well
    assert.deepEqual(given(obtain('(export "obtain")')), []);
    assert.deepEqual(
      given(`${obtain("")} (func (export "more") (result i32) (call $obtain (i32.const 1)))`),
      [],
    );
  });

  test("what only runs at exit may tear the heap down", () => {
    const exiting = (look: string) => `
      (table 1 funcref)
      (elem (i32.const 0) $atExit)
      (func $tearDown (i32.store (i32.const 5004) (i32.const 0)) (i32.store (i32.const 5100) (i32.const 16384)))
      (func $atExit (param $object i32) ${look} (call $tearDown))
      (func (export "exit") (param $which i32)
        (call_indirect (param i32) (i32.const 0) (local.get $which)))`;
    assert.deepEqual(roles(exiting("")), pair);
    // one that looks at its argument may be anything
    assert.deepEqual(roles(exiting("(drop (i32.load (local.get $object)))")), []);
  });

  const copies = `
    (memory.copy (local.get $to) (local.get $block)
      (select (local.get $old) (local.get $new) (i32.lt_u (local.get $old) (local.get $new))))
    (call $release (local.get $block))
    (local.get $to)`;

  for (const [what, params] of [
    ["the size first", "(param $block i32) (param $old i32) (param $alignment i32) (param $new i32)"],
    ["the alignment first", "(param $block i32) (param $alignment i32) (param $old i32) (param $new i32)"],
  ]) {
    test(`what resizes and is told a layout is found: ${what}`, () => {
      const more = `
        (func $resize ${params} (result i32) (local $to i32)
          (if (i32.or (i32.ne (i32.popcnt (local.get $alignment)) (i32.const 1))
            (i32.gt_u (local.get $alignment) (i32.const 16))) (then unreachable))
          (local.set $to (call $make (local.get $new)))
          ${copies})
        (func (export "grow") (param $block i32) (param $size i32) (result i32)
          (call $resize (local.get $block) (i32.const 8) (i32.const 8) (local.get $size)))`;
      assert.deepEqual(roles(more), [...pair, ["rust_realloc", 6]]);
    });
  }

  /** Sizes of a block's list are powers of two, so a block may take all of its list's room. */
  const inPlace = (fits: string) => `
    (func $stretch (param $block i32) (param $old i32) (param $new i32) (result i32)
      (if (i32.lt_u (i32.load (i32.const 5000)) (i32.const 0)) (then (i32.store (i32.const 5004) (i32.const 0))))
      (if (result i32) ${fits} (then (local.get $block)) (else (i32.const 0))))
    (func (export "grow") (param $block i32) (param $size i32) (result i32)
      (call $stretch (local.get $block) (i32.const 24) (local.get $size)))`;

  test("what only resizes blocks where they are is said: they keep their first size", () => {
    const fits =
      "(i32.le_u (call $list (local.get $new)) (i32.load (i32.sub (local.get $block) (i32.const 4))))";
    const { functions, notes, resizedElsewhere } = found(heapAtAddresses({ more: inPlace(fits) }));
    assert.deepEqual(
      functions.map(({ role, index }) => [role, index]),
      pair,
    );
    assert.match(notes.join(), /^function 6 resizes blocks where they are: it is not hooked/);
    assert.equal(resizedElsewhere, true);
  });

  test("what says that a block grew into its neighbour is a part that nobody can follow", () => {
    assert.deepEqual(roles(inPlace("(i32.const 1)")), []);
  });
});

describe("allocators of others, without names", () => {
  function names(file: string): string[] {
    const bytes = new Uint8Array(readFileSync(new URL(`../fixtures/allocators/${file}`, import.meta.url)));
    const named = decodeModule(bytes);
    return found(bytes).functions.map(({ role, index }) => `${role} ${named.functionName(index)}`);
  }

  test("mimalloc: nothing of its kind was looked at for its sake", () => {
    const all = names("mimalloc-named.wasm");
    for (const expected of [
      "malloc mi_malloc",
      "calloc mi_calloc",
      "free mi_free",
      "alloc_aligned mi_malloc_aligned",
    ])
      assert.ok(all.includes(expected), `${expected} of ${all.join(", ")}`);
    for (const one of all) assert.match(one, / mi_/);
  });

  test("Rust without optimisation: the methods of dlmalloc", () => {
    assert.deepEqual(
      names("rust-debug-named.wasm").map((one) => one.replace(/17h.*$/, "").replace(/_ZN.*\d/, "")),
      ["free_method free", "malloc_method malloc", "realloc_method realloc", "memalign_method memalign"],
    );
  });
});
