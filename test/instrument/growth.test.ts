// Growth of memories: reported with the old size, or -1 when the engine denied it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { instrument } from "../../src/instrument/index.js";
import { assemble, assembleNewer, counts, largeModule, profile, supports } from "./support.js";

const none = {};

test("granted and denied growth", () => {
  const profiled = profile(
    assemble(`(module
      (memory (export "memory") 1 3)
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))`),
    none,
  );
  assert.deepEqual(
    [0, 2, 1].map((pages) => profiled.call.grow(pages)),
    [1, 1, -1],
  );
  assert.deepEqual(profiled.growth, [
    { memory: 0, before: 1, asked: 0 },
    { memory: 0, before: 1, asked: 2 },
    { memory: 0, before: -1, asked: 1 },
  ]);
  assert.deepEqual(profiled.instrumentation.allocator, []);
});

test("an imported memory", () => {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const profiled = profile(
    assemble(`(module
      (import "env" "memory" (memory 1))
      (func (export "grow") (result i32) (memory.grow (i32.const 2)))
      (func (export "growAndLoad") (result i32)
        (drop (memory.grow (i32.const 1)))
        (i32.load (i32.const 196608))))`),
    none,
    { env: { memory } },
  );
  assert.equal(profiled.call.grow(), 1);
  assert.equal(profiled.call.growAndLoad(), 0);
  assert.equal(memory.buffer.byteLength, 4 * 65536);
  assert.deepEqual(
    profiled.growth.map(({ before }) => before),
    [1, 3],
  );
});

test("growth inside an allocator, beside what it counts", () => {
  const profiled = profile(
    assemble(`(module
      (memory (export "memory") 0)
      (func $malloc (export "malloc") (param i32) (result i32)
        (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))
      (func $free (export "free") (param i32))
      (func (export "make") (result i32) (drop (call $malloc (i32.const 1))) (call $malloc (i32.const 5))))`),
  );
  assert.equal(profiled.call.make(), 65536);
  assert.deepEqual(profiled.growth.length, 2);
  // the first block has the address 0, which no allocator gives away
  assert.deepEqual([counts(profiled).allocations, counts(profiled).liveBytes], [1, 5]);
});

test("several memories", (t) => {
  const bytes = assembleNewer(`(module
    (memory $a 1) (memory $b (export "b") 2)
    (func (export "grow") (result i32)
      (drop (memory.grow $a (i32.const 3)))
      (memory.grow $b (i32.const 5))))`);
  if (!supports(bytes)) return t.skip("the engine doesn't have them");
  const profiled = profile(bytes, none);
  assert.equal(profiled.call.grow(), 2);
  assert.deepEqual(profiled.growth, [
    { memory: 0, before: 1, asked: 3 },
    { memory: 1, before: 2, asked: 5 },
  ]);
});

const memory64 = assemble(`(module
  (memory (export "memory") i64 1 3)
  (global $top (mut i64) (i64.const 1024))
  (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0)))
  (func $malloc (export "malloc") (param $size i64) (result i64)
    (global.get $top)
    (global.set $top (i64.add (global.get $top) (local.get $size))))
  (func (export "free") (param i64))
  (func (export "posix_memalign") (param $out i64) (param i64) (param $size i64) (result i32)
    (i64.store (local.get $out) (call $malloc (local.get $size)))
    (i32.const 0)))`);

describe("memories with 64-bit addresses", {
  skip: !supports(memory64) && "the engine doesn't have them",
}, () => {
  test("growth", () => {
    const profiled = profile(memory64, none);
    assert.deepEqual([profiled.call.grow(1n), profiled.call.grow(5n)], [1n, -1n]);
    assert.deepEqual(profiled.growth, [
      { memory: 0, before: 1, asked: 1 },
      { memory: 0, before: -1, asked: 5 },
    ]);
  });

  test("blocks, one by a pointer to its address", () => {
    const profiled = profile(memory64, { malloc: "malloc", free: "free", posix_memalign: "posix_memalign" });
    profiled.call.free(profiled.call.malloc(100n));
    assert.equal(profiled.call.posix_memalign(16n, 8n, 200n), 0);
    assert.deepEqual([counts(profiled).allocations, counts(profiled).liveBytes], [2, 200]);
    profiled.call.free(1124n);
    assert.equal(counts(profiled).liveBlocks, 0);
  });
});

test("a shared memory is left alone", () => {
  const bytes = assemble(`(module
    (memory 1 2 shared)
    (func (export "grow") (result i32) (memory.grow (i32.const 1))))`);
  assert.equal(instrument(bytes).bytes, bytes);
});

test("a module so large that its new code stays where it was written", () => {
  const bytes = largeModule();
  const { bytes: first } = instrument(bytes);
  const before = first.slice();
  const { bytes: second } = instrument(bytes);
  assert.deepEqual(first, before);
  assert.deepEqual(second, before);
  assert.deepEqual(
    WebAssembly.Module.imports(new WebAssembly.Module(before)).map(({ name }) => name),
    ["grown"],
  );
});
