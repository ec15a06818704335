// Run by collection.test.ts with --expose-gc: one way of holding a memory or not, and what is alive afterwards.
import { setImmediate as turn } from "node:timers/promises";
import { Budget, LinearMemory, liveMemories } from "../../src/index.js";
import { wat } from "./modules.js";

declare const gc: () => void;

/** What the rest of the program still holds. */
const held: unknown[] = [];
let instances: WeakRef<object>[] = [];

/** Collects garbage until nothing more can be expected to go. */
async function collect(): Promise<void> {
  for (let i = 0; i < 6; i++) {
    await turn();
    gc();
  }
}

const module = await wat(
  `(module (memory (export "memory") 4 8) (func (export "f") (result i32) (memory.size)))`,
);

function wrapped(): { memory: LinearMemory; instance: WebAssembly.Instance } {
  const instance = new WebAssembly.Instance(module);
  instances.push(new WeakRef(instance));
  return { memory: LinearMemory.wrap(instance), instance };
}

/** Each makes memories of 4 pages, and may put something into `held`. */
const ways: Record<string, () => void> = {
  nothing: () => void wrapped(),
  "nothing, after use": () => {
    const { memory } = wrapped();
    memory.u8.fill(1);
    memory.onGrow(() => {}).dispose();
    memory.grow(1);
    memory.writeCString(0, memory.dump(0, 64));
  },
  "nothing, with a listener that holds the memory": () => {
    const { memory } = wrapped();
    memory.onGrow(() => memory.u8);
  },
  "nothing, shared": () => {
    new LinearMemory({ initial: 4, maximum: 8, shared: true }).grow(1);
  },
  "nothing, made here": () => {
    const memory = new LinearMemory({ initial: 4, maximum: 8 });
    instances.push(new WeakRef(memory.wasm));
  },
  "the budget": () => {
    const budget = new Budget({ pages: 100 });
    new LinearMemory({ initial: 4, budget });
    held.push(budget);
  },
  "the list of live memories": () => {
    wrapped();
    held.push(liveMemories());
  },
  // One that nobody has read yet holds the functions and objects of its stack, in V8.
  "an error with its stack read": () => {
    const { memory } = wrapped();
    try {
      memory.readU8(-1);
    } catch (error) {
      held.push(error, (error as Error).stack);
    }
  },
  "a copy": () => void held.push(wrapped().memory.copyBytes(0, 100)),
  "the LinearMemory": () => void held.push(wrapped().memory),
  "the WebAssembly.Memory": () => void held.push(wrapped().memory.wasm),
  "the instance": () => void held.push(wrapped().instance),
  "an export": () => void held.push(wrapped().instance.exports.f),
  "a view": () => void held.push(wrapped().memory.u8),
  "a view of a part": () => void held.push(wrapped().memory.viewBytes(10, 10)),
  "a view made by hand": () => void held.push(new Float64Array(wrapped().memory.wasm.buffer)),
  "a view of a memory made here": () => void held.push(new LinearMemory({ initial: 4 }).i32),
  "a view of a shared memory": () => {
    held.push(new LinearMemory({ initial: 4, maximum: 8, shared: true }).u8);
  },
  "a closure": () => {
    const { memory } = wrapped();
    held.push(() => memory.pages);
  },
  "a subscription": () => void held.push(wrapped().memory.onGrow(() => {})),
};

const report: Record<string, { live: number; pages: number; instances: number; madeAt: string }> = {};
for (const [name, make] of Object.entries(ways)) {
  make();
  await collect();
  const live = liveMemories();
  report[name] = {
    live: live.length,
    pages: live[0]?.pages ?? 0,
    instances: instances.filter((reference) => reference.deref() !== undefined).length,
    madeAt: live[0]?.madeAt ?? "",
  };
  held.length = 0;
  instances = [];
  await collect();
  if (liveMemories().length > 0) throw new Error(`${name}: alive although nothing holds it`);
}

// Many, with pauses: what is dropped goes while the program runs.
let most = 0;
for (let i = 0; i < 300; i++) {
  new LinearMemory({ initial: 1, maximum: 2 }).u8[0] = 1;
  if (i % 30 === 0) await collect();
  most = Math.max(most, liveMemories().length);
}
await collect();
console.log(JSON.stringify({ report, most, left: liveMemories().length }));
