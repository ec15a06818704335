import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { analyze } from "../../src/analyze/analyze.js";
import type { HeapTotals, ProfileRecord } from "../../src/profile/records.js";
import { emptyProfile, fold } from "../../src/profile/state.js";

const header = {
  type: "header",
  format: "linmem-profile",
  version: 1,
  linmem: "0.1.0",
  time: 0,
  argv: ["node", "app.mjs"],
  pid: 1,
  engine: { name: "node", version: "v24.0.0" },
  platform: "linux x64",
} as unknown as Parameters<typeof emptyProfile>[0];

const module: ProfileRecord = {
  type: "module",
  id: 1,
  thread: 0,
  name: "engine",
  bytes: 1000,
  toolchain: "Emscripten",
  allocator: [],
  instrumented: true,
};

/** A memory that is made, in which blocks are allocated at some moments, 100 bytes each time. */
function memory(id: number, made: number, allocations: readonly number[]): ProfileRecord[] {
  const totals = (count: number) =>
    ({
      allocations: count,
      frees: 0,
      allocatedBytes: 100 * count,
      liveBytes: 100 * count,
      liveBlocks: count,
      peakLiveBytes: 100 * count,
      sizes: [],
    }) as unknown as HeapTotals;
  return [
    { type: "memory", id, time: made, thread: 0, initialPages: 1, maximumPages: 1, shared: false, stack: 0 },
    { type: "memory-module", memory: id, module: 1 },
    { type: "instance", id, time: made, module: 1, memories: [id], stack: 0 },
    ...allocations.map(
      (time, i): ProfileRecord => ({
        type: "snapshot",
        time,
        memory: id,
        pages: 1,
        heap: totals(i + 1),
        contexts: [],
      }),
    ),
  ];
}

/** Bytes that are live at the end, and those that went with memories. */
function bytesOf(...records: readonly ProfileRecord[]): (number | undefined)[] {
  const profile = emptyProfile(header);
  for (const record of [module, ...records]) assert.ok(fold(profile, record), record.type);
  const { heap } = analyze(profile).modules[0]!;
  return [heap?.liveBytes, heap?.collectedBytes];
}

const collected = (time: number, id = 1): ProfileRecord => ({ type: "collected", time, memory: id });
const end: ProfileRecord = { type: "end", time: 1000, exit: 0, captureTime: 0 };

describe("what was live in a memory that was collected", () => {
  test("is live at the end when the program was over, and the collector came first by chance", () => {
    // what is seen when it is collected was done before
    assert.deepEqual(bytesOf(...memory(1, 0, [100, 500, 998]), collected(998), end), [300, 0]);
  });

  test("is gone when the program went on with something else", () => {
    const first = memory(1, 0, [100, 500]);
    assert.deepEqual(bytesOf(...first, collected(990), ...memory(2, 995, []), end), [0, 200], "made");
    const other = [...memory(2, 50, [60]), collected(990)];
    const used = memory(2, 50, [60, 995]).slice(-1);
    assert.deepEqual(bytesOf(...first, ...other, ...used, end), [200, 200], "allocated");
    assert.deepEqual(bytesOf(...first, ...other, end), [300, 0], "nothing");
  });

  test("is gone when the program went on without it", () => {
    assert.deepEqual(bytesOf(...memory(1, 0, [100, 500]), collected(600), end), [0, 200]);
  });

  test("is gone where the end of the program is not in the profile", () => {
    assert.deepEqual(bytesOf(...memory(1, 0, [100, 500]), collected(998)), [0, 200]);
  });
});
