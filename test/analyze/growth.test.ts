// What counts as a leak, on series of which the cause is known.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Level, Levels } from "../../src/analyze/growth.js";
import { findGrowth, mayGrow } from "../../src/analyze/growth.js";

/** Bytes of each context after each run, one block for every 10 bytes. */
function readings(series: Record<string, readonly number[]>): Levels[] {
  const names = Object.keys(series);
  return series[names[0]!]!.map(
    (_, i) => new Map(names.map((name): [string, Level] => [name, level(series[name]![i]!)])),
  );
}
const level = (bytes: number): Level => ({ bytes, blocks: Math.ceil(bytes / 10) });
const keys = (found: { key: string }[]) => found.map(({ key }) => key);

const steps = <T>(count: number, at: (i: number) => T) => Array.from({ length: count + 1 }, (_, i) => at(i));

describe("growth", () => {
  test("a block more after each run is growth, with its amount per run", () => {
    const { steady, spread } = findGrowth(
      readings({ leak: steps(8, (i) => 100 + 30 * i), rest: steps(8, () => 50) }),
    );
    assert.deepEqual(steady, [{ key: "leak", perRun: { bytes: 30, blocks: 3 } }]);
    assert.deepEqual(spread, []);
  });

  test("so are blocks of no bytes", () => {
    const series = steps(4, (i) => new Map([["empty", { bytes: 0, blocks: i }]]));
    assert.deepEqual(findGrowth(series).steady, [{ key: "empty", perRun: { bytes: 0, blocks: 1 } }]);
  });

  test("what comes first in the first run that is compared is found too", () => {
    const [, ...later] = readings({ leak: steps(8, (i) => 10 * i) });
    assert.deepEqual(keys(findGrowth([new Map(), ...later]).steady), ["leak"]);
  });

  const clean: Record<string, (i: number) => number> = {
    "nothing happens": () => 100,
    "a cache that fills in the first runs": (i) => 100 * Math.min(i, 3),
    "a list that doubles its room": (i) => 16 * 2 ** Math.ceil(Math.log2(i + 1)),
    "a block that is freed one run late": (i) => 100 + (i % 2) * 50,
    "growth every other run": (i) => 100 * Math.floor(i / 2),
    "it shrinks": (i) => 1000 - 10 * i,
    "it fills, and is emptied every 7 runs": (i) => 100 * (i % 7),
    "it fills, and is emptied at the end": (i) => (i < 8 ? 100 * i : 0),
  };
  for (const [name, at] of Object.entries(clean)) {
    test(`no growth: ${name}`, () => {
      assert.deepEqual(findGrowth(readings({ it: steps(8, at) })), { steady: [], spread: [] });
    });
  }

  test("one run that stands still hides nothing: the collector took something late", () => {
    const series = [0, 10, 20, 30, 30, 40, 50, 60, 70];
    assert.deepEqual(keys(findGrowth(readings({ leak: series })).steady), ["leak"]);
  });

  test("with few runs every one has to grow", () => {
    assert.deepEqual(keys(findGrowth(readings({ leak: [0, 1, 2, 3] })).steady), ["leak"]);
    assert.deepEqual(keys(findGrowth(readings({ leak: [0, 1, 1, 2] })).steady), []);
    assert.deepEqual(findGrowth(readings({ leak: [5] })), { steady: [], spread: [] });
  });

  test("a queue, in which the new takes the place of the old, does not grow", () => {
    const queue = { added: steps(8, (i) => 10 * i), old: steps(8, (i) => 1000 - 10 * i) };
    assert.deepEqual(findGrowth(readings(queue)), { steady: [], spread: [] });
  });

  test("that something large is freed once hides no leak", () => {
    const series = { leak: steps(8, (i) => 10 * i), once: steps(8, (i) => (i < 5 ? 100_000 : 0)) };
    assert.deepEqual(keys(findGrowth(readings(series)).steady), ["leak"]);
  });

  test("growth that is elsewhere each time is found in the sum", () => {
    const series = Object.fromEntries(
      [0, 1, 2].map((k) => [`place ${k}`, steps(9, (i) => 10 * Math.floor((i + 2 - k) / 3))]),
    );
    const { steady, spread } = findGrowth(readings(series));
    assert.deepEqual(steady, []);
    assert.deepEqual(keys(spread).sort(), ["place 0", "place 1", "place 2"]);
  });

  test("it is known early that nothing can be found any more", () => {
    const still = readings({ it: [7, 7, 7, 7] });
    assert.deepEqual(
      [1, 2, 3, 4].map((count) => mayGrow(still.slice(0, count), 8)),
      [true, true, true, false],
    );
    assert.equal(mayGrow(readings({ it: [7, 7] }), 3), false);
  });
});
