import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { type IsolationOptions, instantiateIsolated, type RefusedGrowth } from "../../src/memory/isolated.js";
import { ModuleHeap } from "../../src/memory/module-heap.js";
import { withTypeScript } from "../support/typescript.js";
import { hasAddresses64 } from "./modules.js";
import { assemble } from "./support/assemble.js";

/** A plugin that reads, writes and grows its memory, wherever it is told. */
const plugin = await assemble(`(module
  (memory (export "memory") 1)
  (func (export "read") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "write") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "size") (result i32) (memory.size))
  (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 1) (local.get 1))))`);

const caller = await assemble(`(module
  (import "env" "host" (func $host (param i32)))
  (memory 1)
  (func (export "run") (drop (memory.grow (i32.const 100))) (call $host (i32.const 1))))`);

const make = (options: Partial<IsolationOptions> = {}) =>
  instantiateIsolated(plugin, { maxMemory: 4, ...options });

test("two plugins can't see each other's bytes", async () => {
  using a = await make();
  using b = await make();
  assert.notEqual(a.exports.memory, b.exports.memory);
  a.exports.write(100, 7);
  assert.equal(a.exports.read(100), 7);
  for (let at = 0; at < 65_536; at += 4) assert.equal(b.exports.read(at), 0);
  assert.equal(b.memory.u8.indexOf(7), -1);
  b.exports.grow(2);
  assert.deepEqual([a.memory.pages, b.memory.pages], [1, 3]);
});

test("accesses out of bounds trap, and leave the host and other plugins whole", async () => {
  using a = await make();
  using b = await make();
  b.exports.write(0, 3);
  const host = new Uint8Array(1000).fill(9);
  for (const at of [65_536, 2 ** 31 - 1, 2 ** 31, -1, -65_536]) {
    assert.throws(() => a.exports.write(at, 1), WebAssembly.RuntimeError);
    assert.throws(() => a.exports.read(at), WebAssembly.RuntimeError);
  }
  assert.throws(() => a.exports.fill(65_000, 1000), WebAssembly.RuntimeError);
  assert.ok(host.every((byte) => byte === 9));
  assert.equal(b.exports.read(0), 3);
  a.exports.write(65_535, 5);
  assert.equal(a.exports.read(65_535), 5);
});

test("a plugin at its limit gets -1 from memory.grow, and the host hears of it", async () => {
  const heard: RefusedGrowth[] = [];
  using a = await make({ onRefusedGrowth: (event) => heard.push(event) });
  const { grow, size } = a.exports;
  assert.deepEqual([grow(2), size(), heard.length], [1, 3, 0]);
  assert.deepEqual([grow(2), size()], [-1, 3]);
  assert.deepEqual(heard, [{ asked: 2, pages: 3, maxMemory: 4, times: 1 }]);
  assert.deepEqual([grow(1), grow(0), size(), heard.length], [3, 4, 4, 1]);
  assert.deepEqual([grow(1), grow(65_536), grow(-1)], [-1, -1, -1]);
  assert.deepEqual(
    heard.slice(1).map(({ asked, pages }) => [asked, pages]),
    [
      [1, 4],
      [65_536, 4],
      [2 ** 32 - 1, 4],
    ],
  );
  assert.equal(a.memory.maximum, 4);
  assert.throws(() => a.memory.grow(1), { name: "LinmemRangeError", code: "ERR_LINMEM_MAXIMUM" });
});

test("the host hears before the plugin can call it, and when the plugin traps", async () => {
  const order: string[] = [];
  using a = await instantiateIsolated(caller, {
    maxMemory: 2,
    imports: { env: { host: () => order.push("called") } },
    onRefusedGrowth: ({ asked, pages, times }) => order.push(`refused ${asked} of ${pages}, ${times} times`),
  });
  a.exports.run();
  assert.deepEqual(order, ["refused 100 of 1, 1 times", "called"]);
  const traps = await assemble(`(module (memory 1)
    (func $start (drop (memory.grow (i32.const 9))) (drop (memory.grow (i32.const 10))))
    (start $start)
    (func (export "run") (drop (memory.grow (i32.const 11))) unreachable))`);
  const heard: RefusedGrowth[] = [];
  using b = await instantiateIsolated(traps, { maxMemory: 2, onRefusedGrowth: (event) => heard.push(event) });
  assert.deepEqual(heard, [{ asked: 10, pages: 1, maxMemory: 2, times: 2 }]);
  assert.throws(() => b.exports.run(), WebAssembly.RuntimeError);
  assert.equal(heard[1].asked, 11);
});

test("the maximum is the lower one of the module's and the host's", async () => {
  const declares = await assemble(
    `(module (memory (export "m") 1 3) (func (export "g") (result i32) (memory.grow (i32.const 1))))`,
  );
  for (const [maxMemory, maximum] of [
    [2, 2],
    [3, 3],
    [100, 3],
    [2 ** 40, 3],
  ]) {
    using a = await instantiateIsolated(declares, { maxMemory });
    assert.equal(a.memory.maximum, maximum);
  }
  const none = await assemble(`(module (memory (export "m") 1))`);
  using a = await instantiateIsolated(none, { maxMemory: 5 });
  assert.equal(a.memory.maximum, 5);
});

test("a module that begins with more than it may have is refused", async () => {
  const large = await assemble(`(module (memory 10))`);
  await assert.rejects(instantiateIsolated(large, { maxMemory: 9 }), {
    name: "LinmemRangeError",
    code: "ERR_LINMEM_MAX_MEMORY",
    message: "the module begins with 10 pages of memory, more than the 9 that it may have",
    numbers: { initial: 10, maxMemory: 9 },
  });
  const imports = await assemble(`(module (import "env" "memory" (memory 10)))`);
  await assert.rejects(instantiateIsolated(imports, { maxMemory: 9 }), { code: "ERR_LINMEM_MAX_MEMORY" });
});

test("imported memories, tables and mutable globals are its own", async () => {
  const bytes = await assemble(`(module
    (import "env" "memory" (memory 1 100))
    (import "env" "table" (table 3 funcref))
    (import "env" "counter" (global $counter (mut i32)))
    (import "env" "scale" (global $scale i64))
    (func $f (export "count") (result i32)
      (global.set $counter (i32.add (global.get $counter) (i32.const 1)))
      (i32.store8 (i32.const 0) (global.get $counter))
      (global.get $counter))
    (elem (i32.const 0) $f)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "scaled") (result i64) (global.get $scale)))`);
  const imports = { env: { counter: 5, scale: 3n } };
  const heard: number[] = [];
  const onRefusedGrowth = ({ asked }: RefusedGrowth) => heard.push(asked);
  using a = await instantiateIsolated(bytes, { maxMemory: 4, imports, onRefusedGrowth });
  using b = await instantiateIsolated(bytes, { maxMemory: 4, imports });
  assert.deepEqual([a.exports.count(), a.exports.count(), b.exports.count()], [6, 7, 6]);
  assert.deepEqual([a.memory.readU8(0), b.memory.readU8(0)], [7, 6]);
  assert.equal(a.exports.scaled(), 3n);
  assert.deepEqual([a.exports.grow(3), a.exports.grow(1), heard], [1, -1, [1]]);
  assert.deepEqual([a.memory.maximum, b.memory.pages], [4, 1]);
  const shared: [string, unknown][] = [
    ["memory", new WebAssembly.Memory({ initial: 1, maximum: 100 })],
    ["table", new WebAssembly.Table({ initial: 3, element: "anyfunc" })],
    ["counter", new WebAssembly.Global({ value: "i32", mutable: true }, 1)],
  ];
  for (const [name, value] of shared) {
    const given = { env: { ...imports.env, [name]: value as object } };
    await assert.rejects(instantiateIsolated(bytes, { maxMemory: 4, imports: given }), {
      name: "LinmemTypeError",
      code: "ERR_LINMEM_SHARED_IMPORT",
      message: new RegExp(`"env"\\."${name}"`),
    });
  }
});

test("imports are looked at one by one, and never enumerated", async () => {
  const asked: PropertyKey[] = [];
  const env = new Proxy(
    {},
    {
      get: (_, name) => {
        asked.push(name);
        return () => {};
      },
      ownKeys: () => assert.fail("enumerated"),
      has: () => assert.fail("searched"),
    },
  );
  using a = await instantiateIsolated(caller, { maxMemory: 2, imports: { env } });
  a.exports.run();
  assert.deepEqual(asked, ["host"]);
});

test("bad options, bytes and imports", async () => {
  for (const maxMemory of [-1, 0.5, Number.NaN, "4", 4n, undefined]) {
    await assert.rejects(make({ maxMemory: maxMemory as number }), {
      name: "LinmemTypeError",
      code: "ERR_LINMEM_PAGES",
    });
  }
  await assert.rejects(instantiateIsolated(plugin, undefined as never), { code: "ERR_LINMEM_PAGES" });
  for (const bytes of [null, 5, "text", {}]) {
    await assert.rejects(instantiateIsolated(bytes as never, { maxMemory: 1 }), { code: "ERR_LINMEM_VALUE" });
  }
  await assert.rejects(instantiateIsolated(Uint8Array.of(1, 2, 3), { maxMemory: 1 }), {
    name: "DecodeError",
  });
  await assert.rejects(instantiateIsolated(plugin.subarray(0, 60), { maxMemory: 1 }), {
    name: "DecodeError",
  });
  for (const host of [undefined, null, 5, {}]) {
    await assert.rejects(
      instantiateIsolated(caller, { maxMemory: 2, imports: { env: { host: host as never } } }),
      {
        name: "LinmemTypeError",
        code: "ERR_LINMEM_IMPORT",
      },
    );
  }
  await assert.rejects(instantiateIsolated(caller, { maxMemory: 2 }), { code: "ERR_LINMEM_IMPORT" });
});

test("bytes that change behind the decoder's back change nothing", async () => {
  const bytes = new Uint8Array(new SharedArrayBuffer(plugin.length));
  bytes.set(plugin);
  const made = instantiateIsolated(bytes as never, { maxMemory: 2 });
  bytes.fill(0);
  using a = await made;
  assert.equal(a.exports.grow(1), 1);
  using b = await instantiateIsolated(plugin.buffer, { maxMemory: 2 });
  assert.equal(b.exports.grow(2), -1);
});

test("after dispose() nothing works any more, and says why", async () => {
  const a = await make();
  const { exports } = a;
  const { read } = exports;
  a.dispose();
  const gone = { name: "ReleasedError", handle: "isolated instance of at most 4 pages" };
  assert.throws(() => read(0), gone);
  assert.throws(() => exports.read(0), gone);
  assert.throws(() => exports.memory, gone);
  assert.throws(() => a.memory, gone);
  assert.throws(() => a.dispose(), { ...gone, name: "DoubleReleaseError" });
  assert.throws(() => a.release(), { name: "DoubleReleaseError" });
});

test("a plugin that is disposed of while it runs can't call the host again", async () => {
  const twice = await assemble(`(module
    (import "env" "host" (func $host))
    (func (export "run") (call $host) (call $host)))`);
  let calls = 0;
  const a = await instantiateIsolated(twice, {
    maxMemory: 0,
    imports: {
      env: {
        host() {
          calls++;
          a.dispose();
        },
      },
    },
  });
  assert.throws(() => a.exports.run(), { name: "ReleasedError" });
  assert.equal(calls, 1);
});

test("an error of the listener is nobody's but its own", async () => {
  const script = fileURLToPath(new URL("../../src/memory/isolated.ts", import.meta.url));
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [
      withTypeScript,
      "--input-type=module",
      "--eval",
      `import { instantiateIsolated } from ${JSON.stringify(script)};
       process.on("uncaughtException", (error) => console.log("uncaught", error.message));
       const a = await instantiateIsolated(Uint8Array.from(${JSON.stringify([...plugin])}), {
         maxMemory: 1, onRefusedGrowth() { throw new Error("mine"); } });
       console.log(a.exports.grow(1));`,
    ],
    { encoding: "utf8" },
  );
  assert.equal(stdout, "-1\nuncaught mine\n", stderr);
});

test("exports keep their names, and those that were added are not among them", async () => {
  using a = await make();
  assert.deepEqual(Object.keys(a.exports), ["memory", "read", "write", "grow", "size", "fill"]);
  assert.ok(Object.isFrozen(a.exports));
  const clash = await assemble(`(module (memory 1)
    (func (export "linmem.memory") (result i32) (memory.grow (i32.const 5)))
    (func (export "linmem.refused") (result i32) (i32.const 2))
    (func (export "__proto__") (result i32) (i32.const 3)))`);
  using b = await instantiateIsolated(clash, { maxMemory: 1 });
  const { exports } = b;
  assert.deepEqual(
    [exports["linmem.memory"](), exports["linmem.refused"](), Reflect.get(exports, "__proto__")()],
    [-1, 2, 3],
  );
  assert.equal(b.memory.pages, 1);
});

test("a module without memory, and one that never grows", async () => {
  const pure = await assemble(`(module (func (export "f") (result i32) (i32.const 4)))`);
  using a = await instantiateIsolated(pure, { maxMemory: 0 });
  assert.equal(a.exports.f(), 4);
  assert.throws(() => a.memory, { code: "ERR_LINMEM_NOT_A_MEMORY" });
});

test("programs compiled from C and Rust run isolated, with a heap of their own", async () => {
  for (const name of ["c", "rust"]) {
    const bytes = readFileSync(new URL(`../fixtures/heaps/${name}.wasm`, import.meta.url));
    const heard: RefusedGrowth[] = [];
    const imports = { env: { abort: () => assert.fail("abort") } };
    using a = await instantiateIsolated(bytes, {
      maxMemory: 8,
      imports,
      onRefusedGrowth: (e) => heard.push(e),
    });
    a.exports._initialize?.();
    const heap = new ModuleHeap(a.exports);
    using text = heap.string("isolated");
    assert.equal(String(text), "isolated");
    assert.equal(heard.length, 0);
    assert.throws(() => heap.block(2_000_000), { name: "AllocationError" });
    assert.ok(heard.length > 0);
    assert.equal(heard[0].maxMemory, 8);
    assert.ok(a.memory.pages <= 8);
  }
});

test("several memories share the bound", async (t) => {
  const two = await assemble(`(module (memory $a (export "a") 1 3) (memory $b 1)
    (func (export "growA") (param i32) (result i32) (memory.grow $a (local.get 0)))
    (func (export "growB") (param i32) (result i32) (memory.grow $b (local.get 0))))`);
  if (!WebAssembly.validate(two)) return t.skip("this engine has no modules with several memories");
  const heard: number[] = [];
  using a = await instantiateIsolated(two, {
    maxMemory: 5,
    onRefusedGrowth: ({ pages }) => heard.push(pages),
  });
  const { growA, growB } = a.exports;
  assert.deepEqual([growA(3), growA(2), growB(2), growB(1), growB(1)], [-1, 1, -1, 1, -1]);
  assert.deepEqual(heard, [2, 4, 5]);
});

test("memories with 64-bit addresses are bounded too", async (t) => {
  if (!hasAddresses64) return t.skip("this engine has no 64-bit addresses");
  const wide = await assemble(`(module (memory i64 1)
    (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0))))`);
  const heard: RefusedGrowth[] = [];
  using a = await instantiateIsolated(wide, { maxMemory: 3, onRefusedGrowth: (event) => heard.push(event) });
  assert.deepEqual([a.exports.grow(2n), a.exports.grow(1n)], [1n, -1n]);
  assert.deepEqual(heard, [{ asked: 1, pages: 3, maxMemory: 3, times: 1 }]);
});

function collected(...mode: string[]): { before: boolean; after: boolean; live: number } {
  const script = fileURLToPath(new URL("support/disposed.ts", import.meta.url));
  const { stdout, stderr } = spawnSync(process.execPath, ["--expose-gc", withTypeScript, script, ...mode], {
    encoding: "utf8",
  });
  assert.notEqual(stdout, "", stderr);
  return JSON.parse(stdout);
}

test("after dispose() the collector frees the memory, whatever the host still holds of the handle", () => {
  const { before, after, live } = collected();
  assert.deepEqual({ before, after, live }, { before: true, after: false, live: 0 });
});

test("a view that the host keeps, keeps the memory, and liveMemories() says so", () => {
  const { live } = collected("view");
  assert.equal(live, 1);
});
