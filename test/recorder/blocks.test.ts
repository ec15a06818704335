// The live blocks that the recorder hands out, against a map.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createRecorder } from "../../src/recorder/index.js";
import { hooksOf, Reader, Rig } from "./model.js";
import { forSeeds } from "./random.js";

/** `address: size by context/caller`, as the rig's reader knows the pairs. */
function handedOut({ recorder, reader }: Pick<Rig, "recorder" | "reader">): string[] {
  reader.take(recorder);
  const { count, addresses, sizes, contexts } = recorder.blocks()!;
  return Array.from({ length: count }, (_, i) => {
    const pair = reader.contexts.get(contexts[i]!)!;
    return `${addresses[i]}: ${sizes[i]} by ${pair.context}`;
  });
}

describe("live blocks", () => {
  test("are handed out sorted, those of the running entry too", () => {
    forSeeds(20, (random) => {
      const rig = new Rig();
      const expected = () =>
        [...rig.live]
          .sort(([a], [b]) => a - b)
          .map(([address, { bytes, context }]) => `${address}: ${bytes} by ${context}`);
      for (let entry = 0; entry < 40; entry++) {
        rig.enter(random.below(5));
        for (let i = random.below(200); i > 0; i--) {
          const live = [...rig.live.keys()];
          if (live.length > 0 && random.chance(0.4)) {
            rig.free(random.pick(live));
            continue;
          }
          const address = 16 + random.below(2 ** 28) * 16;
          const free = [...rig.live].every(
            ([start, { bytes }]) => address + 64 <= start || start + bytes <= address,
          );
          if (free) rig.alloc(address, random.below(64), BigInt(2 + 2 * random.below(6)));
        }
        assert.deepEqual(handedOut(rig), expected());
        rig.leave();
        assert.deepEqual(handedOut(rig), expected());
      }
    });
  });

  test("that compaction moves are what they were, at another address", () => {
    forSeeds(20, (random) => {
      const rig = new Rig();
      const place = () => {
        for (;;) {
          const address = 16 + random.below(2 ** random.pick([8, 20, 28])) * 16;
          if (!rig.live.has(address)) return address;
        }
      };
      for (let entry = 0; entry < 60; entry++) {
        rig.enter(random.below(5));
        for (let i = random.below(100); i > 0; i--) {
          const live = [...rig.live.keys()];
          if (live.length === 0 || random.chance(0.4)) {
            rig.alloc(place(), random.below(16), BigInt(2 + 2 * random.below(6)));
          } else if (random.chance(0.5)) rig.free(random.pick(live));
          else rig.move(random.pick(live), place());
        }
        rig.leave();
        for (const from of [...rig.live.keys()]) if (random.chance(0.3)) rig.move(from, place());
        const expected = [...rig.live].sort(([a], [b]) => a - b);
        assert.deepEqual(
          handedOut(rig),
          expected.map(([address, { bytes, context }]) => `${address}: ${bytes} by ${context}`),
        );
        rig.check();
      }
    });
  });

  test("that one entry made and moves, however many", () => {
    const rig = new Rig();
    rig.enter(1);
    for (let i = 1; i <= 6000; i++) {
      rig.alloc(4096 * i, 8, 2n);
      rig.move(4096 * i, 4096 * i + 16);
    }
    rig.alloc(8, 8, 2n);
    rig.leave();
    rig.checkLive();
    assert.equal(handedOut(rig).length, 6001);
  });

  test("reach up to the end of 4 GiB", () => {
    const rig = new Rig();
    rig.alloc(0xffff_fff0, 16, 2n);
    rig.leave();
    rig.alloc(0x8000_0000, 16, 2n);
    assert.deepEqual(handedOut(rig), ["2147483648: 16 by 1", "4294967280: 16 by 1"]);
  });

  test("don't overlap, though a free was not seen", () => {
    const recorder = createRecorder({
      contextSeen: () => true,
      captureCaller: () => 0,
      isNested: () => false,
    });
    const hooks = hooksOf(recorder);
    hooks.alloc(1000, 100, 2n);
    hooks.leave();
    hooks.alloc(1040, 8, 2n);
    hooks.alloc(2000, 8, 2n);
    hooks.leave();
    hooks.alloc(2000, 4, 4n);
    const blocks = recorder.blocks()!;
    assert.deepEqual([...blocks.addresses.subarray(0, blocks.count)], [1000, 1040, 2000]);
    assert.deepEqual([...blocks.sizes.subarray(0, blocks.count)], [40, 8, 4]);
    assert.equal(recorder.totals().overlaps, 1);
  });

  test("beyond a bound are none at all", () => {
    const recorder = createRecorder({
      contextSeen: () => true,
      captureCaller: () => 0,
      isNested: () => false,
    });
    const hooks = hooksOf(recorder);
    for (let i = 1; i <= 50; i++) hooks.alloc(i * 16, 8, 2n);
    assert.equal(recorder.blocks(49), undefined);
    assert.equal(recorder.blocks(50)!.count, 50);
    new Reader().take(recorder);
  });
});
