import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { firstSnapshotInterval, snapshotGrowth, snapshotPause } from "../../src/attach/limits.js";
import { SnapshotSchedule } from "../../src/attach/snapshot-schedule.js";

describe("snapshots are due", () => {
  test("soon at first, then more and more seldom, and at the latest after the interval", () => {
    const schedule = new SnapshotSchedule(1000, 0);
    let now = 0;
    let last = 0;
    const pauses: number[] = [];
    while (pauses.length < 200) {
      assert.ok(!schedule.isDue(now + schedule.until(now) - 1));
      now += schedule.until(now);
      assert.ok(schedule.isDue(now));
      schedule.taken(now, now);
      pauses.push(now - last);
      last = now;
    }
    assert.equal(pauses[0], firstSnapshotInterval);
    assert.ok(pauses.every((pause, i) => i === 0 || pause >= pauses[i - 1]!));
    assert.equal(pauses.at(-1), 1000);
  });

  test("later where they take long, once several have", () => {
    const schedule = new SnapshotSchedule(1000, 0);
    schedule.taken(5000, 5200);
    assert.equal(schedule.until(5200), 5200 * snapshotGrowth, "one may have been interrupted");
    let now = 5200;
    for (let i = 0; i < 12; i++) {
      now += schedule.until(now);
      schedule.taken(now, now + 200);
      now += 200;
    }
    assert.equal(schedule.until(now), 200 * snapshotPause);
  });

  test("never without an interval, save those asked for, which look at the memories when told", () => {
    const schedule = new SnapshotSchedule(Number.POSITIVE_INFINITY, 0);
    schedule.restart(10);
    assert.equal(schedule.until(1e9), Number.POSITIVE_INFINITY);
    assert.equal(schedule.look(1e9), false);
    schedule.lookNext();
    assert.equal(schedule.look(1e9), true);
  });

  test("with a look at the memories once in an interval", () => {
    const schedule = new SnapshotSchedule(1000, 0);
    const looks = [500, 1000, 1500, 1999, 2000, 2001].map((now) => schedule.look(now));
    assert.deepEqual(looks, [false, true, false, false, true, false]);
  });
});
