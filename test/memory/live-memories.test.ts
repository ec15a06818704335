// What liveMemories() tells about each memory.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, test } from "node:test";
import { LinearMemory, type LiveMemory, liveMemories, setResidentReader } from "../../src/index.js";
import { parseMappings, readResident } from "../../src/memory/node-resident.js";

const linux = existsSync("/proc/self/smaps")
  ? false
  : "no /proc/self/smaps: resident bytes are not known here";

/** The entry of `memory`. */
function entry(memory: LinearMemory): LiveMemory {
  return liveMemories().find((live) => live.memory.deref() === memory.wasm) ?? assert.fail("not listed");
}

after(() => setResidentReader((buffers) => buffers.map(() => undefined)));

test("a memory is listed with its pages, bytes and reservation, and where it was made", () => {
  const memory = new LinearMemory({ initial: 3, maximum: 10 });
  memory.grow(1);
  const { pages, byteLength, reservedBytes, residentBytes, shared, madeAt } = entry(memory);
  assert.deepEqual(
    { pages, byteLength, reservedBytes, residentBytes, shared },
    { pages: 4, byteLength: 4 * 65_536, reservedBytes: 655_360, residentBytes: undefined, shared: false },
  );
  assert.match(madeAt.split("\n")[0] ?? "", /live-memories\.test\.ts/);
  const wrapped = LinearMemory.wrap(new WebAssembly.Memory({ initial: 1 }));
  assert.equal(entry(wrapped).reservedBytes, undefined);
  assert.match(entry(wrapped).madeAt.split("\n")[0] ?? "", /live-memories\.test\.ts/);
});

test("resident bytes are those that were touched, not those that were asked for", { skip: linux }, () => {
  setResidentReader(readResident);
  const memory = new LinearMemory({ initial: 160, maximum: 1000 });
  assert.equal(entry(memory).residentBytes, 0);
  for (let page = 0; page < 32; page++) memory.u8[page * 65_536] = 1;
  const touched = entry(memory).residentBytes;
  assert.ok(touched !== undefined && touched >= 32 * 4096 && touched <= 32 * 65_536, String(touched));
  memory.u8.fill(7);
  assert.equal(entry(memory).residentBytes, 160 * 65_536);
});

test("memories of one size and content are told apart without a trace", { skip: linux }, () => {
  setResidentReader(readResident);
  const memories = Array.from({ length: 4 }, () => new LinearMemory({ initial: 23, maximum: 23 }));
  memories[1]?.u8.fill(0);
  const resident = readResident(memories.map((memory) => memory.buffer));
  assert.deepEqual(resident, [0, 23 * 65_536, 0, 0]);
  for (const memory of memories) assert.ok(memory.u8.every((byte) => byte === 0));
});

test("what can't be told for certain is not known", { skip: linux }, () => {
  setResidentReader(readResident);
  const twins = [0, 1].map(() => new LinearMemory({ initial: 29, maximum: 29, shared: true }));
  for (const memory of twins) assert.equal(entry(memory).residentBytes, undefined);
  twins[0]?.u8.fill(1);
  for (const [index, memory] of twins.entries())
    assert.equal(entry(memory).residentBytes, index === 0 ? 29 * 65_536 : 0);
  assert.deepEqual(readResident([new ArrayBuffer(100)]), [undefined], "no memory at all");
  assert.deepEqual(readResident([new WebAssembly.Memory({ initial: 0 }).buffer]), [0]);
});

test("neighbouring writable mappings are one, guards part them", () => {
  const smaps = [
    "1000-3000 rw-p 00000000 00:00 0 ",
    "Size:                  8 kB",
    "Rss:                   4 kB",
    "3000-4000 rw-p 00000000 00:00 0 ",
    "Rss:                   4 kB",
    "4000-9000 ---p 00000000 00:00 0 ",
    "Rss:                   0 kB",
    "9000-a000 rw-p 00000000 00:00 0                          [heap]",
    "Rss:                   0 kB",
    "",
  ].join("\n");
  assert.deepEqual(parseMappings(smaps), [
    { start: 0x1000, end: 0x4000, resident: 8192 },
    { start: 0x9000, end: 0xa000, resident: 0 },
  ]);
});

test("in Node the package reads resident bytes by itself", { skip: linux }, async () => {
  await import("../../src/index-node.js");
  const memory = new LinearMemory({ initial: 2, maximum: 3 });
  assert.equal(entry(memory).residentBytes, 0);
});
