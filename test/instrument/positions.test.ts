// The way back from a stack of the instrumented module to the original: same functions, offsets and names as the
// engine gives for the raw module, with nothing between them but what is marked as added.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { instrument } from "../../src/instrument/index.js";
import { thrownBy, type WasmFrame } from "../support/wasm-stacks.js";
import {
  type Allocator,
  assemble,
  bumpAllocator,
  type Exports,
  mallocAndFree,
  overridesOf,
  profile,
} from "./support.js";

/** Frames of a stack of the instrumented module as they were in the original, without those that were added. */
function mapped(frames: readonly WasmFrame[], { toOriginal }: ReturnType<typeof instrument>) {
  return frames.flatMap(({ functionIndex, offset, name }) => {
    const { added, ...position } = toOriginal(functionIndex, offset);
    return added ? [] : [{ ...position, name }];
  });
}

/** Runs the same call raw and instrumented; both have to throw, with the same stack. */
function compareStacks(
  bytes: Uint8Array<ArrayBuffer>,
  allocator: Allocator,
  run: (exports: Exports) => unknown,
) {
  const raw = new WebAssembly.Instance(new WebAssembly.Module(bytes), {});
  const profiled = profile(bytes, allocator);
  const expected = thrownBy(() => run(raw.exports as unknown as Exports));
  const thrown = thrownBy(() => run(profiled.call));
  assert.ok(expected && thrown, "nothing was thrown");
  assert.equal(String(thrown.error), String(expected.error));
  const wanted = expected.frames.map(({ functionIndex, offset, name }) => ({ functionIndex, offset, name }));
  assert.deepEqual(mapped(thrown.frames, profiled.instrumentation), wanted);
  return { raw: expected.frames, instrumented: thrown.frames };
}

// every trap lies behind something that changes length: locals, a hook, a call, an exit, a reference
const traps = assemble(`(module ${bumpAllocator}
  (table 2 funcref)
  (elem declare func $helper)
  (type $helper (func (param i32) (result i32)))
  (func $helper (type $helper) (call $malloc (local.get 0)))
  (func (export "beforeAnyCall") (result i32) (local f64)
    (drop (i32.load (i32.const -4)))
    (call $helper (i32.const 1)))
  (func (export "betweenCalls") (result i32)
    (drop (call $helper (i32.const 1)))
    (drop (i32.load (i32.const -4)))
    (call $helper (i32.const 1)))
  (func (export "afterCalls") (drop (call $helper (i32.const 1))) unreachable)
  (func (export "afterGrowth") (drop (memory.grow (i32.const 0))) unreachable)
  (func (export "afterReference")
    (table.set (i32.const 0) (ref.func $helper))
    (drop (call_indirect (type $helper) (i32.const 1) (i32.const 0)))
    (drop (call_indirect (type $helper) (i32.const 1) (i32.const 1))))
  (func $deep (export "deep") (param i32)
    (drop (call $helper (i32.const 1)))
    (if (i32.eqz (local.get 0)) (then unreachable))
    (call $deep (i32.sub (local.get 0) (i32.const 1))))
  (func $calloc (export "calloc") (param i32) (param i32) (result i32)
    (drop (i32.div_u (i32.const 64) (local.get 0)))
    (if (i32.eq (local.get 0) (i32.const 1)) (then (return (call $malloc (local.get 1)))))
    (drop (i32.div_u (i32.const 64) (local.get 1)))
    (if (i32.eq (local.get 1) (i32.const 1)) (then (return_call $malloc (local.get 0))))
    (drop (call $malloc (local.get 0)))
    unreachable))`);

describe("stacks of traps", () => {
  const allocator: Allocator = { ...mallocAndFree, calloc: "calloc" };
  for (const name of ["beforeAnyCall", "betweenCalls", "afterCalls", "afterGrowth", "afterReference"]) {
    test(name, () => {
      const { raw, instrumented } = compareStacks(traps, allocator, (exports) => exports[name]());
      assert.equal(raw.length, 1);
      assert.ok(instrumented.length >= raw.length);
    });
  }

  test("deep in a recursion, below an entry", () => {
    const { raw, instrumented } = compareStacks(traps, allocator, (exports) => exports.deep(5));
    assert.deepEqual([raw.length, instrumented.length], [6, 7]);
    assert.equal(raw[0].name, "deep");
  });

  for (const [first, second] of [
    [0, 5],
    [2, 0],
    [2, 3],
  ]) {
    test(`in an allocator function that is hooked: calloc(${first}, ${second})`, () => {
      compareStacks(traps, allocator, (exports) => exports.calloc(first, second));
    });
  }

  test("nothing but growth is reported", () => {
    compareStacks(traps, {}, (exports) => exports.afterGrowth());
    compareStacks(traps, {}, (exports) => exports.deep(2));
  });
});

test("indices whose encoding changes its length, padded ones and long ones", () => {
  // call targets of one byte become two, five bytes become one or two
  const fillers = Array.from({ length: 120 }, (_, i) => `(func $f${i} (result i32) (i32.const ${i}))`).join(
    "\n",
  );
  const wat = `(module ${bumpAllocator} ${fillers}
    (func $make (param i32) (result i32) (call $malloc (local.get 0)))
    (func (export "run")
      ${"(drop (call $make (i32.const 1)))\n(drop (call $f119))\n(drop (call $f3))\n".repeat(5)}
      (drop (i32.div_u (i32.const 1) (i32.const 0)))
      (drop (call $f119))))`;
  const plain = assemble(wat);
  compareStacks(plain, mallocAndFree, (exports) => exports.run());
  const padded = assemble(wat, { paddedIndices: true });
  assert.ok(padded.length > plain.length + 5);
  compareStacks(padded, mallocAndFree, (exports) => exports.run());
});

test("the position of a call is that of its instruction", () => {
  let frames: WasmFrame[] = [];
  const wat = (prefix: string) => `(module
    (import "env" "look" (func $look))
    ${bumpAllocator}
    (func (export "run") ${prefix} (call $look) (drop (call $malloc (i32.const 1)))))`;
  const look = () => {
    frames = thrownBy(() => {
      throw new Error("look");
    })?.frames as WasmFrame[];
  };
  const bytes = assemble(wat("(drop (call $malloc (i32.const 1)))"));
  (new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { look } }).exports.run as () => void)();
  const [raw] = frames;
  const profiled = profile(bytes, mallocAndFree, { env: { look } });
  profiled.call.run();
  assert.deepEqual(mapped(frames, profiled.instrumentation), [
    { functionIndex: raw.functionIndex, offset: raw.offset, name: raw.name },
  ]);
});

test("functions that were added say so", () => {
  const { toOriginal, bytes } = instrument(traps, { allocator: overridesOf(mallocAndFree) });
  const exports = new WebAssembly.Module(new Uint8Array(bytes));
  assert.ok(WebAssembly.Module.imports(exports).length >= 3);
  // behind the original's functions come entries
  const last = toOriginal(1000, 50);
  assert.equal(last.added, "entry");
  // an import of the recorder
  assert.equal(toOriginal(0, 0).offset, 0);
});
