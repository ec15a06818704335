// What started callbacks of packages: who opened a connection, and with `linmem run --async-causes` the rest. Runs dist/, so
// build first.
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
import * as tls from "node:tls";
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
const answer = (socket) => socket.end("hello");
const server = createServer(answer);
const pipes = createServer(answer);
const shared = { ciphers: "PSK", maxVersion: "TLSv1.2" };
const key = { psk: Buffer.alloc(16), identity: "pool" };
const secret = tls.createServer({ ...shared, pskCallback: () => key.psk }, answer);
const client = () => ({ ...shared, port: secret.address().port, pskCallback: () => key, checkServerIdentity() {} });
const listening = (server, ...where) => new Promise((done) => server.listen(...where, done));
export const listen = () => Promise.all([listening(server, 0), listening(pipes, "pipe"), listening(secret, 0)]);
export const close = () => [server, pipes, secret].forEach((server) => server.close());
export const socket = () => started((then) => connect(server.address().port, "127.0.0.1").once("data", then));
export const open = (host = "127.0.0.1") =>
  started((then) => connect(server.address().port, host).once("connect", then).resume());
export const idle = () =>
  new Promise((done) => connect(server.address().port, "127.0.0.1").once("connect", done).resume());
export const named = () => open("localhost");
export const piped = () => started((then) => connect("pipe").once("connect", then).resume());
export const secure = () => started((then) => tls.connect(client()).once("secureConnect", then).resume());
const opened = (then) => connect(server.address().port, "127.0.0.1").once("connect", then).resume();
export const twice = () => started((then) => opened(() => opened(then)));
export const reopened = () => started((then) => setTimeout(() => opened(then), 1));
export const accepted = () => started((then) => {
  server.once("connection", then);
  connect(server.address().port, "127.0.0.1").resume();
});
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
      .filter(({ file }) => /[pw]\.mjs$/.test(file))
      .map((frame) => frame.function);
  const memories = [...profile.memories.values()];
  const stacks = memories.flatMap((memory) => {
    const { count, contexts } = decodeBlocks(memory.blocks);
    return Array.from({ length: count }, (_, i) => functions(memory.contexts.get(contexts[i]!)!.caller));
  });
  return { stacks, memories: memories.map(({ stack }) => functions(stack)) };
}

/** A program whose functions have a package do something, one once and another one twice. */
const inTurn = (way: string) => `await pool.listen();
async function first() { await pool.${way}(); }
const second = () => pool.${way}();
await first();
await second();
await second();
pool.close();`;

describe("callbacks of a package", () => {
  for (const way of ["tick", "timer", "file", "timers", "socket"]) {
    test(`are the program's that started them: ${way}`, async () => {
      const program = inTurn(way);
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

describe("without an option, what a package makes once a connection is open", () => {
  for (const way of ["open", "named", "piped", "secure", "twice"]) {
    // Node 20 says nothing of those that TLS opens
    const skip =
      way === "secure" && Number.parseInt(process.versions.node, 10) < 22 && "not told by this Node.js";
    test(`is the program's that opened it: ${way}`, { skip }, async () => {
      const { stacks } = await callers([], inTurn(way));
      assert.deepEqual(
        stacks.map(([inner]) => inner).sort(),
        ["first", "second", "second"],
        JSON.stringify(stacks),
      );
    });
  }

  for (const [way, why] of [
    ["socket", "once something was read it may be anybody's"],
    ["reopened", "the program is not on the stack that opened it"],
    ["accepted", "others opened it"],
    ["timer", "there is none"],
  ]) {
    test(`is nobody's: ${way}, as ${why}`, async () => {
      const { stacks } = await callers([], inTurn(way!));
      assert.deepEqual(stacks, [[], [], []]);
    });
  }

  test("is told apart from that of others which open at the same time", async () => {
    const names = ["one", "two", "three", "four", "five", "six"];
    const program = `await pool.listen();
${names.map((name) => `const ${name} = () => pool.open();\n`).join("")}
await Promise.all([${names.map((name) => `${name}()`)}]);
pool.close();`;
    const { stacks } = await callers([], program);
    assert.deepEqual(stacks.map(([inner]) => inner).sort(), names.toSorted());
  });

  test("is found after many of which nothing was wanted, in the first of each tenth of a second", async () => {
    const program = `await pool.listen();
for (let i = 0; i < 100; i++) await pool.idle();
await new Promise((done) => setTimeout(done, 150));
const start = () => pool.open();
await start();
pool.close();`;
    const { stacks } = await callers([], program);
    assert.deepEqual(stacks, [["start", "(module)"]]);
  });

  test("is the worker's that opened it", async () => {
    sandbox.write(
      "w.mjs",
      `import * as pool from "pool";
await pool.listen();
const inside = () => pool.open();
await inside();
pool.close();`,
    );
    const { stacks } = await callers(
      [],
      `import { Worker } from "node:worker_threads";
new Worker(new URL("w.mjs", import.meta.url));`,
    );
    assert.deepEqual(stacks, [["inside", "(module)"]]);
  });

  test("the program notices nothing, and may change what a stack is made of", async () => {
    const { stacks } = await callers(
      [],
      `import { subscribe } from "node:diagnostics_channel";
import { executionAsyncId, triggerAsyncId } from "node:async_hooks";
import { Socket } from "node:net";
const seen = [];
subscribe("net.client.socket", ({ socket }) => seen.push([socket instanceof Socket, Object.keys(socket).length]));
await pool.listen();
Error.stackTraceLimit = 3;
Error.prepareStackTrace = (error, sites) => sites.length;
const start = () => pool.open();
await start();
console.log(...seen, Error.stackTraceLimit, new Error("x").stack, executionAsyncId(), triggerAsyncId());
Object.freeze(Error);
const frozen = () => pool.open();
await frozen();
pool.close();`,
    );
    assert.deepEqual(stacks, [["start", "(module)"], []], "stacks can't be had of a frozen Error");
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
