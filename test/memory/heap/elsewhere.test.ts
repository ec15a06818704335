// A heap's whole state is in its memory: another thread, or another program with the same bytes, opens it and goes on.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { Heap, LinearMemory, type MovableBlock } from "../../../src/index.js";
import { Random } from "../../recorder/random.js";
import { withTypeScript } from "../../support/typescript.js";

const library = JSON.stringify(new URL("../../../src/index.ts", import.meta.url).href);
const options = [withTypeScript, "--input-type=module"];

interface Filled {
  /** Sizes of ordinary blocks by their addresses; all bytes are the last ones of the address. */
  blocks: [number, number][];
  movable: MovableBlock[];
}

function fill(heap: Heap): Filled {
  const random = new Random(8);
  const size = () => random.below(2 ** random.below(14));
  const all = Array.from({ length: 600 }, (): [number, number] => {
    const byteLength = size();
    return [heap.allocate(byteLength), byteLength];
  });
  const movable = Array.from({ length: 100 }, () => heap.movable(size()));
  const blocks = all.filter(([ptr]) => {
    if (random.chance(0.6)) return true;
    heap.free(ptr);
    return false;
  });
  for (const [ptr, byteLength] of blocks) heap.memory.u8.fill(ptr >>> 3, ptr, ptr + byteLength);
  for (const block of movable) block.view().fill(block.id);
  return { blocks, movable };
}

/** What the other one does: looks at all bytes, compacts, frees every second block and makes one of its own. */
const goesOn = `
  heap.check();
  for (const [ptr, byteLength] of blocks)
    if (heap.memory.u8.subarray(ptr, ptr + byteLength).some((byte) => byte !== ((ptr >>> 3) & 255))) throw ptr;
  for (const id of ids) if (heap.movableBlock(id).view().some((byte) => byte !== (id & 255))) throw id;
  while (!heap.compact({ budgetMs: 0 }).done);
  blocks.forEach(([ptr], i) => i % 2 && heap.free(ptr));
  heap.check();
  const text = heap.string("from elsewhere");
  const said = [text.ptr, text.byteLength, heap.stats()];`;

function goOn(
  heap: Heap,
  { blocks, movable }: Filled,
  [text, byteLength, stats]: [number, number, object],
): void {
  heap.check();
  assert.deepEqual(heap.stats(), stats);
  assert.equal(new TextDecoder().decode(heap.memory.u8.slice(text, text + byteLength)), "from elsewhere");
  for (const [i, [ptr]] of blocks.entries()) {
    if (i % 2 === 0) heap.free(ptr);
    else if (ptr !== text) assert.throws(() => heap.free(ptr), { code: /DOUBLE_FREE|FOREIGN_BLOCK/ });
  }
  for (const block of movable) {
    const again = heap.movableBlock(block.id);
    assert.ok(again.view().every((byte) => byte === (block.id & 255)));
    again.release();
  }
  heap.free(text);
  assert.equal(heap.stats().blocks, 0);
  heap.check();
}

test("another thread opens a heap in a shared memory", async () => {
  const memory = new LinearMemory({ initial: 1, maximum: 200, shared: true });
  const heap = Heap.create(memory);
  const filled = fill(heap);
  const ids = filled.movable.map(({ id }) => id);
  const program = `
    const { parentPort, workerData } = require("node:worker_threads");
    import("tsx/esm/api").then(({ tsImport }) => tsImport(${library}, ${JSON.stringify(import.meta.url)})).then(({ Heap }) => {
      const { memory, blocks, ids } = workerData;
      const heap = Heap.open(memory);
      ${goesOn}
      parentPort.postMessage(said);
    });`;
  const workerData = { memory: memory.wasm, blocks: filled.blocks, ids };
  const worker = new Worker(program, { eval: true, workerData });
  const [said] = await once(worker, "message");
  await worker.terminate();
  goOn(heap, filled, said);
});

test("a later program opens the bytes that were saved", () => {
  const folder = mkdtempSync(join(tmpdir(), "linmem-saved-"));
  try {
    const file = join(folder, "heap");
    const heap = Heap.create(new LinearMemory({ initial: 1, maximum: 200 }));
    const filled = fill(heap);
    writeFileSync(file, new Uint8Array(heap.memory.buffer));
    const program = `
      import { readFileSync, writeFileSync } from "node:fs";
      const { Heap } = await import(${library});
      const bytes = readFileSync(${JSON.stringify(file)});
      const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
      const heap = Heap.open(buffer);
      const blocks = ${JSON.stringify(filled.blocks)};
      const ids = ${JSON.stringify(filled.movable.map(({ id }) => id))};
      ${goesOn}
      writeFileSync(${JSON.stringify(file)}, new Uint8Array(buffer));
      console.log(JSON.stringify(said));`;
    const { stdout, stderr } = spawnSync(process.execPath, [...options, "--eval", program], {
      encoding: "utf8",
    });
    assert.equal(stderr, "");
    const memory = new LinearMemory({ initial: heap.memory.byteLength / 65_536, maximum: 200 });
    memory.u8.set(readFileSync(file));
    goOn(Heap.open(memory), filled, JSON.parse(stdout));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
