// What a run leaves in its profile about modules, instances and memories. Runs dist/, so build first.
import assert from "node:assert/strict";
import { after, afterEach, describe, test } from "node:test";
import { analyze } from "../../src/analyze/analyze.js";
import type { HeaderRecord, ProfileRecord } from "../../src/profile/records.js";
import { emptyProfile, fold } from "../../src/profile/state.js";
import { framesOf, ofType, Sandbox } from "./run-program.js";

const sandbox = new Sandbox();
after(() => sandbox.remove());
afterEach(() => sandbox.clear());

async function profile(name: string, source: string, nodeOptions: string[] = []): Promise<ProfileRecord[]> {
  const { code, stderr } = await sandbox.linmem(["run", "-q", ...nodeOptions, sandbox.write(name, source)]);
  assert.equal(code, 0, stderr);
  return sandbox.records();
}

/** The frames of a stack, as `function file:line`. */
function stack(records: ProfileRecord[], id: number): string[] {
  return framesOf(records, id).map(
    (frame) => `${frame.function} ${frame.file.replace(/.*\//, "")}:${frame.line}`,
  );
}

describe("memories and instances", () => {
  test("tell where they were created", async () => {
    const records = await profile(
      "where.mjs",
      `function start() {
  return new WebAssembly.Instance(new WebAssembly.Module(modules.memory));
}
function byHand() {
  return new WebAssembly.Memory({ initial: 3, maximum: 7 });
}
start(); byHand();`,
    );
    const [byInstance, byHand] = ofType(records, "memory");
    assert.deepEqual(stack(records, byInstance.stack), ["start where.mjs:4", "(module) where.mjs:9"]);
    assert.deepEqual(stack(records, byHand.stack), ["byHand where.mjs:7", "(module) where.mjs:9"]);
    assert.deepEqual([byHand.initialPages, byHand.maximumPages, byHand.shared], [3, 7, false]);
    assert.deepEqual([byInstance.initialPages, byInstance.maximumPages], [1, null]);
    const [instance] = ofType(records, "instance");
    assert.deepEqual(instance.memories, [byInstance.id]);
    assert.deepEqual(stack(records, instance.stack), ["start where.mjs:4", "(module) where.mjs:9"]);
  });

  test("are seen whichever way a module comes", async () => {
    const records = await profile(
      "ways.mjs",
      `const { memory } = modules;
const respond = () => new Response(memory, { headers: { "content-type": "application/wasm" } });
new WebAssembly.Instance(new WebAssembly.Module(memory));
await WebAssembly.instantiate(memory);
await WebAssembly.instantiate(await WebAssembly.compile(memory));
await WebAssembly.instantiateStreaming(respond());
await WebAssembly.instantiate(await WebAssembly.compileStreaming(respond()), {});
new WebAssembly.Instance(await WebAssembly.compile(memory.buffer));`,
    );
    assert.equal(ofType(records, "instance").length, 6);
    assert.equal(ofType(records, "memory").length, 6);
    assert.equal(ofType(records, "module").length, 1, "the same bytes are one module");
  });

  test("that import a memory share it", async () => {
    const records = await profile(
      "shared.mjs",
      `const m = new WebAssembly.Memory({ initial: 2 });
for (let i = 0; i < 2; i++) await WebAssembly.instantiate(modules.importsMemory, { e: { m } });`,
    );
    const [memory, ...others] = ofType(records, "memory");
    assert.deepEqual(others, []);
    assert.deepEqual(
      ofType(records, "instance").map(({ memories }) => memories),
      [[memory.id], [memory.id]],
    );
    assert.equal(ofType(records, "memory-module")[0].memory, memory.id);
  });

  test("are let go, and it is recorded that the collector took them", async () => {
    const records = await profile(
      "collected.mjs",
      `for (let i = 0; i < 5; i++) new WebAssembly.Instance(new WebAssembly.Module(modules.memory));
await new Promise((resolve) => setTimeout(resolve, 10));
for (let i = 0; i < 5; i++) { gc(); await new Promise((resolve) => setTimeout(resolve, 10)); }`,
      ["--expose-gc"],
    );
    const collected = ofType(records, "collected");
    assert.ok(collected.filter(({ memory }) => memory).length >= 4);
    assert.ok(collected.filter(({ instance }) => instance).length >= 4);
  });
});

describe("growth", () => {
  test("by JavaScript and by the module is recorded with its stack, refusals too", async () => {
    const records = await profile(
      "grow.mjs",
      `const memory = new WebAssembly.Memory({ initial: 1, maximum: 3 });
const grow = (pages) => memory.grow(pages);
grow(2);
try { grow(9); } catch {}
const { exports } = new WebAssembly.Instance(new WebAssembly.Module(modules.memory));
function ask() { exports.grow(); }
ask();`,
    );
    const grows = ofType(records, "grow").map(({ fromPages, deltaPages, granted, stack: id }) => ({
      event: [fromPages, deltaPages, granted],
      stack: stack(records, id),
    }));
    assert.deepEqual(
      grows.map(({ event }) => event),
      [
        [1, 2, true],
        [3, 9, false],
        [1, 1, true],
      ],
    );
    assert.deepEqual(grows[0].stack, ["grow grow.mjs:4", "(module) grow.mjs:5"]);
    assert.match(grows[2].stack.join(), /^\S* grow.mjs:0,ask grow.mjs:8,\(module\) grow.mjs:9$/);
    const last = ofType(records, "snapshot").findLast(({ memory }) => memory === 2);
    assert.equal(last?.pages, 2);
  });
});

describe("workers", () => {
  const worker = `import { isMainThread, parentPort, Worker } from "node:worker_threads";
const once = (emitter, name) => new Promise((resolve) => emitter.once(name, resolve));`;

  test("may be sent a module, with whatever environment they have", async () => {
    const records = await profile(
      "worker.mjs",
      `${worker}
if (isMainThread) {
  const module = await WebAssembly.compile(modules.memory);
  for (const options of [{}, { env: {} }, { execArgv: [] }, { env: { A: "1" }, execArgv: ["--no-warnings"] }]) {
    const thread = new Worker(new URL(import.meta.url), options);
    // Both may come before anything that waits for the first goes on.
    const exit = once(thread, "exit");
    thread.postMessage(module);
    const answer = await once(thread, "message");
    if (answer !== "0 imports, 0 sections, " + (options.execArgv ?? [])) throw new Error(answer);
    await exit;
  }
} else {
  const module = await once(parentPort, "message");
  new WebAssembly.Instance(module);
  const imports = WebAssembly.Module.imports(module).length;
  const sections = WebAssembly.Module.customSections(module, "linmem").length;
  parentPort.postMessage(imports + " imports, " + sections + " sections, " + process.execArgv);
  process.exit();
}`,
    );
    assert.equal(new Set(ofType(records, "instance").map(({ id }) => id)).size, 4);
    assert.equal(new Set(ofType(records, "module").map(({ thread }) => thread)).size, 4);
    assert.equal(ofType(records, "header").length, 1);
    assert.equal(ofType(records, "end").length, 1);
  });

  test("count with what their captures took, and have the command line of the process", async () => {
    const records = await profile(
      "only-worker.mjs",
      `${worker}
if (isMainThread) await once(new Worker(new URL(import.meta.url), { argv: ["own"] }), "exit");
else new WebAssembly.Instance(new WebAssembly.Module(modules.memory));`,
    );
    const [end] = ofType(records, "end");
    assert.ok(end.captureTime > 0, "the main thread captured nothing");
    const [{ argv }] = ofType(records, "header");
    assert.match(argv[1], /only-worker\.mjs$/);
    assert.equal(argv.length, 2);
  });

  test("share memories, whose growth is noticed", async () => {
    const records = await profile(
      "shared.mjs",
      `${worker}
if (isMainThread) {
  const m = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true });
  new WebAssembly.Instance(new WebAssembly.Module(modules.sharedMemory), { e: { m } });
  const thread = new Worker(new URL(import.meta.url));
  thread.postMessage(m);
  await once(thread, "exit");
} else {
  (await once(parentPort, "message")).grow(1);
  process.exit();
}`,
    );
    const [memory] = ofType(records, "memory");
    assert.equal(memory.shared, true);
    const [grow] = ofType(records, "grow").filter((record) => record.memory === memory.id);
    assert.deepEqual([grow.fromPages, grow.deltaPages, grow.stack], [1, 1, 0]);
    assert.match(ofType(records, "module")[0].reason ?? "", /shared/);
  });

  test("a memory and its module that are sent to other threads are one memory and one module", async () => {
    const records = await profile(
      "sent.mjs",
      `${worker}
if (isMainThread) {
  const m = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true });
  const module = new WebAssembly.Module(modules.sharedMemory);
  new WebAssembly.Instance(module, { e: { m } });
  if (WebAssembly.Module.customSections(module, "linmem").length > 0) throw new Error("linmem is seen");
  for (let i = 0; i < 2; i++) {
    const thread = new Worker(new URL(import.meta.url));
    thread.postMessage([module, m]);
    await once(thread, "exit");
  }
} else {
  const [module, m] = await once(parentPort, "message");
  if (WebAssembly.Module.customSections(module, "linmem").length > 0) throw new Error("linmem is seen");
  new WebAssembly.Instance(module, { e: { m } });
  process.exit();
}`,
    );
    assert.deepEqual(
      ofType(records, "memory").map(({ received }) => received),
      [undefined, true, true],
    );
    const [header, ...rest] = records;
    assert.equal(header.type, "header");
    const state = emptyProfile(header as HeaderRecord);
    for (const record of rest) fold(state, record);
    const report = analyze(state);
    assert.equal(report.memories.length, 1);
    assert.equal(report.run.peakMemoryBytes, 65536);
    assert.deepEqual(
      report.modules.map(({ name, instances, memory }) => [name, instances.created, memory.peakBytes]),
      [["sent.mjs", 3, 65536]],
    );
  });
});

test("modules without a memory leave no trace", async () => {
  const { code } = await sandbox.linmem([
    "run",
    "-q",
    sandbox.write("none.mjs", "new WebAssembly.Instance(new WebAssembly.Module(modules.noMemory));"),
  ]);
  assert.equal(code, 0);
  assert.deepEqual(sandbox.profiles(), []);
});

test("a program that never returns to the event loop gets its snapshots", async () => {
  const { code } = await sandbox.linmem([
    "run",
    "-q",
    "--interval=10",
    sandbox.write(
      "busy.mjs",
      `const module = new WebAssembly.Module(modules.memory);
const start = Date.now();
while (Date.now() < start + 200) new WebAssembly.Instance(module);
process.kill(process.pid, "SIGKILL");`,
    ),
  ]);
  assert.equal(code, null);
  assert.ok(ofType(sandbox.records(), "snapshot").length > 1);
});
