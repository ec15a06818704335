// C++ with exceptions and longjmp, compiled by clang (test/fixtures/cpp-bad-alloc): counts stay right after
// whatever left an allocator function without returning from it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { counts, profile, supports } from "./support.js";

const fixture = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../fixtures/cpp-bad-alloc/${name}.wasm`, import.meta.url)));

for (const [form, bytes] of [
  ["legacy try and catch", fixture("bad-alloc-legacy")],
  ["try_table", fixture("bad-alloc")],
] as const) {
  describe(`clang, ${form}`, { skip: !supports(bytes) && "the engine doesn't have them" }, () => {
    function start() {
      const profiled = profile(bytes, {});
      profiled.call._initialize();
      return profiled;
    }
    const live = (profiled: ReturnType<typeof start>) => {
      const { allocations, frees, liveBytes, liveBlocks } = counts(profiled);
      return { allocations, frees, liveBytes, liveBlocks };
    };

    test("the allocator is found", () => {
      const names = start().instrumentation.allocator.map(({ name }) => name);
      for (const name of ["malloc", "free", "operator new(unsigned long)", "operator delete(void*)"]) {
        assert.ok(names.includes(name), `${name} in ${names}`);
      }
    });

    test("bad_alloc that the caller catches", () => {
      const profiled = start();
      const first = profiled.call.attempt(0);
      assert.equal(profiled.call.attempt(1), 0);
      assert.deepEqual(live(profiled), { allocations: 1, frees: 0, liveBytes: 100, liveBlocks: 1 });
      const second = profiled.call.attempt(0);
      profiled.call.release(first);
      profiled.call.release(second);
      assert.deepEqual(live(profiled), { allocations: 2, frees: 2, liveBytes: 0, liveBlocks: 0 });
      // the exception itself is allocated inside operator new, and released outside
      assert.equal(counts(profiled).unknownFrees, 1);
    });

    test("allocation in the handler", () => {
      const profiled = start();
      assert.ok(profiled.call.fallBack(1));
      assert.ok(profiled.call.fallBack(0));
      assert.ok(profiled.call.fallBack(1));
      assert.deepEqual(live(profiled), { allocations: 3, frees: 0, liveBytes: 180, liveBlocks: 3 });
    });

    test("a destructor that releases while the exception passes", () => {
      const profiled = start();
      for (let i = 0; i < 3; i++) assert.equal(profiled.call.unwind(), -1);
      assert.deepEqual(live(profiled), { allocations: 3, frees: 3, liveBytes: 0, liveBlocks: 0 });
    });

    test("an exception that nobody catches", () => {
      const profiled = start();
      const block = profiled.call.attempt(0);
      for (let i = 0; i < 3; i++) {
        assert.throws(() => profiled.call.uncaught());
        profiled.call.release(profiled.call.attempt(0));
      }
      profiled.call.release(block);
      assert.deepEqual(live(profiled), { allocations: 4, frees: 4, liveBytes: 0, liveBlocks: 0 });
    });

    test("longjmp over the function that would have released", () => {
      const profiled = start();
      assert.ok(profiled.call.jumpOut(1));
      assert.deepEqual(live(profiled), { allocations: 2, frees: 0, liveBytes: 80, liveBlocks: 2 });
      assert.ok(profiled.call.jumpOut(0));
      assert.deepEqual(live(profiled), { allocations: 3, frees: 0, liveBytes: 140, liveBlocks: 3 });
      assert.equal(counts(profiled).unknownFrees, 0);
    });
  });
}
