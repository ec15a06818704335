// Owned blocks in the heaps of real modules: C with wasi-libc's allocator, Rust with the exports of wasm-bindgen and of
// the component model, AssemblyScript, and photon, a package from npm. The Rust fixture's allocator traps when a block
// is released with another size or alignment than it was asked for with, and counts what is live.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import fc from "fast-check";
import { array } from "../../src/memory/array-type.js";
import type { OwnedBlock } from "../../src/memory/blocks.js";
import {
  assemblyScript,
  type Convention,
  c,
  componentModel,
  functions,
  wasmBindgen,
} from "../../src/memory/conventions.js";
import { bool, f32, i16, u8, u32 } from "../../src/memory/data-types.js";
import { LinearMemory } from "../../src/memory/linear-memory.js";
import { ModuleHeap } from "../../src/memory/module-heap.js";
import { struct } from "../../src/memory/struct.js";
import { hasAddresses64 } from "./modules.js";
import { assemble } from "./support/assemble.js";

// biome-ignore lint/suspicious/noExplicitAny: exports of the fixtures
type Exports = any;

const modules = new Map<string, WebAssembly.Module>();

function instantiate(name: string): WebAssembly.Instance & { exports: Exports } {
  const bytes = () => readFileSync(new URL(`../fixtures/heaps/${name}.wasm`, import.meta.url));
  if (!modules.has(name)) modules.set(name, new WebAssembly.Module(bytes()));
  const abort = () => assert.fail("abort");
  const instance = new WebAssembly.Instance(modules.get(name)!, { env: { abort } });
  (instance.exports as Exports)._initialize?.();
  return instance as never;
}

const Point = struct({ x: f32, y: f32, alive: bool, tag: array(u8, 16) });

test("C: text, arrays, bytes and structs go in, a struct comes out", () => {
  const instance = instantiate("c");
  const { length_of, sum, move_point, make_point } = instance.exports;
  const heap = new ModuleHeap(instance);
  {
    using text = heap.string("naïve 🦀");
    assert.equal(text.byteLength, 11);
    assert.equal(length_of(text.ptr), 11);
    assert.equal(String(text), "naïve 🦀");
    using values = heap.array("f32", [1, 2, 3.5]);
    assert.equal(sum(values.ptr, values.length), 6.5);
    using bytes = heap.copyIn(Uint8Array.of(65, 66, 0));
    assert.equal(length_of(bytes.ptr), 2);
    using point = heap.struct(Point, { x: 1, alive: true });
    move_point(point.ptr, 2, -1);
    assert.deepEqual(point.copy(), { x: 3, y: -1, alive: false, tag: new Uint8Array(16).fill(7) });
    using made = heap.adoptStruct(Point, make_point(5, 6));
    assert.deepEqual([made.value.x, made.value.y, made.value.alive], [5, 6, true]);
    assert.equal(heap.live.blocks, 5);
  }
  assert.deepEqual(heap.live, { blocks: 0, bytes: 0 });
});

test("Rust with wasm-bindgen's exports: the sizes and alignments of releases are the right ones", () => {
  const instance = instantiate("rust");
  const { count_chars, take_text, move_point, make_point, live_blocks, live_bytes } = instance.exports;
  const heap = new ModuleHeap(instance);
  {
    using text = heap.string("naïve 🦀");
    assert.equal(live_bytes(), 11);
    assert.equal(count_chars(text.ptr, text.byteLength), 7);
    using empty = heap.string("");
    assert.equal(count_chars(empty.ptr, empty.byteLength), 0);
    using given = heap.string("gone");
    assert.equal(take_text(given.give(), 4), 4);
    using point = heap.struct(Point, { x: 1 });
    move_point(point.ptr, 1, 1);
    using made = heap.adoptStruct(Point, make_point(5, 6));
    assert.equal(point.value.x + made.value.x, 7);
    assert.equal(live_blocks(), 3);
    using bytes = heap.block(100, { alignment: 64 });
    assert.equal(bytes.ptr % 64, 0);
    using grown = heap.array(i16, [1, 2, 3]);
    grown.resize(5);
    assert.deepEqual([...grown], [1, 2, 3, 0, 0]);
    grown.resize(2);
    assert.deepEqual([...grown], [1, 2]);
    using none = heap.array("u8", 0);
    none.resize(10);
    none.resize(0);
  }
  assert.deepEqual([live_blocks(), live_bytes(), heap.live.blocks, heap.live.bytes], [0, 0, 0, 0]);
});

test("cabi_realloc can't release: blocks are given away, or an error says so", () => {
  const instance = instantiate("rust");
  const { take_text, live_blocks } = instance.exports;
  const heap = new ModuleHeap(instance, { allocator: componentModel() });
  using text = heap.string("moved");
  assert.equal(take_text(text.give(), 5), 5);
  assert.equal(live_blocks(), 0);
  const stuck = heap.block(8);
  assert.throws(() => stuck.release(), {
    name: "LinmemError",
    code: "ERR_LINMEM_NO_FREE",
    message: /8 bytes at 0x.* stay allocated: cabi_realloc can't release/,
  });
  const whole = new ModuleHeap(instance, { allocator: componentModel({ free: "__wbindgen_free" }) });
  const block = whole.block(8);
  block.resize(800);
  block.release();
  assert.equal(live_blocks(), 1);
});

test("AssemblyScript: strings and buffers are objects that its functions take", () => {
  const instance = instantiate("as");
  const { lengthOf, bytesIn, sum, __collect } = instance.exports;
  const heap = new ModuleHeap(instance);
  {
    using text = heap.string("naïve 🦀 \ud800");
    assert.equal(lengthOf(text.ptr), 10);
    assert.equal(text.byteLength, 20);
    assert.equal(String(text), "naïve 🦀 \ud800");
    using bytes = heap.copyIn(new Uint8Array(33));
    __collect();
    assert.equal(bytesIn(bytes.ptr), 33);
    assert.equal(String(text), "naïve 🦀 \ud800");
    using values = heap.array("f32", Float32Array.of(1, 2));
    assert.equal(sum(values.ptr, values.length), 3);
    values.resize(3);
    assert.deepEqual(values.copy(), Float32Array.of(1, 2, 0));
  }
  const before = heap.memory.pages;
  for (let i = 0; i < 200; i++) {
    heap.block(20_000).release();
    __collect();
  }
  assert.equal(heap.memory.pages, before);
});

test("functions that the user names, and functions of the user's own", () => {
  const instance = instantiate("rust");
  const { __wbindgen_malloc, __wbindgen_free, live_blocks } = instance.exports;
  const named = { allocate: "__wbindgen_malloc", free: "__wbindgen_free", reallocate: "__wbindgen_realloc" };
  const own = {
    allocate: (size: number, alignment: number) => __wbindgen_malloc(size, alignment),
    free: (ptr: number, size: number, alignment: number) => __wbindgen_free(ptr, size, alignment),
  };
  for (const names of [named, own]) {
    const heap = new ModuleHeap(instance.exports, { allocator: functions(names) });
    using block = heap.copyIn(Uint8Array.of(1, 2, 3));
    block.resize(1000);
    assert.deepEqual([...block.copy().subarray(0, 3)], [1, 2, 3]);
    assert.equal(live_blocks(), 1);
  }
  assert.equal(live_blocks(), 0);
});

test("numbered exports of wasm-bindgen are used when they are named, never guessed", () => {
  const { memory, __wbindgen_malloc, __wbindgen_free, live_blocks } = instantiate("rust").exports;
  const exports = { memory, __wbindgen_export_0: __wbindgen_malloc, __wbindgen_export_2: __wbindgen_free };
  assert.throws(() => new ModuleHeap(exports), {
    name: "LinmemTypeError",
    code: "ERR_LINMEM_ALLOCATOR",
    message: /wasmBindgen\(.*__wbindgen_export_0, __wbindgen_export_2/,
  });
  const allocator = wasmBindgen({ malloc: "__wbindgen_export_0", free: "__wbindgen_export_2" });
  using block = new ModuleHeap(exports, { allocator }).block(3);
  assert.deepEqual([block.byteLength, live_blocks()], [3, 1]);
});

test("resvg, a package from npm, without its JavaScript: text goes in, text comes out, all is released", () => {
  const file = createRequire(import.meta.url).resolve("@resvg/resvg-wasm/index_bg.wasm");
  const module = new WebAssembly.Module(readFileSync(file));
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><path d="M0 0h9v9z"/></svg>`;
  const Text = struct({ ptr: u32, byteLength: u32 });
  const Result = struct({ handle: u32, error: u32, failed: u32 });
  const imports: Record<string, Exports> = {};
  for (const { name } of WebAssembly.Module.imports(module)) imports[name] = () => assert.fail(name);
  // Rust asks for the text of the JavaScript value that it was given, and releases it.
  imports.__wbindgen_string_get = (result: number) => {
    const text = heap.string(svg);
    Text.write(heap.memory, result, { byteLength: text.byteLength, ptr: text.give() });
  };
  imports.__wbindgen_object_drop_ref = () => {};
  imports.__wbg_instanceof_Uint8Array_2b3bbecd033d19f6 = () => 0;
  const instance = new WebAssembly.Instance(module, { wbg: imports });
  const exports: Exports = instance.exports;
  const heap = new ModuleHeap(instance);
  const stack = exports.__wbindgen_add_to_stack_pointer(-16);
  for (let i = 0; i < 3; i++) {
    exports.resvg_new(stack, 1, 0, 0, 0);
    const { handle, failed } = Result.at(heap.memory, stack);
    assert.equal(failed, 0);
    assert.deepEqual([exports.resvg_width(handle), exports.resvg_height(handle)], [40, 30]);
    exports.resvg_toString(stack, handle);
    const { ptr, byteLength } = Text.at(heap.memory, stack);
    using text = heap.adoptString(ptr, byteLength);
    assert.match(String(text), /^<svg .*M 0 0/s);
    exports.__wbg_resvg_free(handle);
  }
  assert.deepEqual(heap.live, { blocks: 0, bytes: 0 });
});

test("handles of blocks: use after release, double release, giving away", () => {
  const heap = new ModuleHeap(instantiate("c"));
  const text = heap.string("hello");
  const name = `string block of 5 bytes at 0x${text.ptr.toString(16)}`;
  text.release();
  assert.throws(() => text.ptr, { name: "ReleasedError", handle: name });
  assert.throws(() => String(text), { name: "ReleasedError", handle: name });
  assert.throws(() => text.release(), { name: "DoubleReleaseError", handle: name });
  assert.throws(() => text.give(), { name: "ReleasedError", handle: name });
});

test("what was taken out of a block ends with it", () => {
  const heap = new ModuleHeap(instantiate("c"));
  const Pair = struct({ first: Point, points: array(Point, 2) });
  const block = heap.struct(Pair);
  const { value } = block;
  const { first, points } = value;
  const element = points.get(1);
  const { tag } = element;
  const values = heap.array("f32", [1, 2]);
  const view = values.value;
  element.x = 3;
  const handle = /^struct of first, points: block of 84 bytes at 0x/;
  block.release();
  for (const use of [
    () => value.first,
    () => first.x,
    () => (first.x = 1),
    () => first.alive,
    () => points.get(0).y,
    () => element.x,
    () => (element.alive = true),
    () => tag.get(0),
    () => tag.view(),
    () => tag.copy(),
    () => tag.copyFrom([1]),
    () => block.value,
    () => block.copy(),
  ]) {
    // An accessor of a part is made without a look at the memory; reading it is the error.
    if (use.toString().includes("value.first")) continue;
    assert.throws(
      use,
      (error: Error & { handle: string }) => {
        assert.equal(error.name, "ReleasedError");
        assert.match(error.handle, handle);
        return true;
      },
      use.toString(),
    );
  }
  values.resize(3);
  assert.throws(() => view.get(0), { name: "ReleasedError", message: /resized/ });
  assert.equal(values.get(0), 1);
  values.release();
  assert.throws(() => values.get(0), { name: "ReleasedError" });
  assert.throws(() => values.view(), { name: "ReleasedError" });
});

test("accessors of blocks stay valid when the heap or the module grows the memory", () => {
  const instance = instantiate("c");
  const heap = new ModuleHeap(instance);
  using block = heap.struct(Point, { x: 1 });
  const { value } = block;
  const pages = heap.memory.pages;
  using _ = heap.block(100_000);
  assert.ok(heap.memory.pages > pages);
  assert.equal(value.x, 1);
  instance.exports.grow(1);
  value.x = 2;
  assert.equal(value.x, 2);
  assert.equal(block.value.x, 2);
});

test("no room: the error says how much was asked for and how much there is", () => {
  const heap = new ModuleHeap(instantiate("c"));
  const { memory } = heap;
  using kept = heap.block(1000);
  assert.throws(
    () => heap.block(10_000_000),
    (error: Error & { code: string; numbers: Record<string, number> }) => {
      assert.equal(error.name, "AllocationError");
      assert.ok(error instanceof RangeError);
      assert.equal(error.code, "ERR_LINMEM_OUT_OF_MEMORY");
      assert.deepEqual(error.numbers, {
        asked: 10_000_000,
        byteLength: memory.byteLength,
        room: (16 - memory.pages) * 65_536,
        held: 1000,
      });
      assert.match(
        error.message,
        /no block of 10,000,000 bytes: malloc returned null\. The memory has .* maximum of 16 pages/,
      );
      return true;
    },
  );
  assert.throws(() => heap.array("f64", 2 ** 29), {
    code: "ERR_LINMEM_OUT_OF_MEMORY",
    message: /32-bit addresses/,
  });
  assert.throws(() => heap.block(2 ** 32 + 8), { code: "ERR_LINMEM_OUT_OF_MEMORY" });
  assert.throws(() => kept.resize(10_000_000), { code: "ERR_LINMEM_OUT_OF_MEMORY" });
  assert.equal(kept.copy().length, 1000);
  const rust = instantiate("rust");
  const strict = new ModuleHeap(rust);
  assert.throws(() => strict.block(10_000_000), {
    name: "AllocationError",
    code: "ERR_LINMEM_ALLOCATOR_TRAP",
    message: /no block of 10,000,000 bytes: __wbindgen_malloc failed: unreachable/,
  });
  assert.deepEqual(strict.live, { blocks: 0, bytes: 0 });
});

test("allocation until nothing is left, then everything released: all can be had again", () => {
  for (const name of ["c", "rust", "as"]) {
    const instance = instantiate(name);
    const heap = new ModuleHeap(instance);
    const fill = () => {
      const blocks: OwnedBlock[] = [];
      try {
        for (;;) blocks.push(heap.array("f32", 2000));
      } catch (error) {
        assert.equal((error as Error).name, "AllocationError");
      }
      for (const block of blocks) block.release();
      instance.exports.__collect?.();
      return blocks.length;
    };
    const first = fill();
    assert.ok(first > 50, `${name}: ${first}`);
    assert.ok(fill() >= first - 1, name);
    assert.deepEqual(heap.live, { blocks: 0, bytes: 0 });
  }
});

test("allocators that return what can't be a block", () => {
  const { memory } = instantiate("c").exports;
  const heap = (allocate: () => number) =>
    new ModuleHeap({ memory }, { allocator: functions({ allocate, free: () => {} }) });
  const result = { name: "AllocationError", code: "ERR_LINMEM_ALLOCATOR_RESULT" };
  assert.throws(() => heap(() => 0x7fff_0000).block(8), {
    ...result,
    message: /0x7fff0000, which leaves no room/,
  });
  assert.throws(() => heap(() => -16).block(8), { ...result, message: /0xfffffff0/ });
  assert.throws(() => heap(() => 1004).block(8), { ...result, message: /0x3ec, no multiple of 8/ });
  assert.throws(() => heap(() => Number.NaN).block(8), { code: "ERR_LINMEM_OUT_OF_MEMORY" });
  assert.throws(
    () =>
      heap(() => {
        throw new Error("mine");
      }).block(8),
    { code: "ERR_LINMEM_ALLOCATOR_TRAP", message: /mine/ },
  );
});

test("arguments that are none", () => {
  const heap = new ModuleHeap(instantiate("c"));
  const before = heap.live.blocks;
  for (const size of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 8n, "8", undefined, null]) {
    assert.throws(() => heap.block(size as number), { name: "LinmemTypeError", code: "ERR_LINMEM_SIZE" });
  }
  for (const alignment of [0, -8, 3, 0.5, Number.NaN, "8", 8n]) {
    assert.throws(() => heap.block(8, { alignment: alignment as number }), { code: "ERR_LINMEM_ALIGNMENT" });
  }
  for (const bytes of [5, "text", null, {}, [1, 2]]) {
    assert.throws(() => heap.copyIn(bytes as never), { name: "LinmemTypeError", code: "ERR_LINMEM_VALUE" });
  }
  const gone = new Uint8Array(8);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  assert.throws(() => heap.copyIn(gone), { name: "LinmemTypeError", code: "ERR_LINMEM_DETACHED" });
  for (const text of [5, null, undefined, {}]) {
    assert.throws(() => heap.string(text as never), { name: "LinmemTypeError", code: "ERR_LINMEM_VALUE" });
  }
  assert.throws(() => heap.string("x", { encoding: "latin1" as never }), { code: "ERR_LINMEM_VALUE" });
  for (const type of ["f16", "toString", null, {}, struct({})]) {
    assert.throws(() => heap.array(type as never, 3), { name: "LinmemTypeError", code: "ERR_LINMEM_TYPE" });
  }
  assert.throws(() => heap.array("f32", [1, "2"] as never), { code: "ERR_LINMEM_VALUE" });
  assert.throws(() => heap.array("i64", Float32Array.of(1) as never), { code: "ERR_LINMEM_VALUE" });
  assert.throws(() => heap.struct(Point, { z: 1 } as never), { code: "ERR_LINMEM_FIELD" });
  assert.throws(() => heap.adopt(0, 8), { name: "LinmemRangeError", code: "ERR_LINMEM_NULL" });
  assert.throws(() => heap.adopt(2 ** 31, 8), { code: "ERR_LINMEM_BOUNDS" });
  assert.throws(() => heap.adopt(-8, 8), { code: "ERR_LINMEM_BOUNDS" });
  assert.throws(() => heap.adopt("8" as never, 8), { code: "ERR_LINMEM_ADDRESS" });
  assert.throws(() => heap.adoptStruct(Point, 1026), { code: "ERR_LINMEM_ALIGNMENT" });
  // Nothing half done: whatever was allocated on the way is released again.
  assert.equal(heap.live.blocks, before);
  const conventions: [Convention, RegExp][] = [
    [c({ malloc: "no_malloc" }), /"no_malloc"/],
    [wasmBindgen(), /"__wbindgen_malloc"/],
    [componentModel(), /"cabi_realloc"/],
    [assemblyScript(), /"__new"/],
    [functions({ allocate: "memory", free: "free" }), /"memory"/],
  ];
  for (const [allocator, message] of conventions) {
    assert.throws(() => new ModuleHeap(instantiate("c"), { allocator }), {
      code: "ERR_LINMEM_ALLOCATOR",
      message,
    });
  }
  assert.throws(() => new ModuleHeap({ malloc() {}, free() {} }), { code: "ERR_LINMEM_NOT_A_MEMORY" });
  assert.throws(() => new ModuleHeap(null as never), { code: "ERR_LINMEM_ALLOCATOR" });
});

test("copyIn of a view of the same memory, also when allocating detaches it", () => {
  const heap = new ModuleHeap(instantiate("c"));
  using block = heap.copyIn(Uint8Array.from({ length: 60_000 }, (_, index) => index));
  const view = block.view();
  using copy = heap.copyIn(view);
  assert.equal(view.length, 0, "the memory grew");
  assert.deepEqual(copy.copy(), block.copy());
  using part = heap.copyIn(copy.view().subarray(5, 8));
  assert.deepEqual([...part.copy()], [5, 6, 7]);
  using floats = heap.copyIn(new Uint8Array(Float32Array.of(1).buffer));
  assert.deepEqual([...floats.copy()], [0, 0, 128, 63]);
});

test("memories with more than 2 GiB, where exports return negative numbers", () => {
  const memory = LinearMemory.reserve({ initial: 40_000, maximum: 40_000 });
  const base = 2 ** 31 + 64;
  let next = base;
  const allocator = functions({
    allocate: (size: number) => ((next += size + 8 - (size % 8)) - size) | 0,
    free: () => {},
  });
  const heap = new ModuleHeap(
    {},
    { memory, allocator: (exports) => ({ ...allocator(exports), allocate: () => base | 0 }) },
  );
  using point = heap.struct(Point, { x: 1.5, tag: new Uint8Array(16).fill(1) });
  assert.equal(point.ptr, base);
  assert.equal(point.value.x, 1.5);
  assert.equal(memory.readF32(base), 1.5);
  point.value.alive = true;
  assert.equal(memory.readU8(base + 8), 1);
  using adopted = heap.adoptStruct(Point, base | 0);
  assert.equal(adopted.value.x, 1.5);
});

test("any text goes in and comes out", () => {
  const heaps = ["c", "rust", "as"].map((name) => new ModuleHeap(instantiate(name)));
  const unit = fc.oneof(
    fc.string(),
    fc.string({ unit: "binary" }),
    fc.constantFrom("\ud800", "\udc00", "é", "🦀", "\0"),
  );
  fc.assert(
    fc.property(fc.array(unit), fc.constantFrom(...heaps), fc.boolean(), (parts, heap, terminated) => {
      const text = parts.join("");
      using utf8 = heap.string(text, { encoding: "utf-8", terminated });
      const encoded = new TextEncoder().encode(text);
      assert.equal(utf8.byteLength, encoded.length);
      assert.deepEqual(heap.memory.copyBytes(utf8.ptr, utf8.byteLength), encoded);
      assert.equal(String(utf8), new TextDecoder("utf-8", { ignoreBOM: true }).decode(encoded));
      if (terminated) assert.equal(heap.memory.readU8(utf8.ptr + utf8.byteLength), 0);
      using utf16 = heap.string(text, { encoding: "utf-16", terminated });
      assert.equal(utf16.byteLength, 2 * text.length);
      assert.equal(String(utf16), text);
      if (terminated) assert.equal(heap.memory.readU16(utf16.ptr + utf16.byteLength), 0);
    }),
    { seed: 5, numRuns: 300 },
  );
  for (const heap of heaps) assert.deepEqual(heap.live, { blocks: 0, bytes: 0 });
});

test("random lives of blocks: contents stay, nothing is left", () => {
  const instance = instantiate("rust");
  const { live_blocks, live_bytes } = instance.exports;
  const heap = new ModuleHeap(instance);
  const step = fc.record({
    kind: fc.constantFrom("new", "release", "resize", "give"),
    size: fc.nat({ max: 3000 }),
    which: fc.nat(),
    fill: fc.nat({ max: 255 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const live: { block: ReturnType<typeof heap.copyIn>; bytes: Uint8Array }[] = [];
      for (const { kind, size, which, fill } of steps) {
        const index = live.length > 0 ? which % live.length : -1;
        if (kind === "new" || index < 0) {
          const bytes = new Uint8Array(size).fill(fill);
          live.push({ block: heap.copyIn(bytes), bytes });
        } else if (kind === "resize") {
          const entry = live[index];
          const bytes = new Uint8Array(size).fill(fill);
          bytes.set(entry.bytes.subarray(0, size));
          const kept = Math.min(size, entry.bytes.length);
          entry.block.resize(size);
          entry.block.view().subarray(kept).fill(fill);
          entry.bytes = bytes;
        } else {
          const [{ block }] = live.splice(index, 1);
          if (kind === "release") block.release();
          else {
            const { byteLength } = block;
            instance.exports.__wbindgen_free(block.give(), byteLength, 1);
          }
        }
        for (const { block, bytes } of live) assert.deepEqual(block.copy(), bytes);
        const total = live.reduce((sum, { bytes }) => sum + bytes.length, 0);
        assert.deepEqual([heap.live.blocks, heap.live.bytes], [live.length, total]);
        assert.equal(live_bytes(), total);
      }
      for (const { block } of live) block.release();
      assert.equal(live_blocks(), 0);
    }),
    { seed: 7, numRuns: 60 },
  );
});

test("modules with 64-bit addresses take and return BigInts", async (t) => {
  if (!hasAddresses64) return t.skip("this engine has no 64-bit addresses");
  const bytes =
    await assemble(`(module (memory (export "memory") i64 1 4) (global $next (mut i64) (i64.const 1024))
    (func (export "malloc") (param i64) (result i64)
      (global.get $next)
      (global.set $next (i64.add (global.get $next) (i64.and (i64.add (local.get 0) (i64.const 15)) (i64.const -16)))))
    (func (export "free") (param i64))
    (func (export "first") (param i64) (result i32) (i32.load8_u (local.get 0))))`);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  const heap = new ModuleHeap(instance);
  using text = heap.string("wide");
  assert.equal((instance.exports as Exports).first(BigInt(text.ptr)), 0x77);
  using point = heap.struct(Point, { x: 2 });
  assert.equal(point.value.x, 2);
  using adopted = heap.adopt(BigInt(text.ptr), 4);
  assert.deepEqual(adopted.copy(), new TextEncoder().encode("wide"));
});
