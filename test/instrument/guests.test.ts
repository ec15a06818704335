// Guests with a garbage collector: what they allocate is counted, once, and never said to be live.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { brotliDecompressSync } from "node:zlib";
import { findAllocator } from "../../src/instrument/find-allocator.js";
import { decodeModule, encodeModule } from "../../src/wasm/module.js";
import { assemble, profile } from "./support.js";

const fixture = (path: string) => readFileSync(new URL(`../fixtures/${path}`, import.meta.url));
const roles = (bytes: Uint8Array) =>
  findAllocator(decodeModule(bytes)).functions.map(({ role, name }) => `${role} ${name}`);

/**
 * Functions as Go's compiler makes them: arguments in memory from the stack pointer on, 1 for "unwind, and call me again".
 * `$mallocgc` does what `unwinds` tells: 1 to be called anew, 2 to go on inside; then it clobbers its argument's place.
 */
const goLike = `(module
  (memory (export "memory") 1)
  (global $sp (mut i32) (i32.const 1024))
  (global $unwinds (export "unwinds") (mut i32) (i32.const 0))
  (type $go (func (param i32) (result i32)))
  (table 2 funcref)
  (elem (i32.const 0) $mallocgc $specialised)
  (func $mallocgc (type $go)
    (local $how i32)
    (if (i32.eqz (local.get 0)) (then
      (local.set $how (global.get $unwinds))
      (global.set $unwinds (i32.const 0))
      (if (i32.eq (local.get $how) (i32.const 1)) (then (return (i32.const 1))))
      (if (i32.eq (local.get $how) (i32.const 2)) (then
        (global.set $sp (i32.sub (global.get $sp) (i32.const 64)))
        (return (i32.const 1))))
      (if (i32.eq (local.get $how) (i32.const 3)) (then
        ;; a call of another one that counts as well
        (global.set $sp (i32.sub (global.get $sp) (i32.const 32)))
        (i64.store (i32.add (global.get $sp) (i32.const 8)) (i64.const 9999))
        (drop (call_indirect (type $go) (i32.const 0) (i32.const 1)))
        (global.set $sp (i32.add (global.get $sp) (i32.const 24)))))
      (i64.store (i32.add (global.get $sp) (i32.const 8)) (i64.const 777)))
    (else (global.set $sp (i32.add (global.get $sp) (i32.const 64)))))
    (local.set 0 (i32.const 5))
    (global.set $sp (i32.add (global.get $sp) (i32.const 8)))
    (i32.const 0))
  (func $specialised (type $go)
    (global.set $sp (i32.add (global.get $sp) (i32.const 8)))
    (i32.const 0))
  (func $collect (type $go)
    (i32.eqz (i32.eqz (local.get 0))))
  (func (export "alloc") (param $size i64) (result i32)
    (local $again i32)
    (global.set $sp (i32.const 1000))
    (i64.store (i32.const 1008) (local.get $size))
    (local.set $again (call $mallocgc (i32.const 0)))
    (local.get $again))
  (func (export "resume") (param $block i32) (result i32) (call $mallocgc (local.get $block)))
  (func (export "collect") (param i32) (result i32) (call $collect (local.get 0))))`;

describe("functions of Go", () => {
  const start = () => {
    const { call, instance, recorder } = profile(assemble(goLike), {
      mallocgc: "go_alloc",
      specialised: "go_alloc",
      collect: "go_collect",
    });
    const unwinds = instance.exports.unwinds as WebAssembly.Global;
    return { call, unwinds, recorder };
  };
  const counted = ({ recorder }: ReturnType<typeof start>) => {
    const { allocations, allocatedBytes, liveBlocks, liveBytes, collectable } = recorder.totals();
    assert.deepEqual([liveBlocks, liveBytes], [0, 0]);
    assert.equal(collectable ?? 0, allocations);
    return [allocations, allocatedBytes];
  };

  test("count the size that lay on their stack when they were called", () => {
    const run = start();
    for (const size of [1n, 48n, 70_000n]) assert.equal(run.call.alloc(size), 0);
    assert.deepEqual(counted(run), [3, 70_049]);
  });

  test("count once when their stack had to grow and they were called again from the beginning", () => {
    const run = start();
    run.unwinds.value = 1;
    assert.equal(run.call.alloc(48n), 1);
    assert.deepEqual(counted(run), [0, 0]);
    assert.equal(run.call.resume(0), 0);
    assert.deepEqual(counted(run), [1, 48]);
  });

  test("count once when another goroutine ran in between", () => {
    const run = start();
    run.unwinds.value = 2;
    assert.equal(run.call.alloc(48n), 1);
    assert.equal(run.call.resume(3), 0);
    assert.deepEqual(counted(run), [1, 48]);
  });

  test("count only the outermost of those that call each other", () => {
    const run = start();
    run.unwinds.value = 3;
    assert.equal(run.call.alloc(48n), 0);
    assert.deepEqual(counted(run), [1, 48]);
  });

  test("a collection is counted when its function has returned", () => {
    const run = start();
    assert.equal(run.call.collect(1), 1);
    assert.equal(run.call.collect(0), 0);
    assert.equal(run.recorder.totals().collections, 1);
  });
});

describe("a module of Go", () => {
  const bytes = brotliDecompressSync(fixture("guests/guest.wasm.br"));

  test("without a name section has its functions in its runtime's own table", () => {
    assert.equal(decodeModule(bytes).names.functions, undefined);
    assert.deepEqual(roles(bytes), ["go_collect runtime.gcMarkTermination", "go_alloc runtime.mallocgc"]);
  });

  test("whose table is damaged is left alone, and the note says why", () => {
    const damaged = new Uint8Array(bytes);
    const name = damaged.indexOf(0xf1, decodeModule(bytes).data[0].bytes.byteOffset);
    for (let at = name; at >= 0; at = damaged.indexOf(0xf1, at + 1)) {
      if (damaged[at + 1] === 0xff && damaged[at + 2] === 0xff && damaged[at + 3] === 0xff)
        damaged[at] = 0xf5;
    }
    const { functions, notes } = findAllocator(decodeModule(damaged));
    assert.deepEqual(functions, []);
    assert.match(notes.join(), /\(Go\): its runtime.mallocgc was not found/);
  });
});

describe("AssemblyScript", () => {
  test("with names: the functions of its heap, and where its collector runs", () => {
    assert.deepEqual(roles(fixture("allocators/as-named.wasm")), [
      "free ~lib/rt/tlsf/__free",
      "collect ~lib/rt/itcms/interrupt",
      "malloc ~lib/rt/tlsf/__alloc",
      "collect ~lib/rt/itcms/__collect",
    ]);
  });

  test("of which nothing else can be found: its objects are counted by their stacks", () => {
    const { call, recorder, instrumentation } = profile(
      new Uint8Array(fixture("allocators/as-stripped.wasm")),
      {},
      { env: { abort: () => {} } },
    );
    assert.deepEqual(
      instrumentation.allocator.map(({ role, name }) => `${role} ${name}`),
      ["collected_alloc __new", "collect __collect"],
    );
    for (let i = 0; i < 100; i++) call.__new(20 + (i % 3), 1);
    call.__collect();
    const { allocations, allocatedBytes, collectable, collections, liveBlocks } = recorder.totals();
    assert.deepEqual([allocations, collectable, collections, liveBlocks], [100, 100, 1, 0]);
    assert.equal(allocatedBytes, 34 * 20 + 33 * 21 + 33 * 22);
  });
});

describe("TinyGo", () => {
  const tinyGo = (more: string) => `(module
    (memory 1)
    (global $next (mut i32) (i32.const 1024))
    (func $runtime.alloc (param $size i32) (param $layout i32) (result i32)
      (if (i32.gt_u (global.get $next) (i32.const 8192)) (then (drop (call $runtime.runGC))))
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (local.get $size))))
    (func $runtime.runGC (result i32) (global.set $next (i32.const 1024)) (i32.const 7))
    (func (export "work") (result i32) (call $runtime.alloc (i32.const 100) (i32.const 0)))
    ${more})`;

  test("what it allocates is counted, and so are its collections", () => {
    const { call, recorder } = profile(assemble(tinyGo("")), {});
    for (let i = 0; i < 1000; i++) call.work();
    const { allocations, allocatedBytes, collections, liveBlocks } = recorder.totals();
    assert.deepEqual([allocations, allocatedBytes, liveBlocks], [1000, 100_000, 0]);
    assert.equal(collections, Math.floor(999 / 72));
  });

  describe("without names", () => {
    // what every TinyGo program has many of: places that allocate; and functions of the same type that do something else
    const nameless = (exports: string, alloc: string) => {
      const work = Array.from(
        { length: 10 },
        (_, i) => `(call $alloc (i32.const ${16 * i + 8}) (i32.const 3))`,
      );
      const others = Array.from({ length: 12 }, (_, i) => `(call $hash (i32.const ${i}) (i32.const 1))`);
      const text = `(module
        (memory 1)
        (global $next (mut i32) (i32.const 0))
        (func $alloc (param $size i32) (param $layout i32) (result i32)
          ${alloc}
          (global.get $next)
          (global.set $next (i32.add (global.get $next)
            (i32.and (i32.add (local.get $size) (i32.const 15)) (i32.const -16)))))
        (func $make (param $size i32) (result i32) (call $alloc (local.get $size) (i32.const 0)))
        (func $hash (param i32) (param i32) (result i32)
          (i32.mul (i32.add (local.get 0) (i32.const 16)) (i32.const 64)))
        (func $many (result i32) (i32.const 0)
          ${Array.from({ length: 8 }, () => "(call $make (i32.const 4)) (i32.add)").join("\n")})
        (func (export "_initialize") (global.set $next (i32.const 1024)))
        (func (export "work") ${[...work, ...others].map((call) => `(drop ${call})`).join("\n")})
        (func (export "many") (result i32) (call $many))
        ${exports})`;
      const { sections } = decodeModule(assemble(text));
      return encodeModule(sections.filter(({ name }) => name !== "name"));
    };
    const scheduler = `(func (export "go_scheduler"))`;

    test("what allocates is told by its calls and a trial, prepared as a host would; what takes from it is not", () => {
      const bytes = nameless(scheduler, "");
      const { functions } = findAllocator(decodeModule(bytes));
      assert.deepEqual(
        functions.map(({ role, index, confidence }) => [role, index, confidence]),
        [["collected_alloc", 0, "proved"]],
      );
      const { call, recorder } = profile(bytes, {});
      call._initialize();
      call.work();
      const { allocations, allocatedBytes, liveBlocks } = recorder.totals();
      assert.deepEqual([allocations, allocatedBytes, liveBlocks], [10, 800, 0]);
    });

    test("functions whose blocks overlap are not believed", () => {
      const overlapping = "(global.set $next (i32.sub (global.get $next) (i32.const 16)))";
      assert.deepEqual(roles(nameless(scheduler, overlapping)), []);
    });

    test("in a module that shows no sign of TinyGo nothing is taken for its allocator", () => {
      assert.deepEqual(roles(nameless("", "")), []);
    });
  });

  test("what the host takes with malloc and releases with free is live in between", () => {
    const bytes = assemble(
      tinyGo(`(func (export "malloc") (param i32) (result i32) (call $runtime.alloc (local.get 0) (i32.const 0)))
      (func (export "free") (param i32))`),
    );
    const { call, recorder } = profile(bytes, {});
    const kept = call.malloc(10);
    call.free(call.malloc(20));
    call.work();
    const { allocations, collectable, liveBlocks, liveBytes } = recorder.totals();
    assert.deepEqual([allocations, collectable, liveBlocks, liveBytes], [3, 1, 1, 10]);
    call.free(kept);
    assert.equal(recorder.totals().liveBlocks, 0);
  });
});
