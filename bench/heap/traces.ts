/**
 * Traces of allocations and releases, from seeds. Those with names of known programs do what these do, as mimalloc-bench
 * (github.com/daanx/mimalloc-bench) runs them, with one thread and pointers of 4 bytes. Tables that a program takes from the
 * allocator are part of its trace.
 *
 * - larson: P. Larson, M. Krishnan, "Memory allocation for long-running server applications", ISMM 1998. 5,000 blocks of 8 to
 *   999 bytes in random order; four times as many replacements of any of them are the warm-up. Measured are 150,000 replacements;
 *   the program goes on for 5 seconds.
 * - sh6bench: MicroQuill's SmartHeap benchmark 6. A table of 10,000 pointers is filled with blocks of sizes up to 1,000 that
 *   follow from each other by halving and by steps of a half, smaller ones in longer runs. When it is full the blocks before a fifth of it
 *   are released in the order of allocation, those behind it in the reverse; the fifth is the next one each time. 8 rounds of the
 *   sizes instead of 10,000. The program forgets a fifth that begins the table; here it is kept like the others.
 * - alloc-test: S. Ignatchenko, D. Antonov, "Testing memory allocators", ACCU Overload 2018. A random half of 2^18 slots is
 *   filled; then a block is released or allocated in slots that are chosen by "80 % in 20 %", six times nested. Half of the blocks have
 *   5 to 8 bytes, a quarter 9 to 16, and so on up to 1,024. 1,300,000 steps instead of 100 million, of which the last 300,000 are
 *   measured.
 * - glibc-simple: glibc's bench-malloc-simple: 25, 100, 400, then 1,600 blocks of one size are allocated and released in the same
 *   order; sizes are 16, 32 and 64. 16,000 blocks for each instead of 2 million.
 * - mstress: D. Leijen's stress test of mimalloc, all 25 iterations: blocks of 1 to 64 words, rarely 100, 1,000 or 10,000 times as
 *   large; a third are kept until the iteration ends, others released by chance, or exchanged with those that outlive it. Its own random numbers.
 */
import { lowestBit } from "../../src/memory/heap/bits.js";
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
/** Bytes of a pointer, or a word, in a linear memory. */
const POINTER = 4;

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
    for (const slot of [...this.#sizes.keys()].sort((a, b) => a - b)) this.release(slot);
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
  const blocks = 5000;
  const size = () => 8 + seed.below(992);
  for (const slot of seed.shuffle(Int32Array.from({ length: blocks }, (_, slot) => slot)))
    writer.allocate(slot, size());
  for (let i = 0; i < 4 * blocks; i++) writer.allocate(seed.below(blocks), size());
  writer.part();
  for (let i = 0; i < operations; i++) writer.allocate(seed.below(blocks), size());
  return writer.end("larson", 1.15);
}

/** Sizes of one round of sh6bench, in their order. */
function* sh6Sizes(): Generator<number> {
  for (let base = 1; base < 1000; base = Math.floor((base * 3) / 2) + 1) {
    for (let size = base; size > 0; size >>= 1) {
      for (let times = size < 100 ? 250 : 50; times > 0; times--) yield size;
    }
  }
}

function sh6bench(repeats: number): Trace {
  const writer = new Writer();
  const count = 10_000;
  const table = count;
  writer.part();
  writer.allocate(table, count * POINTER);
  // slots from `kept` to `end` still have their blocks while those around them are filled again
  let [at, kept, end] = [0, count, count];
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const size of sh6Sizes()) {
      writer.allocate(at++, size);
      if (at === kept) at = end;
      if (at < count) continue;
      kept = end === count ? 0 : end;
      end = kept + count / 5;
      for (let slot = 0; slot < kept; slot++) writer.release(slot);
      for (let slot = count; slot-- > end; ) writer.release(slot);
      at = kept === 0 ? end : 0;
    }
  }
  return writer.end("sh6bench", 1.15);
}

/** Six times nested, 80 % of the choices go to 20 % of the items: a part for each number of times that a choice was one of the 20 %. */
function paretoParts(items: number): { share: number; from: number; count: number }[] {
  const [nested, often] = [6, 0.8];
  let [ways, from] = [1, 0];
  const parts = [];
  for (let rest = 0; rest <= nested; rest++) {
    const share = ways * often ** (nested - rest) * (1 - often) ** rest;
    const fraction = ways * (1 - often) ** (nested - rest) * often ** rest;
    const count = rest < nested ? Math.floor(items * fraction) : items - from;
    parts.push({ share, from, count });
    from += count;
    ways = (ways * (nested - rest)) / (rest + 1);
  }
  return parts;
}

function allocTest(warmUp: number, operations: number): Trace {
  const seed = new Random(6);
  const writer = new Writer();
  const slots = 2 ** 18;
  const table = slots;
  const parts = paretoParts(slots);
  const size = () => {
    const half = 4 << lowestBit(1 + seed.below(128));
    return half + 1 + seed.below(half);
  };
  const choose = () => {
    let chance = seed.u32() / 2 ** 32;
    const part = parts.find(({ share }) => (chance -= share) < 0) ?? parts[parts.length - 1];
    return part.from + seed.below(part.count);
  };
  const step = () => {
    const slot = choose();
    if (writer.has(slot)) writer.release(slot);
    else writer.allocate(slot, size());
  };
  // each entry is a pointer and two numbers
  writer.allocate(table, slots * (POINTER + 8));
  for (let slot = 0; slot < slots; slot++) if (seed.chance(0.5)) writer.allocate(slot, size());
  for (let i = 0; i < warmUp; i++) step();
  writer.part();
  for (let i = 0; i < operations; i++) step();
  return writer.end("alloc-test", 1.15);
}

function glibcSimple(operations: number): Trace {
  const writer = new Writer();
  writer.part();
  const table = 1600;
  for (const size of [16, 32, 64]) {
    writer.allocate(table, table * POINTER);
    for (const blocks of [25, 100, 400, 1600]) {
      for (let done = 0; done < operations; done += blocks) {
        for (let slot = 0; slot < blocks; slot++) writer.allocate(slot, size);
        for (let slot = 0; slot < blocks; slot++) writer.release(slot);
      }
    }
    writer.release(table);
  }
  return writer.end("glibc-simple", 1.15);
}

/** The generator that mstress has on machines of 32 bits: C. Wellons, "Prospecting for hash functions", 2018. */
function* wellons(seed: number): Generator<number, never> {
  for (let x = seed; ; ) {
    x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
    x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
    x ^= x >>> 16;
    yield x >>> 0;
  }
}

function mstress(iterations: number): Trace {
  const writer = new Writer();
  let numbers = wellons(0);
  const below = (bound: number) => numbers.next().value % bound;
  /** Its chances are of a hundred, and that which was drawn counts too. */
  const chance = (percent: number) => below(100) <= percent;
  const words = (powers: number) => {
    let words = 1 << below(powers);
    if (chance(1)) words *= chance(1) ? 10_000 : chance(10) ? 1000 : 100;
    return (words === 40 ? 41 : words) * POINTER;
  };
  const unused: number[] = [];
  let next = 0;
  const allocate = (bytes: number): number => {
    const slot = unused.pop() ?? next++;
    writer.allocate(slot, bytes);
    return slot;
  };
  const release = (slot: number | undefined) => {
    if (slot === undefined) return;
    writer.release(slot);
    unused.push(slot);
  };
  const transfer: (number | undefined)[] = new Array(1000);
  const ends = wellons(43 * 43);
  writer.part();
  for (let iteration = 1; iteration <= iterations; iteration++) {
    // each iteration is a new thread, which begins with the same number
    numbers = wellons(43);
    let allocations = 5000;
    let keep = allocations / 2;
    const tables = [allocate(keep * POINTER)];
    const kept: number[] = [];
    const blocks: (number | undefined)[] = [];
    while (allocations > 0 || keep > 0) {
      if (keep === 0 || (chance(50) && allocations > 0)) {
        allocations--;
        if (blocks.length === 0) tables.push(allocate(100_000 * POINTER));
        blocks.push(allocate(words(5)));
      } else {
        keep--;
        kept.push(allocate(words(7)));
      }
      if (chance(66) && blocks.length > 0) {
        const index = below(blocks.length);
        release(blocks[index]);
        blocks[index] = undefined;
      }
      if (chance(25) && blocks.length > 0) {
        const [index, other] = [below(blocks.length), below(transfer.length)];
        [blocks[index], transfer[other]] = [transfer[other], blocks[index]];
      }
    }
    for (const slot of [...kept, ...blocks, ...tables]) release(slot);
    // half of what was exchanged outlives the iteration
    numbers = ends;
    for (let i = 0; i < transfer.length; i++) {
      if (!chance(50) && iteration < iterations) continue;
      release(transfer[i]);
      transfer[i] = undefined;
    }
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
    sh6bench: () => sh6bench(8),
    "alloc-test": () => allocTest(1_000_000, 300_000),
    "glibc-simple": () => glibcSimple(16_000),
    mstress: () => mstress(25),
  };
  return Object.entries(makers)
    .filter(([name]) => name.includes(filter))
    .map(([, make]) => make());
}
