// A heap of which only its collector knows what is live: every report counts it, and none says what it holds.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { analyze } from "../../src/analyze/analyze.js";
import { analyzeInDetail } from "../../src/analyze/details.js";
import { readProfile } from "../../src/profile/reader.js";
import type { HeapTotals, ProfileRecord } from "../../src/profile/records.js";
import { collapsedExport } from "../../src/report/exports/collapsed.js";
import { packReport } from "../../src/report/html/pack.js";
import { summary } from "../../src/report/summary.js";
import { textReport } from "../../src/report/text.js";
import { firstMetric } from "../../src/ui/selection.js";
import { collectionTimes, seriesOf } from "../../src/ui/series.js";
import { unpack } from "../../src/ui/unpack.js";
import { profileWith, wasmFrame } from "./exports/support.js";

/** Totals after so many allocations of 10 bytes, of which `live` still live and the collector took the others. */
function heap(allocations: number, collectable: number, collections: number): HeapTotals {
  const live = allocations - collectable;
  return {
    allocations,
    frees: collectable,
    allocatedBytes: allocations * 10,
    liveBytes: live * 10,
    liveBlocks: live,
    peakLiveBytes: live * 10,
    temporary: 0,
    unknownFrees: 0,
    missedFrees: 0,
    untracked: 0,
    failed: 0,
    sizes: [0, 0, 0, allocations],
    outlived: 0,
    captured: 0,
    contextsDropped: 0,
    ...(collectable > 0 && { collectable }),
    ...(collections > 0 && { collections }),
  };
}

/** A run of six snapshots; in the third and the last the collector had run. */
function run(collectable: (allocations: number) => number): string {
  const snapshots = [0, 0, 2, 2, 2, 5].map((collections, i): ProfileRecord => {
    const allocations = 100 * (i + 1);
    const freed = collectable(allocations);
    const live = (allocations - freed) * 10;
    return {
      type: "snapshot",
      time: 10 * (i + 1),
      memory: 1,
      pages: 2 + i,
      heap: heap(allocations, freed, collections),
      contexts: [[1, allocations, freed, allocations * 10, live, live, 0]],
    };
  });
  return profileWith([[wasmFrame("main.work")]], ...snapshots);
}

describe("a heap that is only counted", () => {
  const profile = run((allocations) => allocations);
  const report = analyze(readProfile(profile));

  test("has its allocations and collections in the text, and nothing live", () => {
    const text = textReport(report);
    assert.match(text, /5\.9 KiB allocated in 600 blocks of a collected heap/);
    assert.match(text, /live +only the module's own garbage collector knows/);
    assert.match(text, /collections +5/);
    assert.match(
      text,
      /Allocated in the whole run, by stack\n +5\.9 KiB \(100 %\) in 600 blocks\n +main\.work/,
    );
    assert.match(text, /collections +\S+ +5 in all/);
    assert.doesNotMatch(text, /high-water|freed|leak|Nothing is live|heap is flat/);
    assert.match(summary(report, { path: "" }), /5\.9 KiB allocated in 600 blocks of a collected heap/);
  });

  test("has its collections on the timeline", () => {
    assert.deepEqual(
      report.timeline
        .filter(({ time }) => time % 10 === 0)
        .map(({ time, collections }) => [time, collections]),
      [10, 20, 30, 40, 50, 60]
        .map((time) => [time, time < 30 ? 0 : time < 60 ? 2 : 5])
        .filter(([time]) => report.timeline.some((point) => point.time === time)),
    );
    assert.equal(report.timeline.at(-1)?.collections, 5);
  });

  test("is shown by allocated bytes where other tools, and the page, would show what is live", () => {
    assert.match([...collapsedExport(report)].join(""), /main\.work.* 6000\n/);
    const data = unpack(packReport([{ title: "run", details: analyzeInDetail(readProfile(profile)) }], ""));
    assert.equal(firstMetric({ data }), "allocated");
    const [{ modules, memories }] = data.profiles;
    assert.deepEqual([modules[0].countedOnly, modules[0].collections], [true, 5]);
    assert.deepEqual(collectionTimes(memories), [30, 60]);
    assert.ok(seriesOf(data.profiles[0], memories).live.every((bytes) => bytes === null));
  });
});

describe("a heap of which a part is live and a part only counted", () => {
  const profile = run((allocations) => allocations - 50);
  const report = analyze(readProfile(profile));

  test("says what is live, and how much is left to the collector", () => {
    const text = textReport(report);
    assert.match(text, /500 B live in 50 blocks at the end/);
    assert.match(text, /0 freed; 550 are left to the module's garbage collector/);
    assert.doesNotMatch(text, /only the module's own garbage collector knows/);
    const data = unpack(packReport([{ title: "run", details: analyzeInDetail(readProfile(profile)) }], ""));
    assert.equal(firstMetric({ data }), "live");
  });
});
