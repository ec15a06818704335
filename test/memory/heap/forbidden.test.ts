// Where a page's policy forbids to compile modules, heaps do the same in JavaScript. It has a file of its own: whether
// compiling is allowed is found out once.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Heap, LinearMemory } from "../../../src/index.js";

const { Module } = WebAssembly;
let attempts = 0;

class ForbiddenModule {
  constructor(bytes: Uint8Array) {
    // smaller ones look what a memory is
    if (bytes.length > 1000) attempts++;
    throw new WebAssembly.CompileError("blocked by CSP");
  }
}

describe("where compiling modules is forbidden", () => {
  before(() => {
    WebAssembly.Module = ForbiddenModule as unknown as typeof WebAssembly.Module;
  });
  after(() => {
    WebAssembly.Module = Module;
  });

  for (const shared of [false, true]) {
    test(`a heap in a ${shared ? "shared " : ""}memory works, grows, and refuses what it should`, () => {
      const heap = Heap.create(new LinearMemory({ initial: 1, maximum: 40, shared }));
      assert.equal(heap.allocate, Heap.prototype.allocate);
      const blocks = Array.from({ length: 2000 }, (_, i) => heap.allocate(i));
      for (const [i, ptr] of blocks.entries()) heap.memory.u8.fill(i & 255, ptr, ptr + i);
      assert.ok(heap.memory.byteLength > 65_536);
      blocks.forEach((ptr, i) => {
        assert.ok(heap.memory.u8.subarray(ptr, ptr + i).every((byte) => byte === (i & 255)));
        if (i % 2 === 0) heap.free(ptr);
      });
      heap.check();
      assert.throws(() => heap.free(blocks[0]!), { code: "ERR_LINMEM_DOUBLE_FREE" });
      assert.throws(() => heap.free(0.5), { code: "ERR_LINMEM_ADDRESS" });
      assert.throws(() => heap.free(blocks[1]! + 0.5), { code: "ERR_LINMEM_ADDRESS" });
      assert.throws(() => heap.free(blocks[1]! + 2 ** 32), { code: "ERR_LINMEM_FOREIGN_BLOCK" });
      assert.throws(() => heap.byteLengthOf(blocks[1]! + 2 ** 32), { code: "ERR_LINMEM_FOREIGN_BLOCK" });
      assert.throws(() => heap.allocate(40 * 65_536), { code: "ERR_LINMEM_OUT_OF_MEMORY" });
      assert.equal(heap.stats().blocks, 1000);
    });
  }

  test("it is tried once for each kind of memory: each attempt may be reported", () => {
    Heap.create(new LinearMemory({ initial: 1, maximum: 1 }));
    Heap.create(new LinearMemory({ initial: 1, maximum: 1, shared: true }));
    assert.equal(attempts, 2);
  });
});
