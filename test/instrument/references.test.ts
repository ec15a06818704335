// Ways to a function: calls, tables, references, exports. All lead through its hook, and what was one function
// object to JavaScript still is one.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  assemble,
  assembleNewer,
  bumpAllocator,
  counts,
  type Exports,
  profile,
  supports,
} from "./support.js";

const get = (instance: WebAssembly.Instance, table: string, index: number) =>
  (instance.exports[table] as WebAssembly.Table).get(index);

test("the hook is reached whichever way malloc is called", () => {
  const profiled = profile(
    assemble(`(module ${bumpAllocator}
      (type $malloc (func (param i32) (result i32)))
      (table $fixed (export "fixed") funcref (elem $malloc $make))
      (table $filled (export "filled") 2 funcref)
      (elem declare func $malloc)
      (func $make (param i32) (result i32) (call $malloc (local.get 0)))
      (func (export "direct") (param i32) (result i32) (call $malloc (local.get 0)))
      (func (export "tail") (param i32) (result i32) (return_call $malloc (local.get 0)))
      (func (export "indirect") (param i32) (result i32)
        (call_indirect $fixed (type $malloc) (local.get 0) (i32.const 0)))
      (func (export "indirectTail") (param i32) (result i32)
        (return_call_indirect $fixed (type $malloc) (local.get 0) (i32.const 0)))
      (func (export "referenced") (param i32) (result i32)
        (table.set $filled (i32.const 1) (ref.func $malloc))
        (call_indirect $filled (type $malloc) (local.get 0) (i32.const 1))))`),
  );
  let expected = 0;
  const check = (name: string, call: (size: number) => unknown) => {
    expected++;
    call(10);
    assert.equal(counts(profiled).allocations, expected, name);
    assert.equal(counts(profiled).liveBytes, 10 * expected, name);
  };
  for (const name of ["malloc", "direct", "tail", "indirect", "indirectTail", "referenced"]) {
    check(name, profiled.call[name]);
  }
  check("table.get", get(profiled.instance, "fixed", 0) as Exports[string]);
  check("table.get of a caller", get(profiled.instance, "fixed", 1) as Exports[string]);
  check("an element that ref.func set", get(profiled.instance, "filled", 1) as Exports[string]);
});

test("a start function that allocates", () => {
  const profiled = profile(
    assemble(`(module ${bumpAllocator}
      (start $start)
      (func $start (drop (call $malloc (i32.const 24)))))`),
  );
  assert.deepEqual([counts(profiled).allocations, counts(profiled).liveBytes], [1, 24]);
});

describe("identity of functions", () => {
  const same = (wat: string, look: (instance: WebAssembly.Instance) => unknown[], newer = false) => {
    const bytes = newer ? assembleNewer(wat) : assemble(wat);
    const instances = [new WebAssembly.Instance(new WebAssembly.Module(bytes)), profile(bytes).instance];
    for (const instance of instances) {
      const functions = look(instance);
      for (const item of functions) assert.equal(item, functions[0]);
      assert.equal(typeof functions[0], "function");
    }
  };

  test("two exports of one function", () => {
    same(
      `(module ${bumpAllocator}
        (func $make (export "make") (export "make2") (param i32) (result i32) (call $malloc (local.get 0))))`,
      ({ exports }) => [exports.make, exports.make2],
    );
  });

  test("an allocator function in exports and elements", () => {
    same(`(module ${bumpAllocator} (table (export "table") funcref (elem $malloc $malloc)))`, (instance) => [
      instance.exports.malloc,
      get(instance, "table", 0),
      get(instance, "table", 1),
    ]);
  });

  test("element segments of all eight forms, a passive one copied by table.init", () => {
    same(
      `(module ${bumpAllocator}
        (table $t (export "t") 16 funcref)
        (table $u (export "u") 16 funcref)
        (elem (i32.const 0) $make)
        (elem $passive func $make)
        (elem (table $u) (i32.const 1) func $make)
        (elem declare func $make)
        (elem (i32.const 2) funcref (ref.func $make))
        (elem $passiveExpressions funcref (ref.func $make) (ref.null func))
        (elem (table $u) (i32.const 3) funcref (item ref.func $make))
        (elem declare funcref (ref.func $make))
        (func $make (export "make") (param i32) (result i32) (call $malloc (local.get 0)))
        (func $init
          (table.init $t $passive (i32.const 4) (i32.const 0) (i32.const 1))
          (table.init $u $passiveExpressions (i32.const 5) (i32.const 0) (i32.const 2))
          (table.set $u (i32.const 7) (ref.func $make))
          (table.copy $t $u (i32.const 8) (i32.const 0) (i32.const 8)))
        (start $init))`,
      (instance) => [
        instance.exports.make,
        ...[0, 2, 4, 9, 11, 13, 15].map((i) => get(instance, "t", i)),
        ...[1, 3, 5, 7].map((i) => get(instance, "u", i)),
      ],
    );
  });

  test("globals that hold functions", () => {
    same(
      `(module ${bumpAllocator}
        (global (export "constant") funcref (ref.func $make))
        (global (export "variable") (mut funcref) (ref.func $make))
        (func $make (export "make") (param i32) (result i32) (call $malloc (local.get 0))))`,
      ({ exports }) => [
        exports.make,
        (exports.constant as WebAssembly.Global).value,
        (exports.variable as WebAssembly.Global).value,
      ],
    );
  });

  test("functions that reach no allocator keep theirs", () => {
    same(
      `(module ${bumpAllocator}
        (table (export "table") funcref (elem $one))
        (func $one (export "one") (export "uno") (result i32) (i32.const 1)))`,
      (instance) => [instance.exports.one, instance.exports.uno, get(instance, "table", 0)],
    );
  });

  const tableInitialiser = `(module ${bumpAllocator}
    (table (export "table") 3 3 funcref (ref.func $make))
    (func $make (export "make") (param i32) (result i32) (call $malloc (local.get 0))))`;
  const hasInitialisers = supports(initialised());
  test("a table that begins full", { skip: !hasInitialisers && "the engine doesn't have them" }, () => {
    const bytes = initialised();
    for (const instance of [
      new WebAssembly.Instance(new WebAssembly.Module(bytes)),
      profile(bytes).instance,
    ]) {
      for (const i of [0, 1, 2]) assert.equal(get(instance, "table", i), instance.exports.make);
    }
  });

  /** Text of `ref.func` in the table's initial value, which neither assembler writes: by replacing bytes. */
  function initialised(): Uint8Array<ArrayBuffer> {
    const bytes = assemble(tableInitialiser.replace(" (ref.func $make)", ""));
    // a table section with one table: funcref, limits 3 to 3
    const plain = [4, 5, 1, 0x70, 1, 3, 3];
    const at = bytes.findIndex((_, i) => plain.every((byte, k) => bytes[i + k] === byte));
    const full = [4, 10, 1, 0x40, 0, 0x70, 1, 3, 3, 0xd2, 3, 0x0b];
    return Uint8Array.from([...bytes.subarray(0, at), ...full, ...bytes.subarray(at + plain.length)]);
  }
});

test("what other modules import works as before", () => {
  const importer = new WebAssembly.Module(
    assemble(`(module
      (import "lib" "make" (func $make (param i32) (result i32)))
      (import "lib" "table" (table 1 funcref))
      (func (export "direct") (param i32) (result i32) (call $make (local.get 0)))
      (func (export "indirect") (param i32) (result i32)
        (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0))))`),
  );
  const profiled = profile(
    assemble(`(module ${bumpAllocator}
      (table (export "table") funcref (elem $make))
      (func $make (export "make") (param i32) (result i32) (call $malloc (local.get 0))))`),
  );
  const { direct, indirect } = new WebAssembly.Instance(importer, { lib: profiled.instance.exports })
    .exports as unknown as Exports;
  assert.ok(direct(10) !== indirect(20));
  assert.deepEqual([counts(profiled).allocations, counts(profiled).liveBytes], [2, 30]);
});

test("tail calls through a table use no stack, functions with entries included", () => {
  const profiled = profile(
    assemble(`(module ${bumpAllocator}
      (type $step (func (param i32) (result i32)))
      (table (export "table") funcref (elem $even $odd))
      (func $even (export "even") (type $step)
        (if (i32.eqz (local.get 0)) (then (return (call $malloc (i32.const 8)))))
        (return_call_indirect (type $step) (i32.sub (local.get 0) (i32.const 1)) (i32.const 1)))
      (func $odd (type $step)
        (if (i32.eqz (local.get 0)) (then (return (call $malloc (i32.const 8)))))
        (return_call_indirect (type $step) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))))`),
    undefined,
    {},
    { isNested: () => true },
  );
  profiled.call.even(200_000);
  assert.equal(counts(profiled).allocations, 1);
});

const subtypes = assembleNewer(`(module ${bumpAllocator}
  (rec (type $any (sub (func (param i32) (result anyref)))))
  (rec (type $number (sub $any (func (param i32) (result i31ref)))))
  (func $make (type $number) (ref.i31 (call $malloc (local.get 0))))
  (elem declare func $make)
  (func $use (param $f (ref $any)) (drop (call_ref $any (i32.const 8) (local.get $f))))
  (func (export "run") (call $use (ref.func $make)) (call $use (ref.func $make))))`);

test("two calls of a function as one of its type's supertype: two contexts", {
  skip: !supports(subtypes) && "the engine doesn't have subtypes",
}, () => {
  const profiled = profile(subtypes);
  for (let i = 0; i < 3; i++) profiled.call.run();
  assert.equal(counts(profiled).allocations, 6);
  assert.equal(profiled.recorder.liveContexts().filter(({ allocations }) => allocations > 0).length, 2);
});
