// Allocator functions call each other and only the outermost call counts. That state has to be right after
// whatever ends a call early: a test that records nothing afterwards would look like a program without leaks.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type Allocator,
  assemble,
  assembleNewer,
  bumpAllocator,
  counts,
  type Profiled,
  profile,
  supports,
} from "./support.js";

const allocates = (profiled: Profiled) => [counts(profiled).allocations, counts(profiled).frees];

describe("only the outermost call counts", () => {
  const nested = assemble(`(module ${bumpAllocator}
    (func $calloc (export "calloc") (param $n i32) (param $size i32) (result i32)
      (call $malloc (i32.mul (local.get $n) (local.get $size))))
    (func $realloc (export "realloc") (param $p i32) (param $size i32) (result i32) (local $to i32)
      (local.set $to (call $malloc (local.get $size)))
      (call $free (local.get $p))
      (local.get $to))
    (func $dlmalloc (export "dlmalloc") (param $size i32) (result i32) (call $malloc (local.get $size)))
    (func $rdl (export "__rdl_alloc") (param $size i32) (param $a i32) (result i32)
      (call $dlmalloc (local.get $size)))
    (func (export "__rust_alloc") (param $size i32) (param $a i32) (result i32)
      (return_call $rdl (local.get $size) (local.get $a)))
    (func (export "make") (param $size i32) (result i32) (call $malloc (local.get $size))))`);
  const allocator: Allocator = {
    malloc: "malloc",
    free: "free",
    calloc: "calloc",
    realloc: "realloc",
    dlmalloc: "malloc",
    __rdl_alloc: "alloc_aligned",
    __rust_alloc: "alloc_aligned",
  };

  test("calloc → malloc", () => {
    const profiled = profile(nested, allocator);
    profiled.call.calloc(3, 5);
    assert.deepEqual([allocates(profiled), counts(profiled).liveBytes], [[1, 0], 15]);
  });

  test("realloc → malloc, free", () => {
    const profiled = profile(nested, allocator);
    const block = profiled.call.realloc(0, 10);
    profiled.call.realloc(block, 20);
    assert.deepEqual([allocates(profiled), counts(profiled).liveBytes], [[2, 1], 20]);
    assert.equal(counts(profiled).unknownFrees, 0);
  });

  test("__rust_alloc → __rdl_alloc → dlmalloc → malloc", () => {
    const profiled = profile(nested, allocator);
    profiled.call.__rust_alloc(7, 1);
    assert.deepEqual([allocates(profiled), counts(profiled).liveBytes], [[1, 0], 7]);
    profiled.call.dlmalloc(8);
    profiled.call.make(9);
    assert.deepEqual([allocates(profiled), counts(profiled).liveBytes], [[3, 0], 24]);
  });
});

/** Ends `malloc` early when its argument says so, below `calloc` and in it; each way in goes on afterwards. */
function failingModule(end: string, definitions = ""): string {
  return `(module
    (import "env" "resize" (func $resize (param i32)))
    ${definitions}
    ${bumpAllocator.replace("(call $bump (local.get $size))", `${end} (call $bump (local.get $size))`)}
    (func $calloc (export "calloc") (param $n i32) (param $size i32) (result i32)
      (call $malloc (i32.mul (local.get $n) (local.get $size))))
    (func $realloc (export "realloc") (param $p i32) (param $size i32) (result i32) (local $to i32)
      (local.set $to (call $malloc (local.get $size)))
      (call $free (local.get $p))
      (local.get $to))
    (func $make (export "make") (param $size i32) (result i32) (call $calloc (i32.const 1) (local.get $size)))
    (func (export "makeAndRelease") (param $size i32) (call $free (call $make (local.get $size))))
    (table (export "table") funcref (elem $hidden $release))
    (func $hidden (param $size i32) (result i32) (call $make (local.get $size)))
    (func $release (param $p i32) (call $free (local.get $p))))`;
}

const failing: Allocator = { malloc: "malloc", free: "free", calloc: "calloc", realloc: "realloc" };
const oneByte = "(i32.eq (local.get $size) (i32.const 1))";

const endings = {
  "a trap": failingModule(`(if ${oneByte} (then unreachable))`),
  "an exception of JavaScript": failingModule(`(if ${oneByte} (then (call $resize (local.get $size))))`),
  "an exception of wasm": failingModule(`(if ${oneByte} (then (throw $oom)))`, "(tag $oom)"),
};

for (const [name, wat] of Object.entries(endings)) {
  describe(`${name} inside malloc`, () => {
    const start = () =>
      profile(assemble(wat), failing, {
        env: {
          resize: () => {
            throw new Error("no more memory");
          },
        },
      });
    const through = (profiled: Profiled, way: string) => {
      const table = profiled.instance.exports.table as WebAssembly.Table;
      const element = (index: number) => table.get(index) as (argument: unknown) => number;
      switch (way) {
        case "calloc":
          return (size: number) => profiled.call.calloc(1, size) as number;
        case "realloc":
          return (size: number) => profiled.call.realloc(0, size) as number;
        case "table":
          return element(0);
        default:
          return (size: number) => profiled.call[way](size) as number;
      }
    };
    const releaseThroughTable = (profiled: Profiled, block: number) => {
      const table = profiled.instance.exports.table as WebAssembly.Table;
      (table.get(1) as (p: number) => void)(block);
    };
    const ways = ["malloc", "calloc", "realloc", "make", "table"];
    for (const first of ways) {
      for (const second of ways) {
        test(`through ${first}; recorded afterwards through ${second}`, () => {
          const profiled = start();
          assert.throws(() => through(profiled, first)(1));
          assert.deepEqual(allocates(profiled), [0, 0]);
          const block = through(profiled, second)(100);
          assert.deepEqual([allocates(profiled), counts(profiled).liveBytes], [[1, 0], 100]);
          if (second === "table") releaseThroughTable(profiled, block);
          else profiled.call.free(block);
          profiled.call.makeAndRelease(10);
          assert.deepEqual([allocates(profiled), counts(profiled).liveBytes], [[2, 2], 0]);
        });
      }
    }

    test("a release straight afterwards is recorded", () => {
      const profiled = start();
      const block = profiled.call.make(100);
      assert.throws(() => profiled.call.make(1));
      profiled.call.free(block);
      assert.deepEqual(allocates(profiled), [1, 1]);
    });
  });
}

/** C++ in small: `new` throws when `malloc` fails, and its callers catch. */
function cppModule(attempt: string): string {
  return `(module
    (import "env" "resize" (func $resize (param i32)))
    ${bumpAllocator.replace(
      "(call $bump (local.get $size))",
      "(if (i32.eq (local.get $size) (i32.const 1)) (then (return (i32.const 0)))) (call $bump (local.get $size))",
    )}
    (tag $badAlloc (param i32))
    (func $new (export "new") (param $size i32) (result i32) (local $p i32)
      (local.set $p (call $malloc (local.get $size)))
      (if (i32.eqz (local.get $p)) (then (throw $badAlloc (local.get $size))))
      (local.get $p))
    (func $realloc (export "realloc") (param $p i32) (param $size i32) (result i32) (local $to i32)
      (local.set $to (call $malloc (local.get $size)))
      (call $free (local.get $p))
      (local.get $to))
    (func $indirect (param $size i32) (result i32) (call $new (local.get $size)))
    (func $beginCatch)
    ;; null instead of an exception; compilers begin what they catch with a call
    (func $tryNew (export "tryNew") (param $size i32) (result i32) ${attempt})
    ;; catches, then goes on in the same function
    (func (export "fallBack") (param $size i32) (result i32) (local $p i32)
      (local.set $p (call $tryNew (local.get $size)))
      (if (result i32) (i32.eqz (local.get $p)) (then (call $malloc (i32.const 40))) (else (local.get $p))))
    ;; after one that caught, does nothing but release
    (func (export "giveUp") (param $size i32) (param $p i32)
      (drop (call $tryNew (local.get $size)))
      (call $free (local.get $p))))`;
}

const cppAllocator: Allocator = { malloc: "malloc", free: "free", new: "malloc", realloc: "realloc" };

const catching = {
  "legacy try and catch": assemble(
    cppModule(`(try (result i32)
      (do (call $indirect (local.get $size)))
      (catch $badAlloc (drop) (call $beginCatch) (i32.const 0))
      (catch_all (call $beginCatch) (i32.const -1)))`),
  ),
  try_table: assembleNewer(
    cppModule(`(drop (block $caught (result i32)
        (return (try_table (result i32) (catch $badAlloc $caught) (call $indirect (local.get $size))))))
      (call $beginCatch)
      (i32.const 0)`),
  ),
};

for (const [name, bytes] of Object.entries(catching)) {
  describe(`exceptions of wasm out of operator new: ${name}`, {
    skip: !supports(bytes) && "the engine doesn't have them",
  }, () => {
    const start = () => profile(bytes, cppAllocator, { env: { resize: () => {} } });

    test("caught outside: recording goes on", () => {
      const profiled = start();
      assert.equal(profiled.call.tryNew(1), 0);
      assert.ok(profiled.call.tryNew(100));
      assert.deepEqual([allocates(profiled), counts(profiled).liveBytes], [[1, 0], 100]);
    });

    test("the function that caught allocates", () => {
      const profiled = start();
      assert.ok(profiled.call.fallBack(1));
      assert.deepEqual([allocates(profiled), counts(profiled).liveBytes], [[1, 0], 40]);
      profiled.call.free(profiled.call.fallBack(100));
      assert.deepEqual([allocates(profiled), counts(profiled).liveBytes], [[2, 1], 40]);
    });

    test("the caller of the function that caught releases", () => {
      const profiled = start();
      const block = profiled.call.tryNew(100);
      profiled.call.giveUp(1, block);
      assert.deepEqual([allocates(profiled), counts(profiled).liveBytes], [[1, 1], 0]);
    });

    test("caught by JavaScript", () => {
      const profiled = start();
      assert.throws(() => profiled.call.new(1));
      profiled.call.free(profiled.call.new(100));
      assert.deepEqual(allocates(profiled), [1, 1]);
    });
  });
}

describe("exceptions and longjmp of Emscripten: an import calls back through the table and catches", () => {
  const bytes = assemble(`(module
    (import "env" "invoke_ii" (func $invoke (param i32 i32) (result i32)))
    (import "env" "throw" (func $throw))
    ${bumpAllocator}
    (table (export "table") funcref (elem $new))
    (func $new (param $size i32) (result i32)
      (if (i32.eq (local.get $size) (i32.const 1)) (then (call $throw) unreachable))
      (call $malloc (local.get $size)))
    (func $realloc (export "realloc") (param $p i32) (param $size i32) (result i32) (local $to i32)
      (local.set $to (call $malloc (local.get $size)))
      (call $free (local.get $p))
      (local.get $to))
    (func $beginCatch)
    (func $attempt (export "attempt") (param $size i32) (result i32)
      (call $invoke (i32.const 0) (local.get $size))
      (call $beginCatch))
    (func (export "giveUp") (param $size i32) (param $p i32)
      (drop (call $attempt (local.get $size)))
      (call $free (local.get $p))))`);

  for (const [name, allocator] of [
    ["thrown beside the allocator", { malloc: "malloc", free: "free", realloc: "realloc" }],
    ["thrown inside the allocator", { malloc: "malloc", free: "free", realloc: "realloc", "0": "malloc" }],
  ] as [string, Allocator][]) {
    test(name, () => {
      const profiled: Profiled = profile(bytes, withNew(allocator), {
        env: {
          invoke_ii: (index: number, argument: number) => {
            const table = profiled.instance.exports.table as WebAssembly.Table;
            try {
              return (table.get(index) as (argument: number) => number)(argument);
            } catch (error) {
              assert.ok(error === unwinding);
              return 0;
            }
          },
          throw: () => {
            throw unwinding;
          },
        },
      });
      const unwinding = new Error("longjmp");
      const block = profiled.call.attempt(100);
      assert.equal(profiled.call.attempt(1), 0);
      assert.deepEqual([allocates(profiled), counts(profiled).liveBytes], [[1, 0], 100]);
      profiled.call.giveUp(1, block);
      assert.deepEqual([allocates(profiled), counts(profiled).liveBytes], [[1, 1], 0]);
      profiled.call.giveUp(16, profiled.call.attempt(50));
      assert.deepEqual([allocates(profiled), counts(profiled).liveBytes], [[3, 2], 16]);
    });
  }

  /** `$new` isn't exported: its index is behind the imports and the allocator's three functions. */
  function withNew(allocator: Allocator): Allocator {
    const { 0: role, ...rest } = allocator;
    return role ? { ...rest, 5: role } : rest;
  }
});
