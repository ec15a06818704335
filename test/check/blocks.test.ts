// What happens to blocks: redzones behind what each role allocates, quarantine, releases of what is none.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { AllocatorRole } from "../../src/instrument/roles.js";
import { assemble, overridesOf } from "../instrument/support.js";
import { checking, waysToCheck } from "../support/checking.js";

/** Each role on one bump allocator that remembers what it was asked for, and what it got back. */
const bytes = assemble(`(module
  (memory (export "memory") 2)
  (global $top (mut i32) (i32.const 4096))
  (global $asked (export "asked") (mut i32) (i32.const 0))
  (global $released (export "released") (mut i32) (i32.const 0))
  (global $releasedSize (export "releasedSize") (mut i32) (i32.const 0))
  (func $bump (param $size i32) (result i32)
    (global.set $asked (local.get $size))
    (global.get $top)
    (global.set $top
      (i32.add (global.get $top) (i32.and (i32.add (local.get $size) (i32.const 31)) (i32.const -16)))))
  (func (export "malloc") (param i32) (result i32) (call $bump (local.get 0)))
  (func (export "calloc") (param i32 i32) (result i32) (call $bump (i32.mul (local.get 0) (local.get 1))))
  (func (export "realloc") (param i32 i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 1) (i32.const 24)) (then (local.get 0)) (else (call $bump (local.get 1)))))
  (func (export "aligned_alloc") (param i32 i32) (result i32) (call $bump (local.get 1)))
  (func (export "posix_memalign") (param i32 i32 i32) (result i32)
    (i32.store (local.get 0) (call $bump (local.get 2)))
    (i32.const 0))
  (func (export "rust_alloc") (param i32 i32) (result i32) (call $bump (local.get 0)))
  (func (export "rust_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $releasedSize (local.get 1))
    (call $bump (local.get 3)))
  (func (export "free") (param i32) (global.set $released (local.get 0)))
  (func (export "rust_dealloc") (param i32 i32 i32)
    (global.set $released (local.get 0))
    (global.set $releasedSize (local.get 1)))
  (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "loadWord") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "store") (param i32) (i32.store8 (local.get 0) (i32.const 1))))`);

/** Blocks of it lie at multiples of 4, each behind 4 bytes of a header; `again` begins from the beginning. */
const narrow = assemble(`(module
  (memory (export "memory") 2)
  (global $top (mut i32) (i32.const 4100))
  (func (export "malloc") (param i32) (result i32)
    (global.get $top)
    (global.set $top (i32.add (global.get $top) (i32.and (i32.add (local.get 0) (i32.const 11)) (i32.const -8)))))
  (func (export "free") (param i32))
  (func (export "again") (global.set $top (i32.const 4100)))
  (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "store") (param i32) (i32.store8 (local.get 0) (i32.const 1))))`);

/** Blocks of it lie as close to each other as dlmalloc's: at multiples of 8, each behind 4 bytes of a header, which is read. */
const dense = assemble(`(module
  (memory (export "memory") 2)
  (global $top (mut i32) (i32.const 4104))
  (func (export "malloc") (param i32) (result i32)
    (global.get $top)
    (global.set $top (i32.add (global.get $top) (i32.and (i32.add (local.get 0) (i32.const 11)) (i32.const -8)))))
  (func (export "free") (param i32))
  (func $malloc_usable_size (param i32) (result i32) (i32.load (i32.sub (local.get 0) (i32.const 4))))
  (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "store") (param i32) (i32.store8 (local.get 0) (i32.const 1))))`);

/** Of modules that have Rust's functions, whose allocator bears no more. */
const redzone = 8;

const allocator: Record<string, AllocatorRole> = {
  malloc: "malloc",
  calloc: "calloc",
  realloc: "realloc",
  aligned_alloc: "memalign",
  posix_memalign: "posix_memalign",
  rust_alloc: "alloc_aligned",
  rust_realloc: "rust_realloc",
  free: "free",
  rust_dealloc: "free",
};

for (const { name, inline } of waysToCheck) {
  const start = (quarantine = 1 << 20) => {
    const checked = checking(bytes, { inline, quarantine, allocator: overridesOf(allocator) });
    const { asked, released, releasedSize } = checked.instance.exports as Record<string, WebAssembly.Global>;
    return { ...checked, asked: asked!, released: released!, releasedSize: releasedSize! };
  };

  describe(`blocks, checked by ${name}`, () => {
    test("each role gets a redzone behind its block, and the recorder hears of what was asked for", () => {
      const { call, found, asked, memory, recorder } = start();
      const made: [string, number, number][] = [
        ["malloc", call.malloc!(20) as number, 20],
        ["calloc", call.calloc!(5, 4) as number, 20],
        ["realloc", call.realloc!(0, 20) as number, 20],
        ["aligned_alloc", call.aligned_alloc!(16, 20) as number, 20],
        ["rust_alloc", call.rust_alloc!(20, 4) as number, 20],
      ];
      assert.equal(asked.value, 20 + redzone);
      call.posix_memalign!(1024, 16, 20);
      made.push(["posix_memalign", new DataView(memory.buffer).getUint32(1024, true), 20]);
      for (const [role, p, size] of made) {
        call.store!(p);
        call.store!(p + size - 1);
        assert.deepEqual(found(), [], role);
        for (const past of [0, 11]) {
          call.store!(p + size + past);
          assert.deepEqual(found(), [`heap-overflow write ${past} past ${size}`], role);
        }
      }
      assert.equal(recorder.totals().allocatedBytes, 6 * 20);
    });

    test("what can't be enlarged is left as it is", () => {
      const { call, asked, found } = start();
      call.calloc!(0x10000, 0x10001);
      assert.equal(asked.value, 0x10000, "the product of 32 bits, as without checks");
      call.malloc!(0x50000000);
      assert.equal(asked.value, 0x50000000);
      call.malloc!(0);
      assert.equal(asked.value, 0);
      assert.deepEqual(found(), []);
    });

    test("a freed block is kept until the quarantine is full, and then released as the program did it", () => {
      const { call, found, released, releasedSize } = start(80);
      const p = call.rust_alloc!(20, 4) as number;
      const q = call.malloc!(20) as number;
      call.rust_dealloc!(p, 20, 4);
      assert.equal(released.value, 0);
      call.load!(p);
      assert.deepEqual(found(), ["use-after-free read 0 into 20"]);
      call.free!(q);
      assert.deepEqual(
        [released.value, releasedSize.value],
        [p, 20 + redzone],
        "the allocator's size, not the program's",
      );
      call.load!(p);
      assert.deepEqual(found(), [], "the allocator may have given it to somebody else");
      call.load!(q);
      assert.deepEqual(found(), ["use-after-free read 0 into 20"]);
    });

    test("without a quarantine each free is the allocator's at once", () => {
      const { call, released } = start(0);
      const p = call.malloc!(20) as number;
      call.free!(p);
      assert.equal(released.value, p);
    });

    test("releases of what is no block don't reach the allocator", () => {
      const { call, found, released } = start();
      const p = call.malloc!(20) as number;
      call.free!(p + 8);
      assert.deepEqual(found(), ["invalid-free free 8 into 20"]);
      call.free!(p);
      call.free!(p);
      assert.deepEqual(found(), ["double-free free 0 into 20"]);
      call.realloc!(p, 100);
      assert.deepEqual(found(), ["double-free realloc 0 into 20"]);
      call.free!(0);
      assert.deepEqual(found(), []);
      assert.equal(released.value, 0);
    });

    test("a size that isn't the block's is found where sizes have to be right", () => {
      const { call, found, releasedSize } = start(0);
      const p = call.rust_alloc!(20, 4) as number;
      call.rust_dealloc!(p, 24, 4);
      assert.deepEqual(found(), ["mismatched-free free 0 into 20"]);
      assert.equal(releasedSize.value, 20 + redzone);
      const q = call.rust_alloc!(20, 4) as number;
      call.rust_realloc!(q, 16, 4, 40);
      assert.deepEqual(found(), ["mismatched-free realloc 0 into 20"]);
      assert.equal(releasedSize.value, 20 + redzone);
    });

    test("where a block was before realloc moved it is not for use", () => {
      const { call, found } = start();
      const p = call.malloc!(20) as number;
      const q = call.realloc!(p, 40) as number;
      assert.notEqual(p, q);
      call.store!(q + 39);
      assert.deepEqual(found(), []);
      call.store!(p);
      assert.deepEqual(found(), ["use-after-free write 0 into 20"]);
      const r = call.realloc!(q, 4) as number;
      assert.equal(r, q);
      call.store!(r + 3);
      assert.deepEqual(found(), []);
      call.store!(r + 4);
      assert.deepEqual(found(), ["heap-overflow write 0 past 4"]);
    });

    test("what JavaScript writes to a freed block is found when the block leaves the quarantine, or at the end", () => {
      const { call, found, memory, compareHeld } = start(100);
      const bytes = () => new Uint8Array(memory.buffer);
      const [p, q, r] = [20, 20, 20].map((size) => call.malloc!(size) as number) as [number, number, number];
      bytes()[p] = 7;
      call.free!(p);
      call.free!(q);
      bytes()[p + 19] = 1;
      assert.deepEqual(found(), []);
      call.free!(r);
      assert.deepEqual(found(), ["host-write-after-free write 0 into 20"]);
      bytes()[r] = 1;
      compareHeld();
      assert.deepEqual(found(), ["host-write-after-free write 0 into 20"]);
      compareHeld();
      assert.deepEqual(found(), [], "once");
    });

    test("what wasm writes there is found once, as its own", () => {
      const { call, found, compareHeld } = start();
      const p = call.malloc!(20) as number;
      call.free!(p);
      call.store!(p + 4);
      assert.deepEqual(found(), ["use-after-free write 4 into 20"]);
      compareHeld();
      assert.deepEqual(found(), []);
    });

    test("a freed block that realloc moved all the same is not released a second time", () => {
      const { call, found, released } = start(80);
      const p = call.malloc!(20) as number;
      call.free!(p);
      call.realloc!(p, 100);
      assert.deepEqual(found(), ["double-free realloc 0 into 20"]);
      for (let i = 0; i < 4; i++) call.free!(call.malloc!(20));
      assert.notEqual(released.value, p);
    });

    test("a block that shares 8 bytes with what lies before it", () => {
      const checked = checking(narrow, {
        inline,
        allocator: overridesOf({ malloc: "malloc", free: "free" }),
      });
      const { malloc, free, load, store } = checked.call;
      const [p, q] = [malloc!(4) as number, malloc!(10) as number];
      assert.deepEqual([p % 8, q % 8], [4, 4]);
      for (const block of [p, q]) {
        store!(block);
        assert.deepEqual(checked.found(), []);
        free!(block);
        load!(block - 1);
        assert.deepEqual(checked.found(), []);
        load!(block);
        assert.deepEqual(checked.found(), [`use-after-free read 0 into ${block === p ? 4 : 10}`]);
        store!(block + 3);
        assert.deepEqual(checked.found(), [`use-after-free write 3 into ${block === p ? 4 : 10}`]);
      }
      checked.compareHeld();
      assert.deepEqual(checked.found(), []);
    });

    test("and the same address when it is given out again", () => {
      const checked = checking(narrow, {
        inline,
        quarantine: 0,
        allocator: overridesOf({ malloc: "malloc", free: "free" }),
      });
      const { malloc, free, load, again } = checked.call;
      const p = malloc!(4) as number;
      free!(p);
      // 16 of the smallest blocks are held in any case
      for (let i = 0; i < 40; i++) free!(malloc!(4));
      load!(p);
      assert.deepEqual(checked.found(), []);
      again!();
      assert.equal(malloc!(4), p);
      load!(p);
      assert.deepEqual(checked.found(), []);
    });

    test("who reads the flags in a header doesn't ask how large the block is", () => {
      const { call, found } = start();
      const p = call.malloc!(20) as number;
      call.load!(p - 4);
      call.load!(p + 20);
      assert.deepEqual(found(), ["heap-overflow read 0 past 20"]);
      call.loadWord!(p - 4);
      call.load!(p + 20);
      assert.deepEqual(found(), []);
    });

    test("`calloc` reads the header of a block of no bytes as well, right behind another block", () => {
      const { call, found } = checking(dense, {
        inline,
        allocator: overridesOf({ malloc: "malloc", free: "free" }),
      });
      const before = call.malloc!(20) as number;
      const empty = call.malloc!(0) as number;
      assert.equal(empty, before + 40, "its header lies where the redzone ends");
      call.load!(empty - 4);
      assert.deepEqual(found(), []);
      call.load!(before + 20);
      call.store!(empty - 4);
      assert.deepEqual(found(), ["heap-overflow read 0 past 20", "heap-overflow write 16 past 20"]);
    });

    test("a violation knows where its block was allocated and freed, and repetitions are counted", () => {
      const { call, violations } = start();
      const p = call.malloc!(20) as number;
      for (let i = 0; i < 100; i++) call.load!(p + 20);
      const [first] = violations;
      assert.ok(first?.block && first.block.freedIn === undefined);
      assert.equal(violations.length, 32 + 1, "32, then 64");
      call.free!(p);
      call.store!(p);
      const last = violations.at(-1);
      assert.notEqual(last?.block?.freedIn, undefined);
      assert.equal(last?.block?.allocatedIn, first.block.allocatedIn);
    });
  });
}

/** An allocator whose memory is full when 10 blocks of 48 bytes are in use; it counts what it gives out, and takes back. */
const small = assemble(`(module
  (memory (export "memory") 1 1)
  (global $free (mut i32) (i32.const 480))
  (global $top (mut i32) (i32.const 4096))
  (func $size (param i32) (result i32) (i32.and (i32.add (local.get 0) (i32.const 31)) (i32.const -16)))
  (func (export "malloc") (param i32) (result i32)
    (if (i32.gt_u (call $size (local.get 0)) (global.get $free)) (then (return (i32.const 0))))
    (global.set $free (i32.sub (global.get $free) (call $size (local.get 0))))
    (global.set $top (i32.add (global.get $top) (call $size (local.get 0))))
    (i32.store (i32.sub (global.get $top) (i32.const 4)) (call $size (local.get 0)))
    (i32.sub (global.get $top) (call $size (local.get 0))))
  (func (export "free") (param i32) (global.set $free (i32.add (global.get $free) (i32.const 48)))))`);

for (const { name, inline } of waysToCheck) {
  describe(`a memory that is full, checked by ${name}`, () => {
    const blocks = { malloc: "malloc", free: "free" } as const;
    const start = (quarantine: number) =>
      checking(small, { inline, quarantine, allocator: overridesOf(blocks) });

    test("gets back what is held, and the report says so", () => {
      const { call, pressures } = start(4096);
      for (let i = 0; i < 10; i++) call.free!(call.malloc!(16));
      assert.deepEqual(pressures, []);
      assert.notEqual(call.malloc!(16), 0, "all of it was in quarantine");
      assert.deepEqual(pressures, [0]);
    });

    test("the last block gets no redzone where there is no room for one", () => {
      const { call, found } = start(0);
      for (let i = 0; i < 9; i++) assert.notEqual(call.malloc!(16), 0);
      assert.notEqual(call.malloc!(30), 0);
      assert.deepEqual(found(), []);
    });

    test("and what doesn't fit in any case is refused as without checks", () => {
      const { call, pressures } = start(4096);
      assert.equal(call.malloc!(1000), 0);
      assert.deepEqual(pressures, []);
    });
  });
}
