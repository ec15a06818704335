// A cap in pages over several memories.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Budget,
  instantiateIsolated,
  LinearMemory,
  LinmemRangeError,
  LinmemTypeError,
  type PressureEvent,
} from "../../src/index.js";
import { wat } from "./modules.js";
import { assemble } from "./support/assemble.js";

const refused = (error: unknown) => error instanceof LinmemRangeError && error.code === "ERR_LINMEM_BUDGET";

test("growth beyond the cap is refused, and nothing changes", () => {
  const budget = new Budget({ pages: 10 });
  const a = new LinearMemory({ initial: 2, maximum: 100, budget });
  const b = new LinearMemory({ initial: 3, maximum: 100, budget });
  assert.deepEqual([budget.limit, budget.used, budget.available], [10, 5, 5]);
  a.grow(4);
  assert.equal(budget.used, 9);
  const { buffer } = b;
  assert.throws(() => b.grow(2), /2 more pages exceed the budget: 9 of 10 pages are used/);
  assert.equal(b.buffer, buffer);
  assert.equal(b.grow(1), 3);
  assert.throws(() => a.grow(1), refused);
  assert.throws(() => new LinearMemory({ initial: 1, budget }), refused);
  assert.equal(new LinearMemory({ initial: 0, budget }).pages, 0);
  try {
    a.grow(1);
  } catch (error) {
    assert.ok(error instanceof LinmemRangeError);
    assert.deepEqual(error.numbers, { wanted: 1, used: 10, limit: 10 });
  }
});

test("the engine itself keeps one memory from exceeding the cap alone", async () => {
  const budget = new Budget({ pages: 10 });
  const first = new LinearMemory({ initial: 4, budget });
  assert.equal(first.maximum, 10);
  const second = new LinearMemory({ initial: 1, maximum: 50, budget });
  assert.equal(second.maximum, 10);
  assert.equal(new LinearMemory({ initial: 1, maximum: 3, budget }).maximum, 3);
  assert.equal(new LinearMemory({ initial: 1, budget: new Budget({ pages: 1_000_000 }) }).maximum, undefined);
  assert.equal(
    new LinearMemory({ initial: 1, shared: true, budget }).maximum,
    10,
    "shared memories get one too",
  );
  const module = await wat(`(module (memory (import "" "m") 1)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))`);
  const { exports } = new WebAssembly.Instance(module, { "": { m: second.wasm } });
  assert.equal((exports.grow as (pages: number) => number)(10), -1);
  assert.equal((exports.grow as (pages: number) => number)(9), 1);
});

test("JavaScript that grows the WebAssembly.Memory is refused too", () => {
  const budget = new Budget({ pages: 4 });
  const wasm = new WebAssembly.Memory({ initial: 1, maximum: 100 });
  budget.add(LinearMemory.wrap(wasm));
  assert.equal(wasm.grow(2), 1);
  assert.throws(() => wasm.grow(2), refused);
  assert.throws(() => wasm.grow("2" as unknown as number), refused);
  const twoFaced = { asked: 0, valueOf: () => (twoFaced.asked++ === 0 ? 1 : 50) };
  assert.equal(wasm.grow(twoFaced as unknown as number), 3, "an object is asked once only");
  assert.equal(wasm.buffer.byteLength / 65_536, 4);
});

test("what a module grows by itself counts, and is heard of", async () => {
  const budget = new Budget({ pages: 4 });
  const module = await wat(`(module (memory (export "memory") 1)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))`);
  const instance = new WebAssembly.Instance(module);
  const memory = LinearMemory.wrap(instance);
  budget.add(memory);
  const events: PressureEvent[] = [];
  budget.onPressure((event) => events.push(event));
  (instance.exports.grow as (pages: number) => number)(9);
  memory.refresh();
  assert.deepEqual(events, [{ budget, used: 10, wanted: 0, limit: 4 }]);
  assert.deepEqual([budget.used, budget.available], [10, 0]);
  assert.throws(() => memory.grow(1), refused);
});

test("listeners hear of pressure before, and can make room", () => {
  const budget = new Budget({ pages: 10 });
  const cache = new LinearMemory({ initial: 5, budget });
  const memory = new LinearMemory({ initial: 1, maximum: 20, budget });
  const events: string[] = [];
  budget.onPressure(({ used, wanted, limit }) => events.push(`${used}+${wanted}/${limit}`));
  const quiet = budget.onPressure(() => events.push("at 1"), { at: 1 });
  new LinearMemory({ initial: 2, budget });
  assert.deepEqual(events, [], "8 of 10 is not above 0.8");
  assert.throws(() => memory.grow(5), refused);
  assert.deepEqual(events, ["8+5/10", "at 1"]);
  quiet.dispose();
  budget.onPressure(() => budget.remove(cache));
  assert.equal(memory.grow(5), 1, "the listener dropped the cache");
  assert.equal(budget.used, 8);
  budget.remove(cache);
  assert.equal(budget.used, 8, "removing twice is removing once");
});

test("a budget that counts maxima can't be exceeded by modules that grow by themselves", async () => {
  const bytes = await assemble(`(module (memory (export "memory") 1)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))`);
  const budget = new Budget({ pages: 10, counts: "maximum" });
  const plugins = [];
  for (const maxMemory of [4, 5]) {
    const plugin = await instantiateIsolated(bytes, { maxMemory });
    budget.add(plugin.memory);
    plugins.push(plugin);
  }
  assert.deepEqual([budget.used, budget.available], [9, 1]);
  for (const { exports } of plugins) while (exports.grow(1) !== -1);
  assert.deepEqual(
    plugins.map(({ memory }) => memory.pages),
    [4, 5],
  );
  assert.equal(budget.used, 9, "what they have is part of what they may have");
  const third = await instantiateIsolated(bytes, { maxMemory: 2 });
  assert.throws(() => budget.add(third.memory), refused);
  budget.remove(plugins[0].memory);
  budget.add(third.memory);
  assert.equal(budget.used, 7);
});

test("memories made with a budget that counts maxima get what is left, and growth within it needs no leave", () => {
  const events: string[] = [];
  const budget = new Budget({ pages: 10, counts: "maximum" });
  budget.onPressure(({ used, wanted, limit }) => events.push(`${used}+${wanted}/${limit}`));
  const first = new LinearMemory({ initial: 1, maximum: 6, budget });
  assert.throws(
    () => new LinearMemory({ initial: 1, maximum: 5, budget }),
    /5 more pages exceed the budget: 6 of 10/,
  );
  const rest = new LinearMemory({ initial: 1, budget });
  assert.deepEqual([first.maximum, rest.maximum, budget.used], [6, 4, 10]);
  assert.deepEqual(events, ["6+5/10"]);
  first.grow(5);
  rest.wasm.grow(3);
  assert.deepEqual([first.pages, rest.pages, budget.used], [6, 4, 10]);
  assert.deepEqual(events, ["6+5/10"], "growth concerns nobody");
  assert.throws(() => new LinearMemory({ initial: 1, budget }), refused);
  const boundless = LinearMemory.wrap(new WebAssembly.Memory({ initial: 0 }));
  assert.throws(() => budget.add(boundless), /a memory without a maximum exceeds the budget/);
  assert.equal(budget.used, 10);
});

test("a memory may be in several budgets: all must agree, and adding twice counts once", () => {
  const small = new Budget({ pages: 3 });
  const large = new Budget({ pages: 100 });
  const memory = new LinearMemory({ initial: 1, maximum: 50 });
  small.add(memory);
  small.add(memory);
  large.add(memory);
  assert.equal(small.used, 1);
  assert.throws(() => memory.grow(3), refused);
  memory.grow(2);
  assert.deepEqual([small.used, large.used], [3, 3]);
  small.remove(memory);
  memory.grow(5);
  assert.deepEqual([small.used, large.used], [0, 8]);
  assert.throws(() => small.add(memory), refused);
  assert.equal(small.used, 0);
});

test("what is no budget, no cap or no mark is an error", () => {
  for (const bad of [-1, 1.5, Number.NaN, Infinity, "5", 5n, null, undefined]) {
    assert.throws(() => new Budget({ pages: bad as number }), LinmemTypeError);
  }
  assert.throws(() => new Budget({ pages: 1, counts: "bytes" as "pages" }), LinmemTypeError);
  assert.throws(() => new Budget(undefined as unknown as { pages: number }), LinmemTypeError);
  const budget = new Budget({ pages: 0 });
  assert.throws(() => new LinearMemory({ initial: 1, budget }), refused);
  for (const at of [-0.1, 1.1, Number.NaN, "1"]) {
    assert.throws(() => budget.onPressure(() => {}, { at: at as number }), LinmemTypeError);
  }
  assert.throws(() => budget.onPressure("f" as unknown as () => void), LinmemTypeError);
  assert.throws(() => new LinearMemory({ initial: 0, budget: { limit: 5 } as Budget }), LinmemTypeError);
  assert.throws(() => budget.add({ pages: 0 } as unknown as LinearMemory), LinmemTypeError);
});
