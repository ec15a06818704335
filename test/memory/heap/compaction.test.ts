// What compaction reaches: how tight a heap is afterwards, and what it does in a step.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Heap, LinearMemory, type MovableBlock } from "../../../src/index.js";
import { Random } from "../../recorder/random.js";

const memory = (maximum = 1000) => new LinearMemory({ initial: 1, maximum });

describe("compaction", () => {
  /** Many blocks of which every second one, by chance, is gone. */
  function fragmented(seed: number, pinnedShare: number, ordinaryShare = 0, count = 40_000) {
    const random = new Random(seed);
    const heap = Heap.create(memory(2000));
    const blocks: MovableBlock[] = [];
    const ordinary: number[] = [];
    for (let i = 0; i < count; i++) {
      if (random.chance(ordinaryShare)) ordinary.push(heap.allocate(16 + random.below(500)));
      const block = heap.movable(16 + random.below(500));
      block.view().fill(i & 0xff);
      blocks.push(block);
    }
    const held = new Set<number>();
    const kept = blocks.filter((block, i) => {
      if (random.chance(pinnedShare)) {
        block.pin();
        held.add(block.id);
      } else if (random.chance(0.5)) {
        block.release();
        return false;
      }
      assert.equal(block.view()[0], i & 0xff);
      return true;
    });
    const contents = kept.map((block) => block.copy());
    const same = () => kept.every((block, i) => Buffer.compare(block.view(), contents[i]!) === 0);
    return { heap, same, held };
  }
  /**
   * From the start to the last block that could be moved, over what is used there. The directory of handles is so large that
   * it may find no hole.
   */
  const overLive = (heap: Heap, pinned: ReadonlySet<number>) => {
    let [used, end, usedThere] = [0, 0, 0];
    for (const block of heap.walk()) {
      if (block.used) used += block.size;
      if (block.movable !== undefined && !pinned.has(block.movable))
        [end, usedThere] = [block.address + block.size - heap.start, used];
    }
    return end / usedThere;
  };

  for (const [pinned, ordinary] of [
    [0, 0],
    [0.02, 0],
    [0, 0.1],
  ] as const) {
    const [name, most] = [`${100 * pinned} % pinned, ${100 * ordinary} % ordinary`, 1.05];
    test(`leaves less than 5 % free below the last block that moves: ${name}`, () => {
      const { heap, same, held } = fragmented(1, pinned, ordinary);
      assert.ok(overLive(heap, held) > 1.5);
      assert.ok(heap.compact().done);
      heap.check();
      assert.ok(same(), "bytes");
      assert.ok(overLive(heap, held) <= most, `${overLive(heap, held)}`);
      if (pinned + ordinary === 0) assert.ok(heap.stats().span / heap.stats().used < 1.001);
    });

    test(`does so in steps too: ${name}`, () => {
      const { heap, same, held } = fragmented(2, pinned, ordinary, 4000);
      let steps = 1;
      while (!heap.compact({ budgetMs: 0 }).done) {
        if (steps++ % 100 === 0) heap.check();
      }
      heap.check();
      assert.ok(steps > 1000, `${steps} steps`);
      assert.ok(same(), "bytes");
      assert.ok(overLive(heap, held) <= most, `${overLive(heap, held)}`);
    });
  }

  test("a second walk moves nothing", () => {
    const { heap } = fragmented(3, 0);
    heap.compact();
    assert.deepEqual(heap.compact(), { done: true, blocks: 0, bytes: 0 });
  });

  test("of a heap without movable blocks gives back what is free at its end, and stays within its steps", () => {
    const heap = Heap.create(memory());
    const blocks = Array.from({ length: 5000 }, () => heap.allocate(100));
    for (const block of blocks.slice(1000)) heap.free(block);
    for (const block of blocks.slice(0, 500)) heap.free(block);
    let steps = 1;
    while (!heap.compact({ budgetMs: 0 }).done) steps++;
    assert.ok(steps > 1);
    heap.check();
    assert.deepEqual(heap.stats().blocks, 500);
    assert.ok(heap.stats().span < 1000 * 112 + 4096);
    assert.deepEqual(Heap.create(memory()).compact(), { done: true, blocks: 0, bytes: 0 });
  });

  test("a step ends when its time is over, and looks at the clock each 32 KiB", (t) => {
    const { heap, same } = fragmented(4, 0, 0, 8000);
    let now = 0;
    t.mock.method(performance, "now", () => now++);
    const moved: number[] = [];
    for (let done = false; !done; ) {
      const step = heap.compact({ budgetMs: 3 });
      moved.push(step.bytes);
      done = step.done;
    }
    t.mock.restoreAll();
    assert.ok(moved.length > 10, `${moved.length} steps`);
    // what was looked at counts as well, so it is less than three times 32 KiB; but it isn't nothing
    assert.ok(Math.max(...moved) < 3 * (32 * 1024 + 600), `${Math.max(...moved)} bytes in one step`);
    assert.ok(moved.slice(1, -1).every((bytes) => bytes > 16 * 1024));
    assert.ok(same(), "bytes");
    heap.check();
  });

  test("refuses budgets that are none", () => {
    const heap = Heap.create(memory());
    for (const budgetMs of [-1, Number.NaN, "1"])
      assert.throws(() => heap.compact({ budgetMs: budgetMs as number }), { code: "ERR_LINMEM_VALUE" });
  });
});
