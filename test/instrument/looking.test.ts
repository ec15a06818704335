// Functions that only a table leads to, where JavaScript can see it: they look themselves whether an entry runs.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { decodeModule } from "../../src/wasm/module.js";
import { thrownBy } from "../support/wasm-stacks.js";
import {
  assemble,
  bumpAllocator,
  counts,
  type Exports,
  mallocAndFree,
  type Profiled,
  profile,
} from "./support.js";

const element = ({ instance }: Pick<Profiled, "instance">, index: number) =>
  (instance.exports.table as WebAssembly.Table).get(index) as (...args: unknown[]) => unknown;

/** Index of an element, without imports. */
function elementIndex(bytes: Uint8Array, index: number): number {
  const { elements, importedFunctionCount } = decodeModule(bytes);
  return elements[0].functions![index] - importedFunctionCount;
}

const callers = assemble(`(module ${bumpAllocator}
  (type $make (func (param i32) (result i32)))
  (table (export "table") funcref (elem $make $called $trap))
  (func $make (type $make) (local $block i32)
    (local.set $block (call $malloc (local.get 0)))
    (local.get $block))
  (func $called (type $make) (call $malloc (local.get 0)))
  (func $trap (type $make) (local f64)
    (drop (call $malloc (local.get 0)))
    (drop (i32.load (i32.const -4)))
    (call $malloc (local.get 0)))
  (func (export "direct") (param i32) (result i32) (call $called (local.get 0)))
  (func (export "through") (param i32 i32) (result i32) (call_indirect (type $make) (local.get 0) (local.get 1)))
  (func (export "through again") (param i32 i32) (result i32)
    (call_indirect (type $make) (local.get 0) (local.get 1))))`);

describe("a function that only a table leads to", () => {
  test("is in the table itself; one that is called directly too has an entry there", () => {
    const { bytes } = profile(callers).instrumentation;
    assert.equal(elementIndex(bytes, 0), elementIndex(callers, 0));
    assert.notEqual(elementIndex(bytes, 1), elementIndex(callers, 1));
  });

  test("tells the calls that lead to it apart, whoever calls", () => {
    const profiled = profile(callers);
    const contexts = () => profiled.recorder.takeChanges().contexts.length;
    contexts();
    const ways = [
      () => profiled.call.through(8, 0),
      () => profiled.call["through again"](8, 0),
      () => element(profiled, 0)(8),
    ];
    for (const way of ways) {
      way();
      assert.equal(contexts(), 1);
      way();
      assert.equal(contexts(), 0);
    }
    assert.deepEqual([counts(profiled).allocations, counts(profiled).liveBytes], [6, 48]);
  });

  test("has its JavaScript caller captured when JavaScript called it, once", () => {
    let captures = 0;
    const profiled = profile(callers, mallocAndFree, {}, { captureCaller: () => ++captures });
    element(profiled, 0)(8);
    assert.equal(captures, 1);
    profiled.call.through(8, 0);
    assert.equal(captures, 2, "only for the outermost entry");
  });

  test("traps where it did, called by either", () => {
    for (const run of [
      (it: Pick<Profiled, "instance">) => element(it, 2)(8),
      ({ instance }: Pick<Profiled, "instance">) => (instance.exports as unknown as Exports).through(8, 2),
    ]) {
      const profiled = profile(callers);
      const { toOriginal } = profiled.instrumentation;
      const expected = thrownBy(() =>
        run({ instance: new WebAssembly.Instance(new WebAssembly.Module(callers)) }),
      );
      const thrown = thrownBy(() => run(profiled));
      const frames = thrown!.frames.flatMap(({ functionIndex, offset }) => {
        const { added, ...position } = toOriginal(functionIndex, offset);
        return added ? [] : [position];
      });
      assert.deepEqual(
        frames,
        expected!.frames.map(({ functionIndex, offset }) => ({ functionIndex, offset })),
      );
      assert.ok(frames.length > 0);
      profiled.call.direct(8);
      assert.equal(counts(profiled).allocations, 2, "recorded after the trap");
    }
  });

  test("with 200 parameters", () => {
    const parameters = Array.from({ length: 200 }, () => "i64").join(" ");
    const many = profile(
      assemble(`(module ${bumpAllocator}
        (table (export "table") funcref (elem $make))
        (func $make (param ${parameters}) (result i64)
          (drop (call $malloc (i32.const 8)))
          (i64.sub (local.get 199) (local.get 0))))`),
    );
    const values = Array.from({ length: 200 }, (_, i) => BigInt(i + 5));
    assert.equal(element(many, 0)(...values), 199n);
    assert.equal(counts(many).allocations, 1);
  });

  // what a thousand parameters put in front of each is six times as long as the rest of it
  test("with 1000 parameters, one behind the other", () => {
    const names = Array.from({ length: 1500 }, (_, i) => `$make${i}`);
    const body = `(drop (call $malloc (local.get 999))) ${"(drop (i64.const -0x8000000000000000))".repeat(40)}`;
    const many = profile(
      assemble(`(module ${bumpAllocator}
        (type $wide (func ${"(param i32)".repeat(1000)}))
        (table (export "table") funcref (elem ${names.join(" ")}))
        ${names.map((name) => `(func ${name} (type $wide) ${body})`).join("\n")})`),
    );
    for (const i of [0, 749, 1499]) element(many, i)(...Array.from({ length: 1000 }, (_, p) => p + i));
    assert.deepEqual([counts(many).allocations, counts(many).liveBytes], [3, 3 * 999 + 749 + 1499]);
  });

  test("in a loop of a million tail calls", () => {
    const loop = profile(
      assemble(`(module ${bumpAllocator}
        (type $step (func (param i32) (result i32)))
        (table (export "table") funcref (elem $even $odd))
        (func $even (type $step)
          (if (i32.eqz (local.get 0)) (then (return (call $malloc (i32.const 8)))))
          (return_call_indirect (type $step) (i32.sub (local.get 0) (i32.const 1)) (i32.const 1)))
        (func $odd (type $step)
          (return_call_indirect (type $step) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))))`),
    );
    assert.equal(element(loop, 0)(1_000_000), 1024);
    assert.equal(counts(loop).allocations, 1);
  });
});

describe("while the allocator runs", () => {
  // `calloc` reaches `malloc` by a function that looks, `sbrk` may call back
  const inside = assemble(`(module
    (import "env" "sbrk" (func $sbrk (param i32)))
    ${bumpAllocator}
    (type $make (func (param i32) (result i32)))
    (table (export "table") funcref (elem $make))
    (func $make (type $make) (call $malloc (local.get 0)))
    (func $calloc (export "calloc") (param $n i32) (param $size i32) (result i32)
      (call $sbrk (local.get $size))
      (call_indirect (type $make) (i32.mul (local.get $n) (local.get $size)) (i32.const 0)))
    (func (export "make") (param i32) (result i32) (call_indirect (type $make) (local.get 0) (i32.const 0))))`);

  function start(sbrk: (size: number, profiled: Profiled) => void) {
    let asked = 0;
    const profiled: Profiled = profile(
      inside,
      { ...mallocAndFree, calloc: "calloc" },
      { env: { sbrk: (size: number) => sbrk(size, profiled) } },
      { isNested: () => ++asked > 0 },
    );
    return { ...profiled, asked: () => asked };
  }

  test("it is the allocator that calls: only its outermost call counts", () => {
    const profiled = start(() => {});
    for (let i = 1; i <= 3; i++) {
      assert.equal(profiled.call.calloc(2, 8), 1024 + 80 * (i - 1));
      assert.deepEqual([counts(profiled).allocations, counts(profiled).liveBytes], [2 * i - 1, 40 * i - 24]);
      profiled.call.make(24);
      assert.deepEqual([counts(profiled).allocations, counts(profiled).liveBytes], [2 * i, 40 * i]);
    }
    assert.ok(profiled.asked() >= 3, "the host was asked");
  });

  test("JavaScript that it called goes through the table", () => {
    const profiled = start((size, it) => {
      if (size === 8) element(it, 0)(100);
    });
    profiled.call.calloc(1, 8);
    profiled.call.calloc(1, 9);
    assert.deepEqual([counts(profiled).allocations, counts(profiled).liveBytes], [2, 17]);
  });

  test("an exception of what it called leaves nothing behind", () => {
    const profiled = profile(
      inside,
      { ...mallocAndFree, calloc: "calloc" },
      {
        env: {
          sbrk: () => {
            throw new Error("no more memory");
          },
        },
      },
      { isNested: () => false },
    );
    for (let i = 1; i <= 3; i++) {
      assert.throws(() => profiled.call.calloc(1, 8), /no more memory/);
      element(profiled, 0)(16);
      assert.deepEqual([counts(profiled).allocations, counts(profiled).liveBytes], [i, 16 * i]);
    }
  });
});

test("an allocator behind a table, as C libraries that can be told another have it", () => {
  const profiled = profile(
    assemble(`(module
      (memory (export "memory") 1)
      (global $top (mut i32) (i32.const 1024))
      (type $malloc (func (param i32) (result i32)))
      (type $free (func (param i32)))
      (table (export "table") funcref (elem $malloc $free))
      (func $malloc (export "malloc") (type $malloc)
        (global.get $top)
        (global.set $top (i32.add (global.get $top) (i32.const 32))))
      (func $free (export "free") (type $free))
      (func (export "makeAndRelease") (param $size i32) (param $keep i32) (local $block i32)
        (local.set $block (call_indirect (type $malloc) (local.get $size) (i32.const 0)))
        (br_if 0 (local.get $keep))
        (call_indirect (type $free) (local.get $block) (i32.const 1))))`),
  );
  const { exports } = profiled.instance;
  assert.equal(exports.malloc, element(profiled, 0));
  assert.equal(exports.free, element(profiled, 1));
  for (let i = 1; i <= 3; i++) {
    profiled.call.makeAndRelease(8, 0);
    profiled.call.makeAndRelease(8, 1);
    profiled.call.free(profiled.call.malloc(16));
    const { allocations, frees, liveBytes, unknownFrees } = counts(profiled);
    assert.deepEqual([allocations, frees, liveBytes, unknownFrees], [3 * i, 2 * i, 8 * i, 0]);
  }
  const { bytes } = profiled.instrumentation;
  assert.equal(decodeModule(bytes).exports.find(({ name }) => name === "malloc")?.kind, 0);
});

describe("what JavaScript reaches through a table without an allocation on the way", () => {
  function start(wat: string, allocator = mallocAndFree) {
    let captures = 0;
    const profiled = profile(
      assemble(wat),
      allocator,
      { env: { call: (inside?: () => void) => inside?.() } },
      { captureCaller: () => ++captures },
    );
    return { profiled, captures: () => captures };
  }

  test("leaves no context behind that would hide later entries: it calls an import", () => {
    const { profiled, captures } = start(`(module
      (import "env" "call" (func $call (param externref)))
      ${bumpAllocator}
      (table (export "table") funcref (elem $make $handle))
      (func $make (drop (call $malloc (i32.const 8))))
      (func $handle (param externref) (call $call (local.get 0)) (call $call (local.get 0))))`);
    element(profiled, 1)(null);
    element(profiled, 0)();
    element(profiled, 0)();
    assert.equal(captures(), 2);
    element(profiled, 1)(() => profiled.call.malloc(8));
    assert.equal(captures(), 3, "what the import calls back belongs to the entry");
    assert.equal(counts(profiled).allocations, 4);
  });

  for (const visible of ["exported", "in the table"]) {
    test(`leaves none either where it catches exceptions: ${visible}`, () => {
      const { profiled, captures } = start(`(module
        ${bumpAllocator}
        (table (export "table") funcref (elem $make ${visible === "exported" ? "" : "$attempt"}))
        (func $make (drop (call $malloc (i32.const 8))))
        (func $compute (result i32) (i32.const 5))
        (func $attempt ${visible === "exported" ? `(export "attempt")` : ""} (result i32)
          (try (result i32) (do (call $compute)) (catch_all (i32.const 0)))))`);
      const attempt = visible === "exported" ? profiled.call.attempt : element(profiled, 1);
      assert.equal(attempt(), 5);
      element(profiled, 0)();
      element(profiled, 0)();
      assert.equal(captures(), 2);
    });
  }

  test("releases after an exception has left the allocator", () => {
    const { profiled } = start(
      `(module
        ${bumpAllocator}
        (table (export "table") funcref (elem $release))
        (func $realloc (export "realloc") (param $p i32) (param $size i32) (result i32) (local $to i32)
          (local.set $to (call $malloc (local.get $size)))
          (if (i32.eq (local.get $size) (i32.const 1)) (then unreachable))
          (call $free (local.get $p))
          (local.get $to))
        (func $release (param i32) (call $free (local.get 0))))`,
      { ...mallocAndFree, realloc: "realloc" },
    );
    const block = profiled.call.malloc(8);
    assert.throws(() => profiled.call.realloc(block, 1));
    element(profiled, 0)(block);
    assert.deepEqual([counts(profiled).frees, counts(profiled).liveBytes], [1, 0]);
  });
});
