/**
 * Traces of allocations and releases, from seeds. Those with names of known benchmarks are made from their descriptions,
 * for one thread:
 *
 * - larson: P. Larson, M. Krishnan, "Memory allocation for long-running server applications", ISMM 1998: a server whose
 *   threads release blocks at random among those that others allocated.
 * - sh6bench: MicroQuill's SmartHeap benchmark 6: batches of blocks of mostly small sizes, released partly in the order of
 *   allocation and partly in the reverse, while some stay until later.
 * - alloc-test: S. Ignatchenko, D. Antonov, "Testing memory allocators", ACCU Overload 2018: slots chosen by a Pareto
 *   distribution, sizes by one that halves with each power of two.
 * - glibc-simple: glibc's bench-malloc-simple: blocks of one size, released in the order of allocation.
 * - mstress: D. Leijen's stress test of mimalloc: blocks whose sizes are mostly small and rarely large; some outlive the
 *   round, others are swapped at random.
 */
import { Random } from "../../test/recorder/random.js";

export interface Trace {
  name: string;
  /** Slots that hold blocks. */
  slots: number;
  /** Pairs of slot and size; size -1 releases. */
  before: Int32Array;
  timed: Int32Array;
  after: Int32Array;
  /** Most bytes that were live. */
  peak: number;
  /** Allowed span over the peak. */
  span: number;
}

const release = -1;

class Writer {
  #ops: number[] = [];
  readonly #parts: Int32Array[] = [];
  readonly #sizes = new Map<number, number>();
  #live = 0;
  #peak = 0;
  #slots = 0;

  has(slot: number): boolean {
    return this.#sizes.has(slot);
  }

  allocate(slot: number, size: number): void {
    if (this.has(slot)) this.release(slot);
    this.#ops.push(slot, size);
    this.#sizes.set(slot, size);
    this.#slots = Math.max(this.#slots, slot + 1);
    this.#live += size;
    this.#peak = Math.max(this.#peak, this.#live);
  }

  release(slot: number): void {
    this.#ops.push(slot, release);
    this.#live -= this.#sizes.get(slot)!;
    this.#sizes.delete(slot);
  }

  /** What was written up to here is a part of its own. */
  part(): void {
    this.#parts.push(Int32Array.from(this.#ops));
    this.#ops = [];
  }

  end(name: string, span: number): Trace {
    this.part();
    for (const slot of [...this.#sizes.keys()]) this.release(slot);
    this.part();
    const [before, timed, after] = this.#parts;
    return { name, slots: this.#slots, before, timed, after, peak: this.#peak, span };
  }
}

function random(live: number, operations: number): Trace {
  const seed = new Random(1);
  const writer = new Writer();
  const size = () => 16 + seed.below(1009);
  for (let slot = 0; slot < live; slot++) writer.allocate(slot, size());
  // long enough that the heap is as it stays
  for (let i = 0; i < 2 * live; i++) writer.allocate(seed.below(live), size());
  writer.part();
  for (let i = 0; i < operations; i++) writer.allocate(seed.below(live), size());
  return writer.end(`random, ${live.toLocaleString("en")} live`, 1.15);
}

function lifo(operations: number): Trace {
  const seed = new Random(2);
  const writer = new Writer();
  writer.part();
  for (let done = 0; done < operations; ) {
    const depth = 1 + seed.below(2000);
    for (let slot = 0; slot < depth; slot++) writer.allocate(slot, 16 + seed.below(113));
    for (let slot = depth; slot-- > 0; ) writer.release(slot);
    done += depth;
  }
  return writer.end("LIFO", 1.15);
}

function phase(): Trace {
  const seed = new Random(3);
  const writer = new Writer();
  const bytes = 16 << 20;
  let slots: number[] = [];
  let next = 0;
  let live = 0;
  const sizes = new Map<number, number>();
  writer.part();
  for (let round = 0, largest = 128; round < 8; round++, largest *= 2) {
    while (live < bytes) {
      const size = largest / 4 + seed.below((largest * 3) / 4);
      writer.allocate(next, size);
      sizes.set(next, size);
      slots.push(next++);
      live += size;
    }
    slots = slots.filter((slot) => {
      if (seed.chance(0.1)) return true;
      writer.release(slot);
      live -= sizes.get(slot)!;
      return false;
    });
  }
  return writer.end("phase shift", 1.25);
}

function larson(operations: number): Trace {
  const seed = new Random(4);
  const writer = new Writer();
  const [threads, each] = [8, 1000];
  const size = () => 10 + seed.below(491);
  for (let slot = 0; slot < threads * each; slot++) writer.allocate(slot, size());
  writer.part();
  for (let i = 0, owner = 0; i < operations; i++) {
    // a thread ends now and then, and leaves its blocks to a new one
    if (i % 5000 === 0) owner = seed.below(threads);
    writer.allocate(owner * each + seed.below(each), size());
  }
  return writer.end("larson", 1.15);
}

function sh6bench(operations: number): Trace {
  const seed = new Random(5);
  const writer = new Writer();
  const batch = 1000;
  const kept = 20;
  writer.part();
  for (let done = 0, round = 0; done < operations; round++, done += batch) {
    const base = (round % kept) * batch;
    for (let i = 0; i < batch; i++) {
      const size = seed.chance(0.9) ? 1 + seed.below(100) : 1 + seed.below(1000);
      writer.allocate(base + i, size);
    }
    for (let i = 0; i < batch; i += 3) writer.release(base + i);
    for (let i = batch - 1; i >= 0; i--) if (i % 3 === 1) writer.release(base + i);
  }
  return writer.end("sh6bench", 1.15);
}

function allocTest(operations: number): Trace {
  const seed = new Random(6);
  const writer = new Writer();
  const slots = 20_000;
  const size = () => {
    const bits = 3 + Math.min(Math.floor(-Math.log2(1 - seed.u32() / 2 ** 32)), 13);
    return 2 ** bits + seed.below(2 ** bits);
  };
  const pareto = () => Math.floor(slots * (seed.u32() / 2 ** 32) ** 4);
  for (let slot = 0; slot < slots; slot++) writer.allocate(slot, size());
  writer.part();
  for (let i = 0; i < operations; i++) {
    const slot = pareto();
    if (writer.has(slot)) writer.release(slot);
    else writer.allocate(slot, size());
  }
  return writer.end("alloc-test", 1.15);
}

function glibcSimple(operations: number): Trace {
  const writer = new Writer();
  writer.part();
  const blocks = 400;
  for (let done = 0; done < operations; done += blocks) {
    for (let slot = 0; slot < blocks; slot++) writer.allocate(slot, 128);
    for (let slot = 0; slot < blocks; slot++) writer.release(slot);
  }
  return writer.end("glibc-simple", 1.15);
}

function mstress(operations: number): Trace {
  const seed = new Random(7);
  const writer = new Writer();
  const [retained, round] = [10_000, 1000];
  const size = () => {
    if (seed.chance(0.0005)) return 64 * (1 + seed.below(4096));
    if (seed.chance(0.01)) return 8 * (1 + seed.below(2048));
    return 8 * (1 + seed.below(63));
  };
  for (let slot = 0; slot < retained; slot++) writer.allocate(slot, size());
  writer.part();
  for (let done = 0; done < operations; done += round) {
    for (let i = 0; i < round; i++) writer.allocate(retained + i, size());
    for (let i = 0; i < round / 4; i++) writer.allocate(seed.below(retained), size());
    for (let i = 0; i < round; i++) if (writer.has(retained + i)) writer.release(retained + i);
  }
  return writer.end("mstress", 1.15);
}

/** Makes the traces whose names contain `filter`. */
export function traces(filter: string): Trace[] {
  const makers: Record<string, () => Trace> = {
    "random, 2,000 live": () => random(2000, 150_000),
    "random, 50,000 live": () => random(50_000, 150_000),
    LIFO: () => lifo(150_000),
    "phase shift": phase,
    larson: () => larson(150_000),
    sh6bench: () => sh6bench(150_000),
    "alloc-test": () => allocTest(300_000),
    "glibc-simple": () => glibcSimple(150_000),
    mstress: () => mstress(120_000),
  };
  return Object.entries(makers)
    .filter(([name]) => name.includes(filter))
    .map(([, make]) => make());
}
