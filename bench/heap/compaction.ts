/** How fast compaction moves blocks, how tight it leaves a heap, and how well steps keep to their budget. */
import { Heap, LinearMemory, type MovableBlock } from "../../src/index.js";
import { Random } from "../../test/recorder/random.js";
import { median } from "../statistics.js";
import { table } from "../tables.js";

interface Shape {
  name: string;
  blocks: number;
  least: number;
  most: number;
  /** Share of blocks that don't move. */
  ordinary?: number;
}

const shapes: Shape[] = [
  { name: "16 to 128 bytes", blocks: 300_000, least: 16, most: 128 },
  { name: "16 to 1,024 bytes", blocks: 100_000, least: 16, most: 1024 },
  { name: "1 to 64 KiB", blocks: 2000, least: 1024, most: 65_536 },
  { name: "16 to 1,024 bytes, a tenth of them fixed", blocks: 100_000, least: 16, most: 1024, ordinary: 0.1 },
];

const rounds = 9;

/** A heap of which half of the movable blocks were released, by chance. */
function fragmented({ blocks, least, most, ordinary = 0 }: Shape, seed: number): Heap {
  const random = new Random(seed);
  const heap = Heap.create(new LinearMemory({ initial: 1, maximum: 2500 }));
  const movable: MovableBlock[] = [];
  for (let i = 0; i < blocks; i++) {
    const size = least + random.below(most - least + 1);
    if (random.chance(ordinary)) heap.allocate(size);
    else movable.push(heap.movable(size));
  }
  for (const block of movable) if (random.chance(0.5)) block.release();
  return heap;
}

const overLive = (heap: Heap) => heap.stats().span / heap.stats().used;

/** Free bytes below the last movable block, over all that is used: what compaction could still gain. */
function leftBehind(heap: Heap): number {
  let [free, below] = [0, 0];
  for (const { used, movable, size } of heap.walk()) {
    if (!used) free += size;
    if (movable !== undefined) below = free;
  }
  return below / heap.stats().used;
}

/** Of 100 steps one took longer. */
function late(steps: readonly number[]): number {
  const sorted = [...steps].sort((a, b) => a - b);
  return sorted[Math.floor(0.99 * (sorted.length - 1))];
}

export function compaction(): string {
  const rows = shapes.map((shape) => {
    const speeds: number[] = [];
    const steps: number[] = [];
    const processor: number[] = [];
    let before = 0;
    let after = 0;
    let left = 0;
    for (let round = -2; round < rounds; round++) {
      const heap = fragmented(shape, round + 10);
      before = overLive(heap);
      const start = performance.now();
      const { bytes } = heap.compact();
      const time = performance.now() - start;
      if (round >= 0) speeds.push(bytes / 1e3 / time);
      after = overLive(heap);
      left = leftBehind(heap);

      const inSteps = fragmented(shape, round + 10);
      for (let done = false; !done; ) {
        const from = performance.now();
        const before = process.cpuUsage();
        ({ done } = inSteps.compact({ budgetMs: 1 }));
        const { user, system } = process.cpuUsage(before);
        if (round < 0) continue;
        steps.push(performance.now() - from);
        processor.push((user + system) / 1000);
      }
    }
    const share = `${(100 * left).toFixed(2)} %`;
    return [
      shape.name,
      median(speeds).toFixed(0),
      before.toFixed(2),
      after.toFixed(3),
      share,
      median(steps).toFixed(2),
      late(steps).toFixed(2),
      late(processor).toFixed(2),
    ];
  });
  const head = [
    "blocks, half of them released",
    "MB/s",
    "span over live before",
    "after",
    "free below the last movable",
    "step of 1 ms: median",
    "99 %",
    "99 % of their processor time",
  ];
  return table(head, rows);
}
