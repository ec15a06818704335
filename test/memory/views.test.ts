// The views of a memory: valid after any growth, by whomever.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { LinearMemory } from "../../src/index.js";
import { wat } from "./modules.js";

const kinds = ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "f64", "i64", "u64"] as const;

/** Every view covers all of `pages` pages of the memory as it is now. */
function allCover(memory: LinearMemory, pages: number): void {
  for (const kind of kinds) {
    const view = memory[kind];
    assert.equal(view.byteLength, pages * 65_536, kind);
    assert.equal(view.buffer, memory.wasm.buffer, kind);
    assert.equal(memory[kind], view, `${kind}: the same view while nothing grows`);
  }
  assert.equal(memory.pages, pages);
  assert.equal(memory.byteLength, pages * 65_536);
  assert.equal(memory.buffer, memory.wasm.buffer);
}

const growers: [string, (memory: LinearMemory) => unknown][] = [
  ["memory.grow", (memory) => memory.grow(1)],
  ["memory.wasm.grow", (memory) => memory.wasm.grow(1)],
  ["the prototype's grow", (memory) => WebAssembly.Memory.prototype.grow.call(memory.wasm, 1)],
];

for (const shared of [false, true]) {
  const what = shared ? "a shared memory" : "a memory";

  for (const [name, grow] of growers) {
    test(`views of ${what} survive growth by ${name}`, () => {
      const memory = new LinearMemory({ initial: 1, maximum: 10, shared });
      allCover(memory, 1);
      memory.u32[5] = 0xcafe;
      for (let pages = 2; pages <= 10; pages++) {
        grow(memory);
        allCover(memory, pages);
        assert.equal(memory.u32[5], 0xcafe);
        memory.u8[pages * 65_536 - 1] = pages;
        assert.equal(memory.readU8(pages * 65_536 - 1), pages);
      }
    });
  }

  test(`views of ${what} survive growth by the module itself, whichever of them looks first`, async () => {
    const module = await wat(`(module (memory (import "" "m") 1 20 ${shared ? "shared" : ""})
      (func (export "grow") (result i32) (memory.grow (i32.const 1))))`);
    const memory = new LinearMemory({ initial: 1, maximum: 20, shared });
    const { exports } = new WebAssembly.Instance(module, { "": { m: memory.wasm } });
    let pages = 1;
    for (const kind of kinds) {
      assert.equal((exports.grow as () => number)(), pages++);
      assert.equal(memory[kind].byteLength, pages * 65_536, kind);
    }
    (exports.grow as () => number)();
    memory.writeU8(pages * 65_536, 9);
    assert.equal(memory.readU8(pages * 65_536), 9, "loads and stores see the new page too");
  });
}

test("views of a shared memory see what another thread grew", async () => {
  const memory = new LinearMemory({ initial: 1, maximum: 10, shared: true });
  const before = memory.u8;
  const worker = new Worker(
    `const { parentPort, workerData } = require("node:worker_threads");
     workerData.grow(3);
     new Uint8Array(workerData.buffer)[4 * 65536 - 1] = 42;
     parentPort.postMessage("grown");`,
    { eval: true, workerData: memory.wasm },
  );
  await once(worker, "message");
  allCover(memory, 4);
  assert.equal(memory.u8[4 * 65_536 - 1], 42);
  assert.equal(before.length, 65_536, "a view kept from before is short, though not detached");
  await worker.terminate();
});

test("any number of shared memories: the views of each follow its own growth", () => {
  const memories = Array.from(
    { length: 6 },
    () => new LinearMemory({ initial: 1, maximum: 20, shared: true }),
  );
  for (let round = 0; round < 2; round++) {
    for (const [index, memory] of memories.entries()) {
      WebAssembly.Memory.prototype.grow.call(memory.wasm, index + 1);
      allCover(memory, 1 + (round + 1) * (index + 1));
      // Not `allCover`: V8 gives all shared memories new buffer objects, of the same bytes, when one of them grows.
      for (const other of memories.slice(index + 1)) {
        assert.equal(other.u8.length, (1 + round * (memories.indexOf(other) + 1)) * 65_536);
      }
      memory.u32[16384 * (index + 1) * (round + 1)] = index;
    }
  }
  for (const [index, memory] of memories.entries()) {
    assert.ok(memory instanceof LinearMemory);
    assert.equal(memory.pages, 1 + 2 * (index + 1));
    assert.equal(memory.readU32(65_536 * (index + 1) * 2), index);
  }
});

test("a kept view goes stale in silence; one read from the memory does not", () => {
  const memory = new LinearMemory({ initial: 1 });
  const { u8 } = memory;
  memory.grow(1);
  u8[0] = 1;
  assert.equal(u8[0], undefined);
  assert.equal(memory.u8[0], 0);
});

test("the views of an empty memory are empty", () => {
  const memory = new LinearMemory({ initial: 0, maximum: 2 });
  allCover(memory, 0);
  WebAssembly.Memory.prototype.grow.call(memory.wasm, 1);
  allCover(memory, 1);
});

test("the engine's grow(0), which detaches, leaves valid views", () => {
  const memory = new LinearMemory({ initial: 1 });
  memory.u8[0] = 3;
  memory.wasm.grow(0);
  allCover(memory, 1);
  assert.equal(memory.u8[0], 3);
});

const resizable = "toResizableBuffer" in WebAssembly.Memory.prototype;
for (const shared of [false, true]) {
  test(`views stay valid when somebody makes the buffer ${shared ? "growable" : "resizable"}`, {
    skip: resizable ? false : "this engine has no toResizableBuffer",
  }, () => {
    const memory = new LinearMemory({ initial: 1, maximum: 5, shared });
    memory.u8[7] = 7;
    const wasm = memory.wasm as WebAssembly.Memory & {
      toResizableBuffer(): void;
      toFixedLengthBuffer(): void;
    };
    wasm.toResizableBuffer();
    assert.equal(memory.u8[7], 7);
    WebAssembly.Memory.prototype.grow.call(wasm, 1);
    for (const kind of kinds) assert.equal(memory[kind].byteLength, 2 * 65_536);
    assert.equal(memory.pages, 2);
    wasm.toFixedLengthBuffer();
    memory.grow(1);
    allCover(memory, 3);
    assert.equal(memory.u8[7], 7);
  });
}
