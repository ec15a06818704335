import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Subject } from "../../src/analyze/diagnosis/finding.js";
import { findReservation } from "../../src/analyze/diagnosis/reservation.js";

/** A memory that grew often, all of which was needed. */
function subject(pages: number, maximumPages: number | null): Subject {
  const heap = { allocations: 1, collectable: 0, peakLiveBytes: pages * 65_536 };
  const memory = {
    initialPages: 256,
    pages,
    maximumPages,
    layouts: [],
    grows: Array.from({ length: 20 }, () => ({ granted: true })),
    heap,
  };
  const rest = { module: { id: 1 }, report: { run: { complete: true } }, history: { memories: [memory] } };
  return rest as unknown as Subject;
}

describe("a memory that grew often", () => {
  test("should begin with what was needed, and a quarter more", () => {
    const [finding] = findReservation(subject(1000, 65_536));
    assert.match(finding!.advice, /^An `initial` of 1250 pages /);
  });

  test("but with no more than it may have", () => {
    assert.match(findReservation(subject(1000, 1100))[0]!.advice, /^An `initial` of 1100 pages /);
    const [unbounded] = findReservation(subject(60_000, null));
    assert.match(unbounded!.advice, /^An `initial` of 65536 pages .*`maximum: 65536` \(4 GiB\)/);
  });

  test("gets no advice when it took all there is", () => {
    assert.deepEqual(findReservation(subject(65_536, 65_536)), []);
    assert.deepEqual(findReservation(subject(1100, 1100)), []);
    assert.deepEqual(findReservation(subject(65_536, null)), []);
  });
});
