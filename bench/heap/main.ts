/**
 * `npm run bench heap [trace]`: the heap against other allocators driven from JavaScript; `npm run bench heap compaction`:
 * movable blocks alone; `npm run bench heap placement`: what spans rules of placement have. Environment: MIMALLOC, folders of
 * mimalloc's sources, separated as in PATH, for where Emscripten doesn't have it. All variants in one process, in turn; nanoseconds of one allocation or release, without the loop
 * itself: a trace is timed in slices, and of each slice the fastest round counts. Span: from the lowest to the highest byte given out, over the most bytes that were
 * asked for at one time.
 */
import { ensurePackages } from "../packages.js";
import { circumstances, writeResults } from "../results.js";
import { table } from "../tables.js";
import { type Allocator, allocators, heap, type Kind } from "./allocators.js";
import { compaction } from "./compaction.js";
import { placement } from "./placement.js";
import { type Trace, traces } from "./traces.js";

const rounds = 15;
/** Words of a trace that are timed together: about 0.1 ms, so that most of them aren't interrupted in some round. */
const sliceLength = 4000;
const warmUp = 5;

type Run = (ops: Int32Array, places: Float64Array, from: number, to: number, touch: boolean) => void;

let loops = 0;

/** A loop of its own for each variant: V8 compiles it for that allocator alone. The same text twice would be one loop. */
function loopOf({ allocate, free, words }: Allocator): Run {
  const make = new Function(
    "allocate",
    "free",
    "words",
    `// ${loops++}
    return (ops, places, from, to, touch) => {
      for (let i = from; i < to; i += 2) {
        const slot = ops[i];
        const size = ops[i + 1];
        if (size < 0) {
          free(places[slot]);
          continue;
        }
        const address = allocate(size);
        places[slot] = address;
        if (touch) {
          const memory = words();
          const end = (address + size) >>> 2;
          for (let word = address >>> 2; word < end; word += 16) memory[word] = i;
        }
      }
    };`,
  );
  return make(allocate, free, words) as Run;
}

/** What is left when nothing is allocated: addresses are those that the heap gave out once, so that as much is touched. */
function nothing(trace: Trace): Kind {
  return {
    name: "",
    make() {
      const addresses: number[] = [];
      const allocator = heap.make();
      const places = new Float64Array(trace.slots);
      for (const ops of [trace.before, trace.timed, trace.after])
        play(allocator, ops, places, (address) => addresses.push(address));
      const all = Uint32Array.from(addresses);
      const memory = new Uint32Array(allocator.words().length);
      let next = 0;
      const allocate = (): number => {
        const address = all[next++];
        if (next === all.length) next = 0;
        return address;
      };
      return { allocate, free() {}, words: () => memory };
    },
  };
}

/** Plays a part of a trace, and tells what was given out. */
function play(
  allocator: Allocator,
  ops: Int32Array,
  places: Float64Array,
  gaveOut: (address: number, size: number) => void,
): void {
  for (let i = 0; i < ops.length; i += 2) {
    const [slot, size] = [ops[i], ops[i + 1]];
    if (size < 0) {
      allocator.free(places[slot]);
      continue;
    }
    const address = allocator.allocate(size);
    if (address === 0) throw new Error(`no ${size} bytes`);
    places[slot] = address;
    gaveOut(address, size);
  }
}

interface Figures {
  time: number;
  span: number;
  memory: number;
}

/** Runs a trace once on a fresh allocator and looks at the addresses. */
function layOut(kind: Kind, trace: Trace): { span: number; memory: number } {
  const allocator = kind.make();
  const places = new Float64Array(trace.slots);
  let lowest = Number.POSITIVE_INFINITY;
  let highest = 0;
  for (const ops of [trace.before, trace.timed]) {
    play(allocator, ops, places, (address, size) => {
      lowest = Math.min(lowest, address);
      highest = Math.max(highest, address + size);
    });
  }
  return { span: (highest - lowest) / trace.peak, memory: allocator.words().byteLength / trace.peak };
}

function measure(kinds: readonly Kind[], trace: Trace, touch: boolean): Figures[] {
  const all = [nothing(trace), ...kinds];
  const runs = all.map((kind) => ({ run: loopOf(kind.make()), places: new Float64Array(trace.slots) }));
  const times = all.map((): number[] => []);
  const shares = all.map(({ share }) => share?.(trace.before.length / 2) ?? 1);
  for (let round = -warmUp; round < rounds; round++) {
    for (let i = 0; i < all.length; i++) {
      const turn = (i + round + warmUp) % all.length;
      if (shares[turn] < 1) continue;
      const { run, places } = runs[turn];
      run(trace.before, places, 0, trace.before.length, false);
      for (let slice = 0; slice * sliceLength < trace.timed.length; slice++) {
        const from = slice * sliceLength;
        const to = Math.min(from + sliceLength, trace.timed.length);
        const start = performance.now();
        run(trace.timed, places, from, to, touch);
        const time = performance.now() - start;
        if (round >= 0) times[turn][slice] = Math.min(times[turn][slice] ?? time, time);
      }
      run(trace.after, places, 0, trace.after.length, false);
    }
  }
  return kinds.map((kind, i) => {
    const sum = (of: readonly number[]) => of.reduce((all, time) => all + time, 0);
    const own = ((sum(times[i + 1]) - sum(times[0])) * 1e6 * 2) / trace.timed.length;
    if (shares[i + 1] < 1)
      return { time: slow(kind, trace, shares[i + 1]), span: Number.NaN, memory: Number.NaN };
    return { time: own, ...layOut(kind, trace) };
  });
}

/** Once, on a share of the operations. */
function slow(kind: Kind, trace: Trace, share: number): number {
  const run = loopOf(kind.make());
  const places = new Float64Array(trace.slots);
  // filling alone would take minutes: the blocks that are there suffice
  const filling = Math.min(trace.before.length, 2 * trace.slots);
  if (filling * share > 2000) return Number.NaN;
  run(trace.before, places, 0, filling, false);
  const count = 2 * Math.floor((trace.timed.length * share) / 2);
  const start = performance.now();
  run(trace.timed, places, 0, count, false);
  return ((performance.now() - start) * 1e6 * 2) / count;
}

const args = process.argv.slice(2);
const [filter = ""] = args.filter((argument) => !argument.startsWith("--"));

if ("compaction".includes(filter)) {
  const text = `## Heap: compaction

Bytes of blocks that were moved, with their headers, over the time of the whole compaction. Steps with a budget of 1 ms: where other
programs take the processor away a step ends late; its processor time shows what the step itself did.

${compaction()}

Measured ${circumstances("npm run bench heap compaction")}`;
  process.stdout.write(`${text}\n\n`);
  if (args.includes("--write")) writeResults("heap compaction", text);
  if (filter === "compaction") process.exit(0);
}

if (filter !== "" && "placement".includes(filter)) {
  const text = `## Heap: placement

Span over the most bytes asked for at one time, of rules of placement alone, see bench/heap/placement.ts.

${placement()}

Measured ${circumstances("npm run bench heap placement")}`;
  process.stdout.write(`${text}\n`);
  if (args.includes("--write")) writeResults("heap placement", text);
  process.exit(0);
}

ensurePackages();
const kinds = await allocators();
const wanted = (kind: Kind, peer: string | undefined) => peer === undefined || kind.name.includes(peer);
const peer = args.find((argument) => argument.startsWith("--only="))?.slice(7);
const chosen = kinds.filter((kind) => wanted(kind, peer));

const figure = (value: number, digits: number) => (Number.isNaN(value) ? "" : value.toFixed(digits));
const rows: string[][] = [];
for (const trace of traces(filter)) {
  const plain = measure(chosen, trace, false);
  const touched = measure(chosen, trace, true);
  chosen.forEach(({ name }, i) => {
    rows.push([
      i === 0 ? trace.name : "…",
      name,
      figure(plain[i].time, 1),
      figure(touched[i].time, 1),
      figure(plain[i].span, 2),
      figure(plain[i].memory, 2),
    ]);
  });
}
const result = table(["trace", "allocator", "ns", "ns, touched", "span", "memory"], rows);
const text = `## Heap

Nanoseconds of an allocation or a release, without the loop: of each 2,000 the fastest of 15 rounds. Touched: a word of
every 64 bytes is written. Span and the whole memory over the most bytes asked for at one time. Modules are called from JavaScript, as the heap is.

${result}

Measured ${circumstances("npm run bench heap")}`;
process.stdout.write(`${text}\n`);
if (args.includes("--write")) writeResults("heap", text);
process.exit(0);
