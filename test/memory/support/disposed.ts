// Run by isolated.test.ts with a forced collector: what is left of an isolated instance after `dispose()`, while the host
// still holds the instance's handle, its exports, and a function of them.
import { setImmediate as turn } from "node:timers/promises";
import { instantiateIsolated } from "../../../src/memory/isolated.js";
import { liveMemories } from "../../../src/memory/registry.js";
import { assemble } from "./assemble.js";

const collect = (globalThis as unknown as { gc(): void }).gc;
const bytes = await assemble(`(module
  (import "env" "log" (func $log (param i32)))
  (memory (export "memory") 20)
  (table (export "table") 1 funcref)
  (func (export "run") (result i32) (call $log (i32.const 1)) (i32.load (i32.const 0))))`);

const held: unknown[] = [];

async function make() {
  const plugin = await instantiateIsolated(bytes, { maxMemory: 30, imports: { env: { log: () => {} } } });
  const { run } = plugin.exports;
  run();
  held.push(plugin, plugin.exports, run);
  if (process.argv[2] === "view") held.push(plugin.memory.u8);
  return { plugin, memory: new WeakRef<object>(plugin.exports.memory) };
}

async function liveness(weak: WeakRef<object>): Promise<boolean> {
  for (let round = 0; round < 10; round++) {
    await turn();
    collect();
  }
  return weak.deref() !== undefined;
}

const { plugin, memory } = await make();
const before = await liveness(memory);
plugin.dispose();
const after = await liveness(memory);
console.log(JSON.stringify({ before, after, live: liveMemories().length, held: held.length }));
