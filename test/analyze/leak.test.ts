// What a history of levels is taken for. The moments of a load that comes and goes may lie so that each is higher than the one
// before, which a program makes by chance only.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Subject } from "../../src/analyze/diagnosis/finding.js";
import { findLeaks } from "../../src/analyze/diagnosis/leak.js";

const blockBytes = 64;

/** The kinds found in what one caller held, in blocks, at moments between which it made `made` blocks. */
function kinds(levels: readonly number[], made: number): string[] {
  const series = (of: (level: number, i: number) => number) => levels.map(of);
  const caller = {
    stack: [],
    wasm: new Set<number>(),
    liveBytes: series((level) => level * blockBytes),
    liveBlocks: [...levels],
    allocations: series((_, i) => i * made),
    estimatedBytes: series((level) => level * blockBytes),
    estimatedBlocks: [...levels],
    keptBytes: series(() => 0),
    keptBlocks: series(() => 0),
  };
  const history = {
    memories: [],
    times: series((_, i) => 100 * i),
    work: series((_, i) => i * made),
    liveBytes: caller.liveBytes,
    memoryBytes: series(() => 65_536),
    callers: [caller],
    callerOf: () => caller,
  };
  const module = { id: 1, toolchain: "Rust", allocator: [], memory: { finalBytes: 65_536 }, heap: {} };
  return findLeaks({ module, history } as unknown as Subject).map(({ kind }) => kind);
}

test("most of what was made stays until the end: it is released late", () => {
  assert.deepEqual(kinds([0, 100, 200, 300, 400, 500, 0], 100), ["late-release"]);
});

test("moments that rise by chance while more was released than stayed say nothing", () => {
  assert.deepEqual(kinds([0, 20, 50, 80, 110, 140, 0], 100), []);
});

test("a quarter of it stays in each of many steps: it is released late", () => {
  const levels = Array.from({ length: 40 }, (_, i) => 25 * i);
  assert.deepEqual(kinds([...levels, 0], 100), ["late-release"]);
});

test("many moments of a load that comes and goes", () => {
  const levels = Array.from({ length: 40 }, (_, i) => (i * 37) % 150);
  assert.deepEqual(kinds([...levels, 0], 300), []);
});
