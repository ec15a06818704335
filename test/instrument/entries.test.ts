// Calling contexts and entries: which chain of calls, and which JavaScript, a block belongs to.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { assemble, bumpAllocator, counts, type Profiled, profile } from "./support.js";

const bytes = assemble(`(module
  (import "env" "callback" (func $callback (param i32) (result i32)))
  ${bumpAllocator}
  (table (export "table") funcref (elem $hidden))
  (func $helper (param i32) (result i32) (call $malloc (local.get 0)))
  (func $make (export "make") (param i32) (result i32) (call $helper (local.get 0)))
  (func (export "other") (param i32) (result i32) (call $helper (local.get 0)))
  (func (export "twoSites") (drop (call $helper (i32.const 1))) (drop (call $helper (i32.const 1))))
  (func (export "loop") (param i32)
    (loop
      (call $free (call $helper (i32.const 1)))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func $recurse (export "recurse") (param i32)
    (if (local.get 0) (then (call $recurse (i32.sub (local.get 0) (i32.const 1)))) (else (drop (call $make (i32.const 1))))))
  (func $hidden (param i32) (result i32) (call $helper (local.get 0)))
  (func (export "callBack") (param i32) (result i32)
    (drop (call $helper (i32.const 100)))
    (call $callback (local.get 0)))
  (func (export "makeAndTrap") (param i32) (drop (call $helper (local.get 0))) unreachable))`);

function start(callback: (argument: number, profiled: Profiled) => number = () => 0) {
  const callers: string[] = ["nobody"];
  const profiled: Profiled = profile(
    bytes,
    undefined,
    { env: { callback: (argument: number) => callback(argument, profiled) } },
    { captureCaller: () => callerOnStack(callers) },
  );
  return { ...profiled, callers };
}

/** Number of the innermost JavaScript function below the wasm frames. */
function callerOnStack(callers: string[]): number {
  const lines = (new Error().stack ?? "").split("\n");
  const lastWasm = lines.findLastIndex((line) => line.includes("wasm://"));
  const name = /at (?:Object\.)?(\w+)/.exec(lines[lastWasm + 1] ?? "")?.[1] ?? "nobody";
  if (!callers.includes(name)) callers.push(name);
  return callers.indexOf(name);
}

/** Live bytes by name of the caller that was captured. */
function liveBytesByCaller({ recorder, callers }: ReturnType<typeof start>): Record<string, number> {
  const { contexts, totals } = recorder.takeChanges();
  const live: Record<string, number> = {};
  for (const [id, , , , bytes] of totals) {
    const name = callers[contexts.find((context) => context.id === id)?.caller ?? 0];
    if (bytes > 0) live[name] = (live[name] ?? 0) + bytes;
  }
  return live;
}

describe("calling contexts", () => {
  test("one for each chain of call sites, whoever calls and however often", () => {
    const { call, contexts, instance } = start();
    const after = (...calls: (() => unknown)[]) => {
      for (const one of calls) one();
      return contexts.size;
    };
    assert.equal(
      after(() => call.make(8)),
      1,
    );
    assert.equal(
      after(
        () => call.make(8),
        () => call.make(8),
      ),
      1,
    );
    assert.equal(
      after(() => call.other(8)),
      2,
      "another export",
    );
    assert.equal(
      after(
        () => call.twoSites(),
        () => call.twoSites(),
      ),
      4,
      "two call sites",
    );
    assert.equal(
      after(() => call.loop(100)),
      5,
      "a loop is one site",
    );
    assert.equal(
      after(() => call.malloc(8)),
      6,
      "the allocator itself",
    );
    const hidden = (instance.exports.table as WebAssembly.Table).get(0) as (size: number) => number;
    assert.equal(
      after(
        () => hidden(8),
        () => hidden(8),
      ),
      7,
      "through a table",
    );
    assert.equal(
      after(
        () => call.recurse(3),
        () => call.recurse(3),
      ),
      8,
      "recursion of one depth",
    );
    assert.equal(
      after(() => call.recurse(4)),
      9,
      "and of another",
    );
    assert.equal(new Set(contexts.values()).size, 9);
  });

  test("an entry called from JavaScript that wasm called continues its context", () => {
    const profiled = start((size, { call }) => call.make(size) as number);
    profiled.call.make(8);
    assert.equal(profiled.contexts.size, 1);
    profiled.call.callBack(8);
    profiled.call.callBack(8);
    assert.equal(profiled.contexts.size, 3, "its own block, and the nested one");
    profiled.call.make(8);
    assert.equal(profiled.contexts.size, 3);
    assert.deepEqual([counts(profiled).allocations, counts(profiled).liveBytes], [6, 232]);
  });

  test("what a trap or an exception leaves behind makes no new contexts", () => {
    const profiled = start((argument) => {
      throw new Error(`callback ${argument}`);
    });
    const { call, contexts } = profiled;
    const hidden = (profiled.instance.exports.table as WebAssembly.Table).get(0) as (size: number) => number;
    call.make(8);
    call.other(8);
    assert.throws(() => call.makeAndTrap(8), WebAssembly.RuntimeError);
    assert.throws(() => call.callBack(8), /callback 8/);
    const known = contexts.size;
    for (let i = 0; i < 10; i++) {
      call.make(8);
      assert.throws(() => call.makeAndTrap(8), WebAssembly.RuntimeError);
      call.other(8);
      assert.throws(() => call.callBack(8), /callback 8/);
      call.make(8);
    }
    assert.equal(contexts.size, known);
    hidden(8);
    assert.equal(contexts.size, known + 1);
    assert.equal(counts(profiled).allocations, 4 + 10 * 5 + 1);
  });

  test("a trap inside a nested entry that JavaScript catches", () => {
    const profiled = start((size, { call }) => {
      assert.throws(() => call.makeAndTrap(8), WebAssembly.RuntimeError);
      return call.make(size) as number;
    });
    for (let i = 0; i < 3; i++) profiled.call.callBack(8);
    assert.deepEqual([counts(profiled).allocations, counts(profiled).liveBytes], [9, 3 * 116]);
    profiled.call.make(8);
    assert.equal(counts(profiled).allocations, 10);
  });
});

describe("the caller in JavaScript that a block belongs to", () => {
  for (const carefulFirst of [true, false]) {
    const order = `the ${carefulFirst ? "careful" : "careless"} one came first`;

    function run(profiled: ReturnType<typeof start>, rounds: number): Record<string, number> {
      const { call } = profiled;
      function careful() {
        const block = call.make(1000);
        call.free(block);
      }
      function careless() {
        call.make(1000);
      }
      for (let i = 0; i < rounds; i++) {
        for (const step of carefulFirst ? [careful, careless] : [careless, careful]) step();
      }
      const live = liveBytesByCaller(profiled);
      const sum = Object.values(live).reduce((all, bytes) => all + bytes);
      assert.equal(sum, rounds * 1000);
      return live;
    }

    test(`two callers of one export; ${order}`, () => {
      assert.deepEqual(run(start(), 500), { careless: 500_000 });
    });

    test(`the same when only some entries are captured; ${order}`, () => {
      const profiled = start();
      profiled.recorder.setEager(false);
      const { nobody, ...captured } = run(profiled, 5000);
      assert.deepEqual(Object.keys(captured), ["careless"], "the sample names nobody else");
      assert.ok(captured.careless >= 50_000, `captured ${captured.careless} bytes, not captured ${nobody}`);
    });
  }

  test("who releases later is not blamed for what is left", () => {
    const profiled = start();
    const { call } = profiled;
    const blocks: unknown[] = [];
    const keeping = () => blocks.push(call.make(1000));
    const forgetting = () => call.make(10);
    for (let i = 0; i < 100; i++) {
      keeping();
      forgetting();
    }
    assert.deepEqual(liveBytesByCaller(profiled), { keeping: 100_000, forgetting: 1000 });
  });

  test("blocks of a nested entry belong to the outermost caller", () => {
    const profiled = start((size, { call }) => {
      const inner = () => call.make(size) as number;
      return inner();
    });
    const outer = () => profiled.call.callBack(10);
    outer();
    assert.deepEqual(liveBytesByCaller(profiled), { outer: 110 });
  });

  test("blocks of an entry that a trap ended have none", () => {
    const profiled = start();
    const trapping = () => profiled.call.makeAndTrap(7);
    const making = () => profiled.call.make(10);
    assert.throws(trapping, WebAssembly.RuntimeError);
    making();
    assert.deepEqual(liveBytesByCaller(profiled), { nobody: 7, making: 10 });
  });

  test("through a table", () => {
    const profiled = start();
    const table = profiled.instance.exports.table as WebAssembly.Table;
    const tabling = () => (table.get(0) as (size: number) => number)(10);
    tabling();
    tabling();
    assert.deepEqual(liveBytesByCaller(profiled), { tabling: 20 });
  });
});
