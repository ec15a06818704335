// Shows that the answers of expectNoLeaks do not vary: repeats tests of which the right answer is known, clean and
// leaking ones in turn, and counts the wrong ones.
//
//   npm run repeat:leaks -- 1000      each; 1000 unless given. Reads dist/: heaps are small without a compiler in them.
//
// The collector and the engine's optimiser are at work meanwhile, as they are in a suite of tests: wrappers that only a
// FinalizationRegistry releases, instances that come and go, caches and garbage of changing size.
import { readFileSync } from "node:fs";
import { expectNoLeaks, LeakError } from "../dist/testing/index.js";

const repeats = Number(process.argv[2] ?? 1000);
const bytes = readFileSync(new URL("../test/fixtures/heaps/c.wasm", import.meta.url));
const module = new WebAssembly.Module(bytes);

function newHeap() {
  const heap = new WebAssembly.Instance(module, {}).exports;
  heap._initialize();
  return heap;
}

const heap = newHeap();
const registry = new FinalizationRegistry((address) => heap.free(address));
let garbage = [];
let random = 1;
/** xorshift32 (Marsaglia, Journal of Statistical Software 8, 2003): every repeat differs, every call of this is the same. */
function below(limit) {
  random ^= random << 13;
  random ^= random >>> 17;
  random ^= random << 5;
  return (random >>> 0) % limit;
}

function wrapper(size) {
  const address = heap.malloc(size);
  const made = { address };
  registry.register(made, address);
  return made;
}

function noise() {
  garbage = Array.from({ length: below(2000) }, () => ({ text: "x".repeat(below(50)) }));
  for (let i = below(5); i > 0; i--) wrapper(8 + below(200));
  for (let i = below(20); i > 0; i--) heap.free(heap.malloc(1 + below(5000)));
}

/** By name: makes the function to test, and says whether it leaks. */
const cases = [
  ["frees everything", false, () => noise],
  [
    "a cache of three",
    false,
    () => {
      const cache = new Map();
      return () => {
        noise();
        const key = below(3);
        if (!cache.has(key)) cache.set(key, heap.malloc(64));
      };
    },
  ],
  [
    "a list that doubles",
    false,
    () => {
      let [room, length, list] = [4, 0, heap.malloc(16)];
      return () => {
        noise();
        if (++length > room) list = heap.realloc(list, 4 * (room *= 2));
      };
    },
  ],
  [
    "an instance that nothing holds",
    false,
    () => async () => {
      newHeap().malloc(100);
      await null;
    },
  ],
  [
    "a block per run",
    true,
    () => () => {
      noise();
      heap.malloc(8);
    },
  ],
  [
    "a held wrapper per run, after an await",
    true,
    () => {
      const held = [];
      return async () => {
        noise();
        await null;
        held.push(wrapper(24));
      };
    },
  ],
];

const wrong = new Map();
const start = Date.now();
for (let i = 0; i < repeats; i++) {
  // As many clean ones as leaking ones.
  for (const leaking of [false, true]) {
    const candidates = cases.filter(([, leaks]) => leaks === leaking);
    const [name, leaks, make] = candidates[i % candidates.length];
    const found = await expectNoLeaks(make()).then(
      () => false,
      (error) => {
        if (!(error instanceof LeakError)) throw error;
        return true;
      },
    );
    if (found !== leaks) wrong.set(name, (wrong.get(name) ?? 0) + 1);
  }
}
const errors = [...wrong.values()].reduce((sum, count) => sum + count, 0);
console.log(
  `${repeats} clean and ${repeats} leaking tests, ${errors} wrong answers, ${Date.now() - start} ms`,
);
for (const [name, count] of wrong) console.log(`  ${name}: ${count} wrong`);
if (garbage.length < 0 || errors > 0) process.exitCode = 1;
