// What modules say about the addresses of their memory. The modules' own linkers told the figures (`wasm-ld -Map`,
// exported globals), or they are in the sources.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { memoryLayout } from "../../src/instrument/layout.js";
import { decodeModule } from "../../src/wasm/module.js";

const layoutOf = (path: string) =>
  memoryLayout(decodeModule(readFileSync(new URL(`../fixtures/${path}`, import.meta.url))));

test("the stack below the data", () => {
  const { stack, data, heapBase, hiddenGlobals } = layoutOf("causes/stack-first.wasm");
  assert.deepEqual(stack, [0, 16384]);
  assert.ok(data.every(([start, end]) => start >= 16384 && end > start));
  assert.equal(heapBase, undefined, "behind the data there is more that no segment tells of");
  assert.equal(hiddenGlobals, 0);
});

test("the stack between data and heap", () => {
  const { stack, data, heapBase } = layoutOf("causes/no-stack-first.wasm");
  const end = data.at(-1)![1];
  assert.deepEqual(stack, [end, heapBase]);
  assert.ok(heapBase! - end >= 16384);
});

test("a stack pointer without a name is the first of few mutable globals", () => {
  const { stack } = layoutOf("heaps/c.wasm");
  assert.equal(stack?.[1], 16384);
});

test("the globals of AssemblyScript are its own, and none of them is a stack pointer", () => {
  const { stack, hiddenGlobals } = layoutOf("heaps/as.wasm");
  assert.equal(stack, undefined);
  assert.ok(hiddenGlobals > 0);
});

test("a memory without data or globals says nothing", () => {
  const bytes = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 3, 1, 0, 1];
  assert.deepEqual(memoryLayout(decodeModule(Uint8Array.from(bytes))), { data: [], hiddenGlobals: 0 });
});
