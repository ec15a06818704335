// Functions that can reach an allocation are called with their context in one more parameter. Its index was that of the
// first local, which has to be another local now, wherever and however the body names it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { instructionEnd, op } from "../../src/wasm/instructions.js";
import { Reader, Writer } from "../../src/wasm/leb128.js";
import {
  decodeModule,
  encodeModule,
  type Module,
  makeSection,
  replaceSections,
} from "../../src/wasm/module.js";
import { decodeNames } from "../../src/wasm/names.js";
import { sectionId } from "../../src/wasm/types.js";
import {
  type Allocator,
  assemble,
  bumpAllocator,
  counts,
  type Exports,
  mallocAndFree,
  type Profiled,
  profile,
} from "./support.js";

/** The recorder's numbers of contexts in which blocks were allocated since the last call. */
const contexts = ({ recorder }: Profiled) =>
  recorder.takeChanges().totals.flatMap(([id, allocations]) => (allocations > 0 ? [id] : []));
const raw = (bytes: Uint8Array<ArrayBuffer>) =>
  new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as unknown as Exports;

/** Fills all locals, allocates, and returns what they add up to: each counts with its place. */
function summing(declarations: string, locals: readonly string[]): string {
  const sets = locals.map((type, i) => `(local.set $l${i} (${type}.const ${i + 1}))`);
  const numbers = locals.map((type, i) => {
    const value = `(local.get $l${i})`;
    const wide = {
      i32: `(i64.extend_i32_s ${value})`,
      i64: value,
      f32: "",
      f64: `(i64.trunc_f64_s ${value})`,
    };
    return `(local.set $sum (i64.add (local.get $sum) (i64.mul (i64.const ${2 * i + 1}) ${wide[type as "i32"]})))`;
  });
  return `(module ${bumpAllocator}
    (func $work (param $p i32) (result i64) ${declarations}
      (local $sum i64)
      ${sets.join("\n")}
      (drop (call $malloc (local.get $p)))
      ${numbers.join("\n")}
      (i64.add (local.get $sum) (i64.extend_i32_u (local.get $p))))
    (func $run (export "run") (param i32) (result i64) (call $work (local.get 0)))
    (func $empty (export "empty") (param i32) (result i64) (call $untouched (local.get 0)))
    (func $untouched (param $p i32) (result i64) ${declarations}
      (drop (call $malloc (i32.const 8)))
      ${locals.map((type, i) => (type === "i64" ? `(return (local.get $l${i}))` : "")).join("\n")}
      (i64.const 0)))`;
}

const declare = (types: readonly string[]) => types.map((type, i) => `(local $l${i} ${type})`).join(" ");

describe("locals of functions that get a parameter", () => {
  const shapes: Record<string, string[]> = {
    none: [],
    one: ["i32"],
    "one i64": ["i64"],
    "one of each": ["f64", "i32", "i64"],
    "many of a type first": [...Array(5).fill("i32"), "i64", "i64"],
    "a single one first": ["i64", ...Array(5).fill("i32")],
    "so many that the last has an index of two bytes": [...Array(100).fill("i32"), ...Array(60).fill("i64")],
    "a group of two bytes": Array(300).fill("i64"),
  };
  for (const [name, types] of Object.entries(shapes)) {
    test(name, () => {
      const bytes = assemble(summing(declare(types), types));
      const profiled = profile(bytes);
      assert.equal(profiled.call.run(7), raw(bytes).run(7));
      assert.equal(profiled.call.empty(7), 0n, "locals begin as zero");
      assert.deepEqual(counts(profiled).allocations, 2);
    });
  }

  for (const count of [2, 200]) {
    test(`${count}, with indices that take more bytes than they need`, () => {
      const bytes = withLocals([[count, 0x7f]], true);
      assert.equal(raw(bytes).run(), 47);
      assert.equal(profile(bytes).call.run(), 47);
    });
  }

  test("locals that hold references", () => {
    const bytes = assemble(`(module ${bumpAllocator}
      (func $keep (param externref) (result externref) (local $held externref) (local $other externref)
        (local.set $held (local.get 0))
        (drop (call $malloc (i32.const 3)))
        (select (result externref) (local.get $held) (local.get $other) (ref.is_null (local.get $other))))
      (func (export "run") (param externref) (result externref) (call $keep (local.get 0))))`);
    const value = {};
    assert.equal(profile(bytes).call.run(value), value);
  });

  test("groups of no locals", () => {
    const bytes = withLocals([
      [0, 0x7f],
      [0, 0x70],
      [2, 0x7f],
      [0, 0x7e],
    ]);
    assert.ok(WebAssembly.validate(bytes));
    assert.equal(profile(bytes).call.run(), 47);
    assert.equal(raw(bytes).run(), 47);
  });

  test("a function that has as many locals as an engine takes keeps its type", () => {
    const bytes = withLocals([
      [2, 0x7f],
      [49_998, 0x7e],
    ]);
    const profiled = profile(bytes);
    assert.equal(profiled.call.run(), 47);
    assert.equal(counts(profiled).allocations, 1);
  });

  test("a function that has as many parameters as an engine takes keeps its type", () => {
    const parameters = Array(1000).fill("i32").join(" ");
    const bytes = assemble(`(module ${bumpAllocator}
      (func $wide (param ${parameters}) (result i32)
        (drop (call $malloc (local.get 998))) (local.get 999))
      (func (export "run") (result i32) ${Array.from({ length: 1000 }, (_, i) => `(i32.const ${i})`).join(" ")}
        (call $wide)))`);
    const profiled = profile(bytes);
    assert.equal(profiled.call.run(), 999);
    assert.equal(counts(profiled).liveBytes, 998);
  });

  test("their names", () => {
    const bytes = assemble(`(module ${bumpAllocator}
      (func $work (export "work") (param $size i32) (result i32) (local $first i32) (local $second i64)
        (local.set $first (call $malloc (local.get $size))) (local.get $first))
      (func (export "again") (param i32) (result i32) (call $work (local.get 0)))
      (func $apart (param $p i32) (local $first i32)))`);
    const { instrumentation } = profile(bytes);
    const module = decodeModule(instrumentation.bytes);
    const names = decodeNames(
      module.custom("name") ? module.reader(module.custom("name")!) : new Reader(bytes),
    );
    const localsOf = (wanted: string) =>
      [...(names.locals ?? [])].flatMap(([index, locals]) =>
        names.functions?.get(index) === wanted && locals.size > 1 ? [[...locals]] : [],
      );
    assert.deepEqual(localsOf("work"), [
      [
        [0, "size"],
        [2, "second"],
        [3, "first"],
      ],
    ]);
    assert.deepEqual(localsOf("apart"), [
      [
        [0, "p"],
        [1, "first"],
      ],
    ]);
  });
});

/** A function with these groups of locals, whose first two are i32: puts numbers there, allocates, and adds them. */
function withLocals(
  groups: readonly (readonly [count: number, type: number])[],
  padded = false,
): Uint8Array<ArrayBuffer> {
  const wat = `(module ${bumpAllocator}
    (func (export "run") (result i32) (call $held))
    (func $held (result i32) (local i32 i32)
      (local.set 0 (i32.const 42)) (local.set 1 (i32.const 5))
      (drop (call $malloc (i32.const 16)))
      (i32.add (local.get 0) (local.get 1))))`;
  const module = decodeModule(assemble(wat));
  const { bytes, bodies } = module;
  const code = new Writer();
  code.u32(bodies.count);
  for (let body = 0; body < bodies.count; body++) {
    const changed = new Writer();
    if (body === bodies.count - 1) {
      changed.u32(groups.length);
      for (const [count, type] of groups) {
        changed.u32(count);
        changed.byte(type);
      }
      // behind one group of one byte each
      for (let pos = bodies.start[body] + 3, next: number; pos < bodies.end[body]; pos = next) {
        next = instructionEnd(bytes, pos);
        const isLocal = bytes[pos] >= op.localGet && bytes[pos] <= op.localTee;
        if (isLocal && padded) {
          changed.byte(bytes[pos]);
          changed.paddedU32(bytes[pos + 1]);
        } else changed.copy(bytes, pos, next);
      }
    } else changed.copy(bytes, bodies.start[body], bodies.end[body]);
    code.u32(changed.length);
    code.bytes(changed.finish());
  }
  return new Uint8Array(
    encodeModule(replaceSections(module.sections, [makeSection(sectionId.code, code.finish())])),
  );
}

test("a function that only a table leads to gets no parameter, and so needs no entry there", () => {
  const bytes = assemble(`(module ${bumpAllocator}
    (type $make (func (param i32) (result i32)))
    (table 1 funcref)
    (elem (i32.const 0) $make)
    (func $make (type $make) (call $malloc (local.get 0)))
    (func (export "one") (param i32) (result i32) (call_indirect (type $make) (local.get 0) (i32.const 0)))
    (func (export "other") (param i32) (result i32) (call_indirect (type $make) (local.get 0) (i32.const 0))))`);
  const profiled = profile(bytes);
  const module = decodeModule(profiled.instrumentation.bytes);
  const inTable = ({ elements, importedFunctionCount }: Module) =>
    (elements[0]?.functions?.[0] ?? 0) - importedFunctionCount;
  assert.equal(inTable(module), inTable(decodeModule(bytes)), "the function itself");
  profiled.call.one(8);
  const first = contexts(profiled);
  profiled.call.other(8);
  const second = contexts(profiled);
  assert.deepEqual([first.length, second.length], [1, 1]);
  assert.notDeepEqual(first, second);
  profiled.call.one(8);
  assert.deepEqual(contexts(profiled), first);
});

describe("ways to a function that gets a parameter", () => {
  const ways = assemble(`(module ${bumpAllocator}
    (type $make (func (param i32) (result i32)))
    (table 4 funcref)
    (elem (i32.const 0) $make $pass $malloc)
    (func $make (type $make) (local $held i32)
      (local.set $held (call $malloc (local.get 0)))
      (local.get $held))
    (func $pass (type $make) (return_call $make (local.get 0)))
    (func $indirect (param $size i32) (param $which i32) (result i32)
      (call_indirect (type $make) (local.get $size) (local.get $which)))
    (func $tail (param $size i32) (param $which i32) (result i32)
      (return_call_indirect (type $make) (local.get $size) (local.get $which)))
    (func (export "indirect") (param i32 i32) (result i32) (call $indirect (local.get 0) (local.get 1)))
    (func (export "tail") (param i32 i32) (result i32) (call $tail (local.get 0) (local.get 1)))
    (func (export "twice") (param i32)
      (drop (call $make (local.get 0)))
      (drop (call $make (local.get 0)))))`);

  test("through a table that JavaScript can't see", () => {
    const profiled = profile(ways);
    for (const way of ["indirect", "tail"]) {
      for (const which of [0, 1, 2]) assert.ok(profiled.call[way](16, which));
    }
    assert.deepEqual([counts(profiled).allocations, counts(profiled).liveBytes], [6, 96]);
    assert.equal(contexts(profiled).length, 6);
    assert.throws(() => profiled.call.indirect(16, 3), WebAssembly.RuntimeError);
  });

  test("two calls in one function are two contexts", () => {
    const profiled = profile(ways);
    profiled.call.twice(8);
    const first = contexts(profiled);
    assert.equal(first.length, 2);
    profiled.call.twice(8);
    assert.deepEqual(contexts(profiled), first);
    assert.equal(counts(profiled).liveBlocks, 4);
  });
});

describe("the allocator's own calls", () => {
  const allocator: Allocator = { ...mallocAndFree, realloc: "realloc" };
  // both have locals, call functions that allocate, and `free` none that could be told a context
  const inner = assemble(`(module ${bumpAllocator.replace(
    '(func $free (export "free") (param i32))',
    '(func $free (export "free") (param i32) (local $page i32) (local.set $page (call $helper (local.get 0))))',
  )}
    (func $helper (param $size i32) (result i32) (local $block i32)
      (local.set $block (call $malloc (local.get $size))) (local.get $block))
    (func $realloc (export "realloc") (param $p i32) (param $size i32) (result i32) (local $to i32) (local $i i32)
      (local.set $to (call $helper (local.get $size)))
      (if (i32.eqz (local.get $p)) (then (return (local.get $to))))
      (call $free (local.get $p))
      (if (i32.eqz (local.get $size)) (then (return_call $helper (i32.const 1))))
      (local.get $to))
    (func (export "outside") (param $size i32) (result i32) (call $helper (local.get $size))))`);

  test("are not counted", () => {
    const profiled = profile(inner, allocator);
    const block = profiled.call.realloc(0, 16);
    assert.deepEqual([counts(profiled).allocations, counts(profiled).frees], [1, 0]);
    const moved = profiled.call.realloc(block, 32);
    assert.deepEqual([counts(profiled).allocations, counts(profiled).frees], [2, 1]);
    profiled.call.free(moved);
    assert.deepEqual([counts(profiled).allocations, counts(profiled).frees], [2, 2]);
    profiled.call.outside(5);
    assert.deepEqual([counts(profiled).allocations, counts(profiled).liveBytes], [3, 5]);
    assert.equal(counts(profiled).unknownFrees, 0);
  });

  test("are not counted after a call that leads to an import", () => {
    const profiled = profile(
      assemble(`(module (import "env" "notify" (func $notify)) ${bumpAllocator}
        (func $grow (call $notify))
        (func $realloc (export "realloc") (param $p i32) (param $size i32) (result i32) (local $to i32)
          (local.set $to (call $malloc (local.get $size)))
          (call $grow)
          (call $free (i32.const 1024))
          (local.get $to)))`),
      allocator,
      { env: { notify: () => {} } },
    );
    assert.equal(profiled.call.malloc(8), 1024);
    profiled.call.realloc(0, 16);
    const { allocations, frees, liveBytes } = counts(profiled);
    assert.deepEqual([allocations, frees, liveBytes], [2, 0, 24]);
  });

  test("return what they returned", () => {
    const [first, second] = [raw(inner), profile(inner, allocator).call];
    for (const [p, size] of [
      [0, 8],
      [1024, 40],
      [1040, 0],
    ]) {
      assert.equal(second.realloc(p, size), first.realloc(p, size));
    }
  });
});

test("a collector that is called through different ways allocates in different contexts behind a table", () => {
  const profiled = profile(
    assemble(`(module ${bumpAllocator}
      (type $make (func (result i32)))
      (table 1 funcref)
      (elem (i32.const 0) $make)
      (func $make (type $make) (call $malloc (i32.const 8)))
      (func $collect (local i32) (local.set 0 (call_indirect (type $make) (i32.const 0))))
      (func (export "run") (call $collect) (call $collect)))`),
    { ...mallocAndFree, collect: "collect" },
  );
  profiled.call.run();
  assert.equal(counts(profiled).allocations, 2);
  assert.equal(contexts(profiled).length, 2);
});

describe("after an exception that left the allocator", () => {
  const allocator: Allocator = { ...mallocAndFree, realloc: "realloc", new: "malloc" };
  // `run` passes its contexts on; only the global, as `new` left it, says whether the allocator is running
  const bytes = (attempt: string) =>
    assemble(`(module (import "env" "attempt" (func $attempt)) ${bumpAllocator}
      (tag $exhausted)
      (func $new (export "new") (param $size i32) (result i32) (local $p i32)
        (local.set $p (call $malloc (local.get $size)))
        (if (i32.gt_u (local.get $size) (i32.const 100)) (then (throw $exhausted)))
        (local.get $p))
      (func $realloc (export "realloc") (param $p i32) (param $size i32) (result i32)
        (call $free (local.get $p))
        (call $malloc (local.get $size)))
      (func $try (result i32) ${attempt} (i32.const 0))
      (func $release (param $p i32) (call $free (local.get $p)))
      (func $run (param $n i32) (local $p i32)
        (drop (call $try))
        (loop $again
          (call $free (call $malloc (i32.const 8)))
          (call $release (call $malloc (i32.const 8)))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
      (func (export "run") (param i32) (call $run (local.get 0))))`);

  for (const [where, attempt] of [
    ["caught by wasm", "(try (do (drop (call $new (i32.const 200)))) (catch $exhausted))"],
    ["caught by JavaScript in between", "(drop (call $malloc (i32.const 1))) (call $attempt)"],
  ]) {
    test(`${where}: releases are seen`, () => {
      const profiled = profile(bytes(attempt), allocator, {
        env: { attempt: () => assert.throws(() => profiled.call.new(200)) },
      });
      profiled.call.run(10);
      assert.equal(counts(profiled).frees, 20);
      profiled.call.run(10);
      assert.equal(counts(profiled).frees, 40);
    });
  }
});
