// What each role's hook records: a small module has a function for each role, all on one bump allocator.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { UsageError } from "../../src/errors.js";
import { instrument } from "../../src/instrument/index.js";
import { assemble, counts, type Exports, overridesOf, profile } from "./support.js";

const fail = "(if (global.get $fail) (then (return (i32.const 0))))";
const roles = {
  malloc: `(param $size i32) (result i32) ${fail} (call $bump (local.get $size))`,
  calloc: `(param $n i32) (param $size i32) (result i32) ${fail}
    (call $bump (i32.mul (local.get $n) (local.get $size)))`,
  realloc: `(param $p i32) (param $size i32) (result i32) ${fail} (call $move (local.get $p) (local.get $size))`,
  free: "(param $p i32)",
  memalign: `(param $a i32) (param $size i32) (result i32) ${fail} (call $bump (local.get $size))`,
  posix_memalign: `(param $out i32) (param $a i32) (param $size i32) (result i32)
    (if (global.get $fail) (then (return (i32.const 12))))
    (i32.store (local.get $out) (call $bump (local.get $size)))
    (i32.const 0)`,
  alloc_aligned: `(param $size i32) (param $a i32) (result i32) ${fail} (call $bump (local.get $size))`,
  rust_realloc: `(param $p i32) (param $old i32) (param $a i32) (param $size i32) (result i32) ${fail}
    (call $move (local.get $p) (local.get $size))`,
  wbindgen_realloc: `(param $p i32) (param $old i32) (param $size i32) (param $a i32) (result i32) ${fail}
    (call $move (local.get $p) (local.get $size))`,
  cabi_realloc: `(param $p i32) (param $old i32) (param $a i32) (param $size i32) (result i32) ${fail}
    (call $move (local.get $p) (local.get $size))`,
  malloc_method: `(param $self i32) (param $size i32) (result i32) ${fail} (call $bump (local.get $size))`,
  memalign_method: `(param $self i32) (param $a i32) (param $size i32) (result i32) ${fail}
    (call $bump (local.get $size))`,
  realloc_method: `(param $self i32) (param $p i32) (param $size i32) (result i32) ${fail}
    (call $move (local.get $p) (local.get $size))`,
  free_method: "(param $self i32) (param $p i32)",
} as const;

const everyRole = assemble(`(module
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 1024))
  (global $fail (export "fail") (mut i32) (i32.const 0))
  (func $bump (param $size i32) (result i32)
    (global.get $top)
    (global.set $top
      (i32.add (global.get $top) (i32.and (i32.add (local.get $size) (i32.const 31)) (i32.const -16)))))
  ;; resizes in place what shrinks to 16 bytes or less
  (func $move (param $p i32) (param $size i32) (result i32)
    (if (i32.and (i32.ne (local.get $p) (i32.const 0)) (i32.le_u (local.get $size) (i32.const 16)))
      (then (return (local.get $p))))
    (call $bump (local.get $size)))
  (func $delete_sized (export "delete_sized") (param $p i32) (param $size i32) (param $a i32))
  ${Object.entries(roles)
    .map(([role, code]) => `(func (export "${role}") ${code})`)
    .join("\n")}
)`);

const allocator = {
  ...Object.fromEntries(Object.keys(roles).map((role) => [role, role])),
  delete_sized: "free",
};

function start() {
  const profiled = profile(everyRole, allocator as never);
  const failing = (value: number) => {
    (profiled.instance.exports.fail as WebAssembly.Global).value = value;
  };
  return { ...profiled, failing };
}

describe("functions that allocate", () => {
  const calls: [role: keyof typeof roles, args: number[], bytes: number][] = [
    ["malloc", [100], 100],
    ["malloc", [0], 0],
    ["calloc", [3, 8], 24],
    ["memalign", [64, 100], 100],
    ["alloc_aligned", [100, 8], 100],
    ["malloc_method", [512, 100], 100],
    ["memalign_method", [512, 64, 100], 100],
    ["realloc", [0, 100], 100],
    ["cabi_realloc", [0, 0, 8, 100], 100],
    ["rust_realloc", [0, 0, 8, 100], 100],
    ["wbindgen_realloc", [0, 0, 100, 8], 100],
    ["realloc_method", [512, 0, 100], 100],
  ];
  for (const [role, args, bytes] of calls) {
    test(`${role}(${args})`, () => {
      const profiled = start();
      const address = profiled.call[role](...args);
      assert.ok((address as number) >= 1024, "the program got its block");
      assert.deepEqual(counts(profiled), {
        allocations: 1,
        frees: 0,
        allocatedBytes: bytes,
        liveBytes: bytes,
        liveBlocks: 1,
        unknownFrees: 0,
      });
      profiled.call.free(address);
      assert.equal(counts(profiled).liveBlocks, 0, "the block was known by its address");
    });

    test(`${role} that fails`, () => {
      const profiled = start();
      profiled.failing(1);
      assert.equal(profiled.call[role](...args), 0);
      assert.equal(counts(profiled).allocations, 0);
      assert.equal(profiled.recorder.totals().failed, bytes > 0 || role === "malloc" ? 1 : 0);
    });
  }

  test("posix_memalign: the block's address is stored, an error is returned", () => {
    const profiled = start();
    assert.equal(profiled.call.posix_memalign(16, 64, 100), 0);
    const memory = profiled.instance.exports.memory as WebAssembly.Memory;
    const address = new DataView(memory.buffer).getUint32(16, true);
    assert.deepEqual([counts(profiled).liveBlocks, counts(profiled).liveBytes], [1, 100]);
    profiled.failing(1);
    assert.equal(profiled.call.posix_memalign(16, 64, 200), 12);
    assert.equal(counts(profiled).allocations, 1);
    profiled.call.free(address);
    assert.equal(counts(profiled).liveBlocks, 0);
  });
});

describe("functions that resize", () => {
  const calls: [role: keyof typeof roles, args: (p: unknown, size: number) => unknown[]][] = [
    ["realloc", (p, size) => [p, size]],
    ["rust_realloc", (p, size) => [p, 100, 8, size]],
    ["wbindgen_realloc", (p, size) => [p, 100, size, 8]],
    ["cabi_realloc", (p, size) => [p, 100, 8, size]],
    ["realloc_method", (p, size) => [512, p, size]],
  ];
  for (const [role, args] of calls) {
    test(`${role} that moves the block, and one that doesn't`, () => {
      const profiled = start();
      const first = profiled.call.malloc(100);
      const moved = profiled.call[role](...args(first, 300));
      assert.notEqual(moved, first);
      assert.deepEqual(counts(profiled), {
        allocations: 2,
        frees: 1,
        allocatedBytes: 400,
        liveBytes: 300,
        liveBlocks: 1,
        unknownFrees: 0,
      });
      assert.equal(profiled.call[role](...args(moved, 16)), moved);
      assert.deepEqual([counts(profiled).liveBytes, counts(profiled).liveBlocks], [16, 1]);
      profiled.call.free(moved);
      assert.equal(counts(profiled).liveBytes, 0);
    });

    test(`${role} that fails leaves the block`, () => {
      const profiled = start();
      const block = profiled.call.malloc(100);
      profiled.failing(1);
      assert.equal(profiled.call[role](...args(block, 300)), 0);
      assert.deepEqual([counts(profiled).liveBytes, counts(profiled).liveBlocks], [100, 1]);
    });
  }
});

describe("functions that release", () => {
  test("free, a method and a sized form of it", () => {
    const profiled = start();
    const [a, b, c] = [1, 2, 3].map((size) => profiled.call.malloc(size));
    profiled.call.free(b);
    profiled.call.free_method(512, c);
    profiled.call.delete_sized(a, 1, 8);
    assert.deepEqual([counts(profiled).frees, counts(profiled).liveBlocks], [3, 0]);
  });

  test("null is no block; an unknown address is counted apart", () => {
    const profiled = start();
    profiled.call.free(0);
    profiled.call.free_method(512, 0);
    assert.equal(counts(profiled).unknownFrees, 0);
    profiled.call.free(77_777);
    assert.deepEqual([counts(profiled).frees, counts(profiled).unknownFrees], [0, 1]);
  });
});

test("a hook survives whatever the body does with parameters, blocks and exits", () => {
  const bytes = assemble(`(module
      (func (export "malloc") (param $size i32) (result i32) (local i64 f64)
        (block $large
          (br_if $large (i32.gt_u (local.get $size) (i32.const 100)))
          (loop $again (result i32)
            (local.set $size (i32.sub (local.get $size) (i32.const 1)))
            (br_if $again (i32.gt_s (local.get $size) (i32.const 50)))
            (if (i32.eqz (local.get $size)) (then (i32.const 7) (i32.const 4096) (return)))
            (br 2 (i32.const 2048)))
          (drop) (i32.const 8192) (br 1))
        (if (result i32) (i32.gt_u (local.get $size) (i32.const 1000))
          (then (br_table 0 1 (i32.const 12288) (i32.const 1)))
          (else (return (i32.const 16384)))))
      (func (export "free") (param $p i32) (result i32)
        (local.set $p (i32.const 0))
        (return (i32.const 42))))`);
  const raw = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as unknown as Exports;
  const profiled = profile(bytes);
  const sizes = [1, 60, 500, 5000];
  const addresses = sizes.map((size) => profiled.call.malloc(size));
  assert.deepEqual(
    addresses,
    sizes.map((size) => raw.malloc(size)),
  );
  assert.equal(new Set(addresses).size, 4);
  assert.deepEqual([counts(profiled).allocations, counts(profiled).allocatedBytes], [4, 5561]);
  assert.equal(profiled.call.free(addresses[1]), 42, "a result of the release is passed on");
  assert.deepEqual([counts(profiled).frees, counts(profiled).liveBytes], [1, 5501]);
});

test("addresses and sizes of 64 bits", () => {
  const profiled = profile(
    assemble(`(module
      (global $next (mut i64) (i64.const 0x1_0000_0000))
      (func (export "malloc") (param i64) (result i64)
        (global.get $next)
        (global.set $next (i64.add (global.get $next) (i64.const 0x1_0000_0000))))
      (func (export "free") (param i64)))`),
  );
  const a = profiled.call.malloc(100n);
  const b = profiled.call.malloc(0x2_0000_0010n);
  assert.deepEqual([a, b], [0x1_0000_0000n, 0x2_0000_0000n]);
  assert.deepEqual([counts(profiled).liveBlocks, counts(profiled).liveBytes], [2, 100 + 0xffff_ffff]);
  profiled.call.free(b);
  assert.deepEqual([counts(profiled).liveBlocks, counts(profiled).liveBytes], [1, 100]);
});

describe("functions that don't fit their role", () => {
  const bytes = assemble(`(module
    (func (export "malloc") (param i32) (result i32) (i32.const 16))
    (func (export "free") (param i32))
    (func (export "mixed") (param i64) (param i32) (result i32) (i32.const 16))
    (func (export "float") (param f32) (result i32) (i32.const 16))
    (func (export "none") (result i32) (i32.const 16)))`);
  for (const [role, target] of [
    ["calloc", "mixed"],
    ["malloc", "float"],
    ["malloc", "none"],
    ["malloc", "free"],
    ["malloc", "absent"],
  ] as const) {
    test(`${target} as ${role}`, () => {
      const allocator = [{ role, target }, ...overridesOf({ free: "free" })];
      assert.throws(() => instrument(bytes, { allocator }), UsageError);
    });
  }

  test("posix_memalign in a module without memory is left alone", () => {
    const without = assemble(`(module
      (func (export "malloc") (param i32) (result i32) (i32.const 16))
      (func (export "posix_memalign") (param i32 i32 i32) (result i32) (i32.const 0))
      (func (export "free") (param i32)))`);
    const profiled = profile(without, { malloc: "malloc", free: "free", posix_memalign: "posix_memalign" });
    assert.equal(profiled.call.posix_memalign(1, 2, 3), 0);
  });
});

test("a function whose tail call leaves a try is not hooked: what the call throws would be caught there", () => {
  const bytes = assemble(`(module (memory 1)
    (tag $exhausted)
    (func $fail (param i32) (result i32) (throw $exhausted))
    (func $malloc (export "malloc") (param i32) (result i32)
      (try (result i32) (do (return_call $fail (local.get 0))) (catch $exhausted (i32.const 7))))
    (func $free (export "free") (param i32)
      (try (do (throw $exhausted)) (catch $exhausted (drop (i32.const 1)) (return))))
    (func (export "run") (result i32)
      (try (result i32) (do (call $malloc (i32.const 1))) (catch $exhausted (i32.const 9)))))`);
  const { call, instrumentation } = profile(bytes);
  assert.equal(call.run(), 9);
  assert.deepEqual(instrumentation.allocator, []);
  assert.deepEqual(instrumentation.notes.slice(-1), ["malloc makes a tail call inside of a try: not hooked"]);
});
