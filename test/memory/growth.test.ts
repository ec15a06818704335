// Who hears of growth, and when.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { LinearMemory, LinmemTypeError } from "../../src/index.js";
import { withTypeScript } from "../support/typescript.js";
import { wat } from "./modules.js";

/** The growths that listeners of `memory` hear of from now on, as "from>to". */
function heard(memory: LinearMemory): string[] {
  const growths: string[] = [];
  memory.onGrow((event) => {
    assert.equal(event.memory, memory);
    assert.equal(memory.pages, event.pages, "the memory has grown when the listener hears of it");
    growths.push(`${event.previous}>${event.pages}`);
  });
  return growths;
}

for (const shared of [false, true]) {
  test(`growth by JavaScript is heard at once, ${shared ? "shared" : "not shared"}`, () => {
    const memory = new LinearMemory({ initial: 1, maximum: 9, shared });
    const growths = heard(memory);
    memory.grow(2);
    assert.deepEqual(growths, ["1>3"]);
    assert.equal(memory.wasm.grow(1), 3, "the glue of a module calls grow of the WebAssembly.Memory");
    assert.deepEqual(growths, ["1>3", "3>4"]);
    memory.grow(0);
    memory.wasm.grow(0);
    assert.deepEqual(growths, ["1>3", "3>4"], "no growth, no event");
    assert.throws(() => memory.grow(100), RangeError);
    assert.throws(() => memory.wasm.grow(100), RangeError);
    assert.throws(() => memory.wasm.grow(-1), TypeError);
    assert.deepEqual(growths, ["1>3", "3>4"]);
  });
}

test("growth by the module is heard at the next look at the memory, whatever it is", async () => {
  const module = await wat(`(module (memory (export "memory") 1 200)
    (func (export "grow") (drop (memory.grow (i32.const 1)))))`);
  const instance = new WebAssembly.Instance(module);
  const memory = LinearMemory.wrap(instance);
  const growths = heard(memory);
  const looks: (() => unknown)[] = [
    () => memory.u8,
    () => memory.f64,
    () => memory.pages,
    () => memory.byteLength,
    () => memory.buffer,
    () => memory.readU8(0),
    () => memory.writeF64(0, 1),
    () => memory.readUtf8(0, 1),
    () => memory.grow(0),
    () => memory.refresh(),
  ];
  let pages = 1;
  for (const look of looks) {
    (instance.exports.grow as () => void)();
    look();
    assert.equal(growths.pop(), `${pages}>${pages + 1}`, String(look));
    assert.equal(growths.length, 0);
    pages++;
  }
});

test("several growths that nobody looked at are one event", async () => {
  const memory = new LinearMemory({ initial: 1, maximum: 10 });
  const growths = heard(memory);
  for (let i = 0; i < 3; i++) WebAssembly.Memory.prototype.grow.call(memory.wasm, 1);
  memory.refresh();
  assert.deepEqual(growths, ["1>4"]);
});

test("growth by another thread is heard at the next look", async () => {
  const memory = new LinearMemory({ initial: 1, maximum: 10, shared: true });
  const growths = heard(memory);
  const worker = new Worker(
    `const { parentPort, workerData } = require("node:worker_threads"); workerData.grow(2); parentPort.postMessage(1);`,
    { eval: true, workerData: memory.wasm },
  );
  await once(worker, "message");
  memory.refresh();
  assert.deepEqual(growths, ["1>3"]);
  await worker.terminate();
});

test("a subscription ends, also by using, and only its own", () => {
  const memory = new LinearMemory({ initial: 1, maximum: 10 });
  const growths: string[] = [];
  const listener = () => growths.push("x");
  const first = memory.onGrow(listener);
  memory.onGrow(listener);
  memory.grow(1);
  assert.equal(growths.length, 2, "the same function may listen twice");
  first.dispose();
  first.dispose();
  memory.grow(1);
  assert.equal(growths.length, 3);
  {
    using _scoped = memory.onGrow(() => growths.push("y"));
    memory.grow(1);
  }
  memory.grow(1);
  assert.deepEqual(growths, ["x", "x", "x", "x", "y", "x"]);
});

test("a listener may grow the memory, and stop listening while it is told", () => {
  const memory = new LinearMemory({ initial: 1, maximum: 10 });
  const seen: string[] = [];
  const once = memory.onGrow(({ previous, pages }) => {
    once.dispose();
    seen.push(`${previous}>${pages}`);
    memory.grow(1);
  });
  memory.onGrow(({ previous, pages }) => seen.push(`${previous}>${pages}`));
  memory.grow(1);
  assert.deepEqual(seen.sort(), ["1>2", "1>2", "2>3"]);
  assert.equal(memory.pages, 3);
});

test("an error of a listener is uncaught, and hinders nobody", () => {
  const program = `
    import { LinearMemory } from ${JSON.stringify(new URL("../../src/index.ts", import.meta.url).href)};
    process.on("uncaughtException", (error) => console.log("uncaught", error.message));
    const memory = new LinearMemory({ initial: 1, maximum: 10 });
    memory.onGrow(() => { throw new Error("listener"); });
    memory.onGrow(({ pages }) => console.log("heard", pages));
    console.log("before", memory.grow(1));`;
  const { stdout } = spawnSync(process.execPath, [withTypeScript, "--input-type=module", "--eval", program], {
    encoding: "utf8",
  });
  assert.equal(stdout, "heard 2\nbefore 1\nuncaught listener\n");
});

test("the grow that a WebAssembly.Memory gets does not show, and refuses in the engine's words", () => {
  const wasm = new WebAssembly.Memory({ initial: 1, maximum: 2 });
  const memory = LinearMemory.wrap(wasm);
  assert.equal(Object.hasOwn(wasm, "grow"), false, "nothing is touched before somebody listens");
  memory.onGrow(() => {});
  assert.deepEqual(Object.keys(wasm), []);
  const plain = new WebAssembly.Memory({ initial: 1, maximum: 2 });
  for (const bad of [-1, Number.NaN, "x", 5, 2 ** 40, undefined, {}, 1n, null, "0"] as unknown as number[]) {
    const attempt = (target: WebAssembly.Memory) => {
      try {
        return target.grow(bad);
      } catch (error) {
        return `${(error as Error).name}: ${(error as Error).message}`;
      }
    };
    assert.equal(attempt(wasm), attempt(plain), String(bad));
  }
});

test("a frozen memory can be watched as far as it goes", () => {
  const wasm = Object.freeze(new WebAssembly.Memory({ initial: 1, maximum: 4 }));
  const memory = LinearMemory.wrap(wasm);
  const growths = heard(memory);
  wasm.grow(1);
  memory.refresh();
  memory.grow(1);
  assert.deepEqual(growths, ["1>2", "2>3"]);
});

test("only functions listen", () => {
  const memory = new LinearMemory({ initial: 1 });
  for (const bad of [undefined, null, {}, "f"]) {
    assert.throws(() => memory.onGrow(bad as unknown as () => void), LinmemTypeError);
  }
});
