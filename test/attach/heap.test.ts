// Blocks of linmem's own heaps in the profile of a run, as those of a module. Runs dist/, so build first.
import assert from "node:assert/strict";
import { after, afterEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { decodeBlocks } from "../../src/profile/blocks.js";
import { readProfileFile } from "../../src/profile/file.js";
import { Sandbox } from "./run-program.js";

const sandbox = new Sandbox();
after(() => sandbox.remove());
afterEach(() => sandbox.clear());

const library = new URL("../../dist/index-node.js", import.meta.url).href;
const cProgram = JSON.stringify(fileURLToPath(new URL("../fixtures/heaps/c.wasm", import.meta.url)));

/**
 * Runs a program that prints its live blocks as JSON, with and without linmem; returns both and the profile.
 * Heaps it asked about stay reachable: the memory of one that nothing refers to may be collected before the end.
 */
async function profile(source: string) {
  const program = sandbox.write(
    "p.mjs",
    `import { Arena, Heap, LinearMemory } from ${JSON.stringify(library)};
globalThis.keptHeaps = [];
const used = (heap) => {
  keptHeaps.push(heap);
  return [...heap.walk()].filter((block) => block.used && !block.own).map(({ address, requested }) => [address, requested]);
};
${source}`,
  );
  const native = await sandbox.node([program]);
  const profiled = await sandbox.linmem(["run", "-q", "-o", "p.linmem", program]);
  assert.deepEqual([profiled.code, profiled.stdout], [0, native.stdout], profiled.stderr);
  const read = await readProfileFile(`${sandbox.folder}/p.linmem`);
  assert.equal(read.damagedLines, 0);
  const memories = [...read.memories.values()].map((memory) => {
    const { count, addresses, sizes, contexts } = decodeBlocks(memory.blocks);
    const blocks = Array.from({ length: count }, (_, i) => [addresses[i], sizes[i]]);
    /** The function that called, of each block. */
    const callers = Array.from({ length: count }, (_, i) => {
      const { caller } = memory.contexts.get(contexts[i]!)!;
      return read.stacks.get(caller)?.[0]?.function;
    });
    return { memory, blocks, callers };
  });
  return { printed: JSON.parse(native.stdout), memories, read };
}

describe("linmem run sees the blocks of a heap", () => {
  test("with sizes, addresses and the function that made them, in a memory and in a buffer", async () => {
    const { printed, memories, read } = await profile(`
const heap = Heap.create(new LinearMemory({ initial: 1, maximum: 100 }));
const other = Heap.create(new ArrayBuffer(65536), { debug: true });
function makeText(i) { return heap.string("x".repeat(i)); }
function makeBytes(i) { return other.allocate(i); }
function scratch() { heap.block(64).release(); }
const kept = [];
for (let i = 1; i < 200; i++) {
  scratch();
  const text = makeText(i);
  if (i % 3 === 0) text.release();
  const bytes = makeBytes(i);
  if (i % 4 === 0) other.free(bytes);
  if (i % 50 === 0) other.reallocate(makeBytes(7), 7, 300);
}
try { other.allocate(1e6); } catch {}
console.log(JSON.stringify([used(heap), used(other)]));`);
    assert.deepEqual(
      memories.map(({ blocks }) => blocks),
      printed,
    );
    assert.ok(memories[0]!.callers.every((name) => name === "makeText"));
    const makers = memories[1]!.callers;
    assert.equal(makers.filter((name) => name === "makeBytes").length, makers.length - 3, "and 3 resized");
    const [first, second] = memories.map(({ memory }) => memory.heap!);
    assert.deepEqual(
      [first!.allocations, first!.failed, second!.allocations, second!.failed],
      [398, 0, 205, 1],
    );
    assert.deepEqual(
      [...read.modules.values()].map(({ name, instrumented }) => [name, instrumented]),
      [["linmem Heap", true]],
    );
  });

  test("at the addresses that compaction has moved them to", async () => {
    const { printed, memories } = await profile(`
const heaps = [{}, { debug: true }].map((options) => Heap.create(new LinearMemory({ initial: 1, maximum: 100 }), options));
for (const heap of heaps) {
  const blocks = Array.from({ length: 300 }, (_, i) => heap.movable(i));
  for (const block of blocks) if (block.byteLength % 3 !== 0) block.release();
  while (!heap.compact({ budgetMs: 0 }).done);
  blocks[0].resize(300);
}
console.log(JSON.stringify(heaps.map((heap) => used(heap).filter(([, size]) => size > 0))));`);
    assert.deepEqual(
      memories.map(({ blocks }) => blocks.filter(([, size]) => size! > 0)),
      printed,
    );
    assert.equal(printed[0].length, 100);
  });

  test("also those that were there when it was opened, not those of one that was laid out anew", async () => {
    const { printed, memories } = await profile(`
const memory = new LinearMemory({ initial: 2, maximum: 2 });
const heap = Heap.create(memory);
heap.allocate(100);
const again = Heap.open(memory);
again.allocate(200);
const fresh = Heap.create(memory);
fresh.allocate(300);
const copy = memory.wasm.buffer.slice(0);
const opened = Heap.open(copy);
opened.allocate(400);
console.log(JSON.stringify([used(fresh), used(opened)]));`);
    assert.deepEqual(
      memories.map(({ blocks }) => blocks),
      printed,
    );
    assert.equal(memories[0]!.memory.heap!.missedFrees, 0);
  });

  test("beside those of the module whose memory it is", async () => {
    const { printed, memories } = await profile(`
import { readFileSync } from "node:fs";
const { exports: c } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(${cProgram})), {});
c._initialize();
const memory = LinearMemory.wrap(c.memory);
const start = memory.grow(1) * 65536;
const heap = Heap.create(memory, { start, byteLength: 65536 });
function byModule() { return c.malloc(1000); }
function byHeap() { return heap.allocate(2000); }
const blocks = [[byModule(), 1000]];
byHeap();
blocks.push([byModule(), 1000]);
console.log(JSON.stringify([[...blocks, ...used(heap)]]));`);
    assert.deepEqual(
      memories.map(({ blocks }) => blocks),
      printed,
    );
    assert.deepEqual(memories[0]!.callers, ["byModule", "byModule", "byHeap"]);
  });

  test("an arena's chunks by who needed them", async () => {
    const { printed, memories } = await profile(`
const heap = Heap.create(new LinearMemory({ initial: 1, maximum: 100 }));
const arena = new Arena(heap);
function parse() { for (let i = 0; i < 1000; i++) arena.string("some text " + i); }
parse();
console.log(JSON.stringify([used(heap)]));`);
    assert.deepEqual(memories[0]!.blocks, printed[0]);
    assert.deepEqual(memories[0]!.callers, ["parse"]);
  });

  test("but not in a memory that threads share: then it is as if nobody listened", async () => {
    const { memories } = await profile(`
const heap = Heap.create(new SharedArrayBuffer(65536));
const other = Heap.create(new LinearMemory({ initial: 1, maximum: 2 }));
other.allocate(5);
heap.allocate(100);
used(other);
console.log("[]");`);
    assert.deepEqual(
      memories.map(({ blocks }) => blocks.length),
      [1],
    );
  });
});
