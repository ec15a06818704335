// What started callbacks of packages, with `linmem run --async-causes`. Runs dist/, so build first.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { decodeBlocks } from "../../src/profile/blocks.js";
import { readProfileFile } from "../../src/profile/file.js";
import { Sandbox } from "./run-program.js";

const sandbox = new Sandbox();
const cProgram = JSON.stringify(fileURLToPath(new URL("../fixtures/heaps/c.wasm", import.meta.url)));

before(() => {
  const folder = join(sandbox.folder, "node_modules/pool");
  mkdirSync(folder, { recursive: true });
  sandbox.write("node_modules/pool/package.json", `{ "type": "module", "main": "index.js" }`);
  sandbox.write(
    "node_modules/pool/index.js",
    `import { readFileSync, stat } from "node:fs";
import { connect, createServer } from "node:net";
const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(${cProgram})));
export const make = (size) => exports.malloc(size);
const started = (start) => new Promise((done) => start(() => { make(64); done(); }));
export const tick = () => started((then) => process.nextTick(then));
export const timer = () => started((then) => setTimeout(then, 1));
export const file = () => started((then) => stat(".", then));
export const timers = () => started((then) => setTimeout(() => setImmediate(() => process.nextTick(then)), 1));
export const many = () => started((then) => {
  const again = (left) => left > 0 ? setImmediate(again, left - 1) : then();
  again(40);
});
export const memory = () => new Promise((done) => setImmediate(() => done(new WebAssembly.Memory({ initial: 3 }))));
const server = createServer((socket) => socket.end("hello"));
export const listen = () => new Promise((done) => server.listen(0, "127.0.0.1", done));
export const close = () => server.close();
export const socket = () => started((then) => connect(server.address().port, "127.0.0.1").once("data", then));
`,
  );
});
after(() => sandbox.remove());
afterEach(() => sandbox.clear());

/** What `program` prints, and for each of its blocks the functions on the stack below the module, from the inside out. */
async function callers(options: readonly string[], program: string) {
  sandbox.write(
    "p.mjs",
    `import * as pool from "pool";
${program}`,
  );
  const native = await sandbox.node(["p.mjs"]);
  const profiled = await sandbox.linmem(["run", "-q", "-f", "-o", "p.linmem", ...options, "p.mjs"]);
  assert.deepEqual(
    [profiled.code, profiled.stdout, profiled.stderr],
    [native.code, native.stdout, native.stderr],
  );
  const profile = await readProfileFile(`${sandbox.folder}/p.linmem`);
  const functions = (stack: number) =>
    (profile.stacks.get(stack) ?? [])
      .filter(({ file }) => file.endsWith("p.mjs"))
      .map((frame) => frame.function);
  const memories = [...profile.memories.values()];
  const stacks = memories.flatMap((memory) => {
    const { count, contexts } = decodeBlocks(memory.blocks);
    return Array.from({ length: count }, (_, i) => functions(memory.contexts.get(contexts[i]!)!.caller));
  });
  return { stacks, memories: memories.map(({ stack }) => functions(stack)) };
}

describe("callbacks of a package", () => {
  for (const way of ["tick", "timer", "file", "timers", "socket"]) {
    test(`are the program's that started them: ${way}`, async () => {
      const program = `await pool.listen();
async function first() { await pool.${way}(); }
const second = () => pool.${way}();
await first();
await second();
await second();
pool.close();`;
      const { stacks } = await callers(["--async-causes"], program);
      assert.deepEqual(
        stacks.map(([inner]) => inner).sort(),
        ["first", "second", "second"],
        JSON.stringify(stacks),
      );
      const without = await callers([], program);
      assert.deepEqual(without.stacks, [[], [], []]);
    });
  }

  test("that lead to callbacks over and over keep no more than the last causes", async () => {
    const { stacks } = await callers(["--async-causes"], "const start = () => pool.many();\nawait start();");
    assert.deepEqual(stacks, [[]]);
  });

  test("make memories for the program's function", async () => {
    const { memories } = await callers(
      ["--async-causes"],
      "const start = () => pool.memory();\nglobalThis.kept = await start();",
    );
    assert.deepEqual(memories[1]?.[0], "start");
  });

  test("of the program itself need no cause", async () => {
    const { stacks } = await callers(
      ["--async-causes"],
      `function start() { setTimeout(function later() { pool.make(8); }, 1); }
start();`,
    );
    assert.deepEqual(stacks, [["later"]]);
  });
});

test("the program notices nothing, and may change what a stack is made of", async () => {
  const { stacks } = await callers(
    ["--async-causes"],
    `import { AsyncLocalStorage, AsyncResource, executionAsyncId } from "node:async_hooks";
const storage = new AsyncLocalStorage();
Error.stackTraceLimit = 3;
Error.prepareStackTrace = (error, sites) => sites.length;
const text = await storage.run("stored", () => new Promise((done) => setTimeout(() => {
  done([storage.getStore(), new Error("x").stack, Error.stackTraceLimit, executionAsyncId() > 1]);
}, 1)));
console.log(...text);
class Own extends AsyncResource {}
new Own("own").runInAsyncScope(() => console.log(Object.keys(new Own("other")).length));
Object.freeze(Error);
const frozen = () => pool.timer();
await frozen();`,
  );
  assert.deepEqual(stacks, [[]], "stacks can't be had of a frozen Error");
});
