// What a program can see of `WebAssembly` is the same with and without linmem: real programs print it.
// Runs dist/, so build first.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { Sandbox } from "./run-program.js";

const sandbox = new Sandbox();
after(() => sandbox.remove());

async function same(name: string, source: string, env?: NodeJS.ProcessEnv): Promise<string> {
  const { native, profiled } = await sandbox.both([sandbox.write(name, source)], env);
  assert.equal(profiled.stdout, native.stdout);
  assert.equal(comparable(profiled.stderr), comparable(native.stderr));
  assert.equal(profiled.code, native.code);
  return native.stdout;
}

/**
 * Without process ids, and without the source line above an uncaught error: for one that the engine throws
 * within a CommonJS script, node can't show it under linmem. Its message and stack are the same.
 */
function comparable(stderr: string): string {
  return stderr.replaceAll(/\(node:\d+\)/g, "").replace(/^\S.*:\d+\n.*\n *\^+\n\n/, "");
}

const badCalls = `
const W = WebAssembly;
const { memory, importsFunction, importsMemory, invalid, unknownLocal, truncated } = modules;
const own = new W.Module(memory), needsFunction = new W.Module(importsFunction), needsMemory = new W.Module(importsMemory);
const wasm = (bytes, init) => new Response(bytes, { headers: { "content-type": "application/wasm" }, ...init });
const calls = [
  () => new W.Module(), () => new W.Module(5), () => new W.Module(new Uint8Array()), () => new W.Module(invalid),
  () => new W.Module(unknownLocal), () => W.instantiate(unknownLocal), () => W.compile(unknownLocal),
  () => new W.Module(truncated), () => W.Module(memory), () => new W.Module(new ArrayBuffer(3)),
  () => new W.Instance(), () => new W.Instance({}), () => new W.Instance(own, 5), () => new W.Instance(own, null),
  () => new W.Instance(needsFunction), () => new W.Instance(needsFunction, {}), () => W.Instance(own),
  () => new W.Instance(needsFunction, { e: {} }), () => new W.Instance(needsFunction, { e: 5 }),
  () => new W.Instance(needsMemory, { e: { m: 5 } }), () => new W.Instance(needsMemory),
  () => new W.Instance(needsMemory, { e: { m: new W.Memory({ initial: 0 }) } }),
  () => W.instantiate(), () => W.instantiate(5), () => W.instantiate(invalid, {}), () => W.instantiate(truncated),
  () => W.instantiate(importsFunction), () => W.instantiate(importsFunction, {}), () => W.instantiate(memory, 5),
  () => W.instantiate(importsFunction, { e: {} }), () => W.instantiate(importsMemory, { e: {} }),
  () => W.instantiate(needsFunction), () => W.instantiate(needsFunction, {}), () => W.instantiate(own, 5),
  () => W.compile(), () => W.compile("x"), () => W.compile(invalid), () => W.compile(truncated),
  () => W.compileStreaming(5), () => W.compileStreaming(new Response(memory)),
  () => W.compileStreaming(wasm(invalid)), () => W.compileStreaming(Promise.reject(new Error("offline"))),
  () => W.instantiateStreaming(wasm(memory, { status: 404 })), () => W.instantiateStreaming(wasm(invalid), {}),
  () => W.instantiateStreaming(wasm(importsFunction), {}), () => W.instantiateStreaming(wasm(importsFunction)),
  () => new W.Memory(), () => new W.Memory({}), () => new W.Memory({ initial: -1 }), () => W.Memory({ initial: 1 }),
  () => new W.Memory({ initial: 2, maximum: 1 }), () => new W.Memory({ initial: 1, shared: true }),
  () => new W.Memory({ initial: 1, maximum: 2 }).grow(5), () => new W.Memory({ initial: 1 }).grow(),
  () => W.Memory.prototype.grow.call({}, 1), () => new W.Memory({ initial: 1 }).grow("x"),
  () => W.Module.imports(), () => W.Module.imports({}), () => W.Module.customSections(own),
];
for (const call of calls) {
  try {
    console.log(String(call), typeof await call());
  } catch (error) {
    const stack = error.stack.split("\\n").slice(1).filter((line) => !line.includes("node:internal"));
    console.log(String(call), error.constructor.name, error.message, Object.getOwnPropertyNames(error), stack);
  }
}`;

describe("errors", () => {
  test("of bad calls are the engine's, with its stacks", async () => {
    const output = await same("bad.mjs", badCalls);
    assert.match(output, /CompileError WebAssembly.Module\(\): .*@\+/);
    assert.match(output, /LinkError/);
  });

  test("that nobody catches are printed as before", async () => {
    await same("uncaught.mjs", "new WebAssembly.Module(modules.truncated);");
    await same(
      "uncaught.cjs",
      "new WebAssembly.Instance(new WebAssembly.Module(modules.importsFunction), {});",
    );
    const { stderr } = await sandbox.linmem(["run", "-q", "uncaught.cjs"]);
    assert.doesNotMatch(stderr, /dist\/attach|throw error/, "no line of linmem above it");
    await same("rejected.mjs", "await WebAssembly.instantiate(modules.invalid);");
    await same("other.cjs", "new WebAssembly.Module(modules.memory); throw new TypeError('mine');");
  });
});

describe("the namespace", () => {
  test("has the same properties, names, texts and identities", async () => {
    const output = await same(
      "namespace.mjs",
      `const W = WebAssembly;
const describe = (object) => Object.entries(Object.getOwnPropertyDescriptors(object)).map(([name, { value, ...rest }]) =>
  [name, typeof value, value?.name, value?.length, typeof value === "function" ? String(value) : "", rest]);
console.log(JSON.stringify([W, W.Module, W.Memory.prototype, W.Module.prototype, W.Instance.prototype].map(describe)));
class Mine extends W.Memory { pages() { return this.buffer.byteLength / 65536; } }
const mine = new Mine({ initial: 2 }), memory = new W.Memory({ initial: 1 });
console.log(mine instanceof Mine, mine instanceof W.Memory, mine.pages(), mine.grow(1), mine.pages());
console.log(memory.constructor === W.Memory, Object.getPrototypeOf(memory) === W.Memory.prototype);
const made = Reflect.construct(W.Memory, [{ initial: 1 }], class extends Array {});
console.log(made instanceof Array, Object.prototype.toString.call(memory), W.Memory.toString());`,
    );
    assert.match(output, /true true 2 2 3\ntrue true\n/);
  });

  test("shows a module as the program made it", async () => {
    const output = await same(
      "queries.mjs",
      `const W = WebAssembly;
const name = [0, 8, 4, 110, 97, 109, 101, 0, 1, 0];
const named = new Uint8Array([...modules.importsFunction, ...name]);
const module = new W.Module(named);
console.log(W.Module.imports(module), W.Module.exports(module), W.Module.customSections(module, "linmem"));
console.log(W.Module.customSections(module, "name"), W.Module.customSections(module, "linmem.name"));
const { instance } = await W.instantiate(modules.memory);
console.log(instance, Object.isFrozen(instance.exports), instance.exports.m === instance.exports.m, W.validate(named));
console.log(instance.exports.grow(), instance.exports.m.buffer.byteLength, instance instanceof W.Instance);`,
    );
    assert.match(output, /1 131072 true/);
  });
});

describe("import objects", () => {
  test("are read as the engine reads them: once, in order, never enumerated", async () => {
    const output = await same(
      "reads.mjs",
      `const log = [];
const spy = (name, target) => new Proxy(target, Object.fromEntries(Object.getOwnPropertyNames(Reflect).map((trap) =>
  [trap, (...args) => (log.push(name + "." + trap + "." + String(args[1])), Reflect[trap](...args))])));
const inner = { f() {}, m: new WebAssembly.Memory({ initial: 1 }) };
const take = (label) => console.log(label, log.splice(0));
for (const bytes of [modules.importsFunction, modules.importsMemory]) {
  new WebAssembly.Instance(new WebAssembly.Module(bytes), spy("outer", { e: spy("inner", inner) }));
  take("constructor");
  await WebAssembly.instantiate(bytes, spy("outer", { e: spy("inner", inner) }));
  take("bytes");
  await WebAssembly.instantiate(await WebAssembly.compile(bytes), spy("outer", { e: spy("inner", inner) }));
  take("module");
}
new WebAssembly.Memory(spy("descriptor", { initial: 1, maximum: 2 }));
take("memory");
class Getter { #m = inner.m; get m() { return this.#m; } }
new WebAssembly.Instance(new WebAssembly.Module(modules.importsMemory), { e: new Getter() });
new WebAssembly.Instance(new WebAssembly.Module(modules.importsMemory), Object.freeze({ e: Object.freeze(inner) }));
new WebAssembly.Instance(new WebAssembly.Module(modules.importsFunction), Object.assign(() => {}, { e: inner }));
const bare = Object.create(null); bare.e = inner;
new WebAssembly.Instance(new WebAssembly.Module(modules.importsFunction), bare);
new WebAssembly.Instance(new WebAssembly.Module(modules.memory), {});`,
    );
    assert.match(output, /constructor \[ 'outer\.get\.e', 'inner\.get\.f' \]/);
  });

  test("may throw from a getter", async () => {
    await same(
      "throws.mjs",
      `for (const make of [(i) => new WebAssembly.Instance(new WebAssembly.Module(modules.importsFunction), i),
  (i) => WebAssembly.instantiate(modules.importsFunction, i)]) {
  try { await make({ get e() { throw new WebAssembly.CompileError("mine"); } }); } catch (error) { console.log(String(error)); }
}`,
    );
  });
});

test("bytes count as they are at the call", async () => {
  await same(
    "snapshot.mjs",
    `const bytes = modules.memory.slice();
const pending = [WebAssembly.compile(bytes), WebAssembly.instantiate(bytes)];
bytes.fill(0);
console.log((await Promise.allSettled(pending)).map(({ status }) => status));
console.log(await WebAssembly.compile(bytes).catch(String));
const view = new DataView(new Uint8Array([9, 9, ...modules.memory, 9]).buffer, 2, modules.memory.length);
console.log(WebAssembly.Module.exports(new WebAssembly.Module(view)));
try { new WebAssembly.Module(new Uint8Array(new SharedArrayBuffer(8)).fill(1)); } catch (error) { console.log(String(error)); }`,
  );
});

test("responses are streamed", async () => {
  await same(
    "streaming.mjs",
    `const respond = () => new Response(modules.memory, { headers: { "content-type": "application/wasm" } });
console.log(await WebAssembly.compileStreaming(respond()));
console.log((await WebAssembly.instantiateStreaming(Promise.resolve(respond()))).instance.exports.grow());
const used = respond(); await used.text();
console.log(await WebAssembly.compileStreaming(used).catch(String));`,
  );
});

describe("stack traces of the program", () => {
  const source = `
const seen = [];
Error.prepareStackTrace = (error, sites) => (seen.push(error.message), sites.length);
Error.stackTraceLimit = 3;
const memory = new WebAssembly.Memory({ initial: 1 });
memory.grow(1);
new WebAssembly.Instance(new WebAssembly.Module(modules.memory)).exports.grow();
console.log(seen, Error.stackTraceLimit, new Error("x").stack, seen);
delete Error.prepareStackTrace;
delete Error.stackTraceLimit;
memory.grow(1);
console.log(Object.getOwnPropertyDescriptor(Error, "stackTraceLimit"), Object.hasOwn(Error, "prepareStackTrace"));
Object.freeze(Error);
console.log(memory.grow(1));`;
  test("stay as it set them", async () => {
    await same("traces.mjs", source);
  });
  test("also with source maps", async () => {
    await same("traces.mjs", source, { NODE_OPTIONS: "--enable-source-maps" });
  });
});

test("the process looks the same", async () => {
  await same(
    "process.mjs",
    `console.log(process.argv.slice(2), process.execArgv, process.cwd(), process.stdout.isTTY, process.exitCode);
console.log(process.getActiveResourcesInfo().filter((name) => name !== "Timeout"));`,
  );
});
