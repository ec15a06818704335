import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Contexts } from "../../src/profile/contexts.js";
import type { ContextTotals } from "../../src/profile/records.js";

describe("contexts of a memory", () => {
  it("keep the history of each, through thousands of others", () => {
    const contexts = new Contexts();
    const expected = new Map<number, number[]>();
    for (let snapshot = 1; snapshot <= 5; snapshot++) {
      const time = snapshot + 0.25;
      for (let id = snapshot; id <= 3000; id += snapshot) {
        const totals: ContextTotals = [
          id,
          id * snapshot,
          id,
          2 ** 40 + id,
          2 ** 33 + snapshot,
          2 ** 34,
          snapshot,
        ];
        contexts.setTotals(time, totals);
        expected.set(id, [...(expected.get(id) ?? []), time, id * snapshot, id, 2 ** 33 + snapshot]);
        assert.deepEqual(contexts.get(id)!.totals, totals);
      }
    }
    assert.equal(contexts.size, 3000);
    for (const { id, history } of contexts.values())
      assert.deepEqual(history, expected.get(id), `context ${id}`);
  });

  it("have no totals before a snapshot, and stacks that come before or after it", () => {
    const contexts = new Contexts();
    contexts.setStacks(7, 70, 71);
    contexts.setTotals(1, [8, 1, 0, 16, 16, 16, 0]);
    assert.equal(contexts.get(7)!.totals, undefined);
    assert.deepEqual(contexts.get(7)!.history, []);
    assert.deepEqual([contexts.get(8)!.stack, contexts.get(8)!.caller], [0, 0]);
    contexts.setStacks(8, 80, 81);
    assert.deepEqual([contexts.get(8)!.stack, contexts.get(8)!.caller], [80, 81]);
    assert.deepEqual(contexts.get(8)!.totals, [8, 1, 0, 16, 16, 16, 0]);
    assert.equal(contexts.get(8), [...contexts.values()][1], "the same object at each call");
  });
});
