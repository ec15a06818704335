// Every instruction that touches memory is checked, and does what it did before; both ways of checking find the same.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { assemble, bumpAllocator, mallocAndFree, overridesOf } from "../instrument/support.js";
import { type Checking, checking, waysToCheck } from "../support/checking.js";

const loads = {
  "i32.load": 4,
  "i32.load8_s": 1,
  "i32.load8_u": 1,
  "i32.load16_s": 2,
  "i32.load16_u": 2,
  "i64.load": 8,
  "i64.load8_u": 1,
  "i64.load16_s": 2,
  "i64.load32_u": 4,
  "f32.load": 4,
  "f64.load": 8,
} as const;
const stores = {
  "i32.store": 4,
  "i32.store8": 1,
  "i32.store16": 2,
  "i64.store": 8,
  "i64.store8": 1,
  "i64.store16": 2,
  "i64.store32": 4,
  "f32.store": 4,
  "f64.store": 8,
} as const;
const vectors = {
  "v128.load": 16,
  "v128.load8x8_s": 8,
  "v128.load32x2_u": 8,
  "v128.load8_splat": 1,
  "v128.load16_splat": 2,
  "v128.load32_splat": 4,
  "v128.load64_splat": 8,
  "v128.load32_zero": 4,
  "v128.load64_zero": 8,
} as const;
const lanes = { 8: 1, 16: 2, 32: 4, 64: 8 } as const;
const atomics = { "i32.atomic": 4, "i64.atomic": 8 } as const;

const typeOf = (name: string) => name.slice(0, 3);
const exported = (name: string) => name.replaceAll(/[.]/g, "_");
const functions: string[] = [];
/** Exports and the bytes that they touch at their argument plus 4. */
const readers = new Map<string, number>();
const writers = new Map<string, number>();

for (const [name, size] of Object.entries(loads)) {
  readers.set(exported(name), size);
  functions.push(`(func (export "${exported(name)}") (param i32) (drop (${name} offset=4 (local.get 0))))`);
}
for (const [name, size] of Object.entries(stores)) {
  writers.set(exported(name), size);
  const value = `(${typeOf(name)}.const 7)`;
  functions.push(`(func (export "${exported(name)}") (param i32) (${name} offset=4 (local.get 0) ${value}))`);
}
for (const [name, size] of Object.entries(vectors)) {
  readers.set(exported(name), size);
  functions.push(`(func (export "${exported(name)}") (param i32) (drop (${name} offset=4 (local.get 0))))`);
}
writers.set("v128_store", 16);
functions.push(
  `(func (export "v128_store") (param i32) (v128.store offset=4 (local.get 0) (v128.const i32x4 1 2 3 4)))`,
);
for (const [bits, size] of Object.entries(lanes)) {
  const [load, store] = [`v128.load${bits}_lane`, `v128.store${bits}_lane`];
  readers.set(exported(load), size);
  writers.set(exported(store), size);
  const vector = "(v128.const i32x4 1 2 3 4)";
  functions.push(
    `(func (export "${exported(load)}") (param i32) (drop (${load} offset=4 0 (local.get 0) ${vector})))`,
    `(func (export "${exported(store)}") (param i32) (${store} offset=4 0 (local.get 0) ${vector}))`,
  );
}
for (const [name, size] of Object.entries(atomics)) {
  const value = `(${typeOf(name)}.const 1)`;
  readers.set(exported(`${name}.load`), size);
  writers.set(exported(`${name}.store`), size);
  writers.set(exported(`${name}.rmw.add`), size);
  writers.set(exported(`${name}.rmw.cmpxchg`), size);
  const at = "offset=8 (local.get 0)";
  functions.push(
    `(func (export "${exported(name)}_load") (param i32) (drop (${name}.load ${at})))`,
    `(func (export "${exported(name)}_store") (param i32) (${name}.store ${at} ${value}))`,
    `(func (export "${exported(name)}_rmw_add") (param i32) (drop (${name}.rmw.add ${at} ${value})))`,
    `(func (export "${exported(name)}_rmw_cmpxchg") (param i32) (drop (${name}.rmw.cmpxchg ${at} ${value} ${value})))`,
  );
}

const far = (offset: number) =>
  `(func (export "far_${offset}") (param i32) (drop (i32.load8_u offset=${offset} (local.get 0))))`;

const bytes = assemble(`(module ${bumpAllocator}
  (data $text "linmem")
  (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 1) (local.get 1)))
  (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func (export "init") (param i32 i32) (memory.init $text (local.get 0) (i32.const 0) (local.get 1)))
  (func (export "grow") (drop (memory.grow (i32.const 1))))
  ${[2, 2048, 2051, 2065, 2 ** 27 + 8, 2 ** 32 - 1].map(far).join("\n")}
  ${functions.join("\n")})`);

const start = (inline: boolean) => checking(bytes, { inline, allocator: overridesOf(mallocAndFree) });

/** A block of so many bytes. */
const block = ({ call }: Checking, size: number) => call.malloc!(size) as number;

for (const { name, inline } of waysToCheck) {
  describe(`accesses, checked by ${name}`, () => {
    test("inside a block nothing is found, behind it each is, by its first byte there", () => {
      const checked = start(inline);
      const all = [...readers, ...writers];
      assert.ok(all.length > 40);
      for (const [access, size] of all) {
        const offset = access.includes("atomic") ? 8 : 4;
        const p = block(checked, 64);
        checked.call[access]!(p - offset + 64 - size);
        assert.deepEqual(checked.found(), [], access);
        checked.call[access]!(p - offset + 64);
        const how = writers.has(access) ? "write" : "read";
        assert.deepEqual(checked.found(), [`heap-overflow ${how} 0 past 64`], access);
        checked.call.free!(p);
        checked.call[access]!(p - offset + 16);
        assert.deepEqual(checked.found(), [`use-after-free ${how} 16 into 64`], access);
      }
    });

    test("memory.fill, copy and init are checked from end to end", () => {
      const checked = start(inline);
      const [p, q] = [block(checked, 100), block(checked, 100)];
      checked.call.fill!(p, 100);
      checked.call.copy!(q, p, 100);
      checked.call.init!(q + 94, 6);
      assert.deepEqual(checked.found(), []);
      checked.call.fill!(p, 101);
      assert.deepEqual(checked.found(), ["heap-overflow write 0 past 100"]);
      checked.call.copy!(q, p + 1, 100);
      assert.deepEqual(checked.found(), ["heap-overflow read 0 past 100"]);
      checked.call.copy!(q + 8, p, 100);
      assert.deepEqual(checked.found(), ["heap-overflow write 0 past 100"]);
      checked.call.init!(q + 95, 6);
      assert.deepEqual(checked.found(), ["heap-overflow write 0 past 100"]);
      checked.call.fill!(p + 200, 0);
      assert.deepEqual(checked.found(), []);
    });

    test("a word that begins in the block may be read, as strlen does, but not written", () => {
      const checked = start(inline);
      const p = block(checked, 6);
      checked.call.i32_load!(p);
      assert.deepEqual(checked.found(), []);
      checked.call.i32_store!(p);
      assert.deepEqual(checked.found(), ["heap-overflow write 0 past 6"]);
    });

    test("4 bytes before a block are its header", () => {
      const checked = start(inline);
      const p = block(checked, 16);
      checked.call.i32_load8_u!(p - 4 - 1);
      assert.deepEqual(checked.found(), ["heap-underflow read 1 before 16"]);
    });

    test("what is about to trap is found, and traps as before", () => {
      const checked = start(inline);
      assert.throws(() => checked.call.i32_load!(65536 - 4), WebAssembly.RuntimeError);
      assert.deepEqual(checked.found(), ["out-of-bounds read at 65536"]);
      assert.throws(() => checked.call.i32_load!(-8), WebAssembly.RuntimeError);
      assert.deepEqual(checked.found(), ["out-of-bounds read at 4294967292"]);
    });

    test("an access of any width that begins in the memory and ends behind it", () => {
      const checked = start(inline);
      const name = (access: string) => `${access} of ${readers.get(access) ?? writers.get(access)}`;
      for (const [access, size] of [...readers, ...writers]) {
        // others that are not aligned trap for that
        const isAtomic = access.includes("atomic");
        const operand = (address: number) => address - (isAtomic ? 8 : 4);
        checked.call[access]!(operand(65536 - size));
        assert.deepEqual(checked.found(), [], name(access));
        for (let inside = isAtomic ? 0 : size - 1; inside >= 0; inside--) {
          assert.throws(
            () => checked.call[access]!(operand(65536 - inside)),
            WebAssembly.RuntimeError,
            name(access),
          );
          const how = writers.has(access) ? "write" : "read";
          assert.deepEqual(checked.found(), [`out-of-bounds ${how} at ${65536 - inside}`], name(access));
        }
      }
    });

    test("memory.fill, copy and init across the end of the memory, and of no bytes behind it", () => {
      const checked = start(inline);
      const bulk: [string, number[], string][] = [
        ["fill", [65530, 7], "write at 65530"],
        ["copy", [65530, 2000, 7], "write at 65530"],
        ["copy", [2000, 65530, 7], "read at 65530"],
        ["init", [65531, 6], "write at 65531"],
        ["fill", [65537, 0], "write at 65537"],
        ["copy", [2000, 65537, 0], "read at 65537"],
        ["init", [65537, 0], "write at 65537"],
        ["fill", [-1, 2], "write at 4294967295"],
      ];
      for (const [name, operands, found] of bulk) {
        assert.throws(() => checked.call[name]!(...operands), WebAssembly.RuntimeError);
        assert.deepEqual(checked.found(), [`out-of-bounds ${found}`], `${name} ${operands}`);
      }
      checked.call.fill!(65536, 0);
      checked.call.fill!(65530, 6);
      checked.call.copy!(65530, 65524, 6);
      checked.call.init!(65530, 6);
      assert.deepEqual(checked.found(), []);
    });

    test("an offset that leads beyond 4 GiB is not taken for a low address", () => {
      const checked = start(inline);
      for (const [address, offset] of [
        [-1, 2],
        [-1, 2048],
        [-1, 2051],
        [-16, 2065],
        [-8, 2 ** 27 + 8],
        [-1, 2 ** 32 - 1],
      ] as const) {
        assert.throws(() => checked.call[`far_${offset}`]!(address), WebAssembly.RuntimeError);
        assert.deepEqual(checked.found(), [`out-of-bounds read at ${(address >>> 0) + offset}`]);
      }
    });

    test("a block that ends where the memory does, live, freed and forgotten", () => {
      const checked = checking(bytes, {
        inline,
        quarantine: 0,
        redzone: 0,
        allocator: overridesOf(mallocAndFree),
      });
      const p = block(checked, 65536 - 1024);
      for (const release of [() => {}, () => checked.call.free!(p)]) {
        release();
        checked.call.i64_load!(65536 - 8 - 4);
        assert.deepEqual(checked.found(), []);
        assert.throws(() => checked.call.i64_load!(65536 - 7 - 4), WebAssembly.RuntimeError);
        assert.deepEqual(checked.found(), ["out-of-bounds read at 65529"]);
      }
    });

    test("where the memory ended before it grew nothing is wrong any more", () => {
      const checked = start(inline);
      for (const grow of [() => checked.call.grow!(), () => checked.memory.grow(1)]) {
        const before = checked.memory.buffer.byteLength;
        grow();
        checked.call.i64_load!(before - 4 - 4);
        assert.deepEqual(checked.found(), []);
        const end = checked.memory.buffer.byteLength;
        assert.throws(() => checked.call.i64_load!(end - 4 - 4), WebAssembly.RuntimeError);
        assert.deepEqual(checked.found(), [`out-of-bounds read at ${end - 4}`]);
      }
    });

    test("memory that JavaScript adds may be used", () => {
      const checked = start(inline);
      checked.memory.grow(1);
      checked.call.i32_load!(65536);
      assert.deepEqual(checked.found(), []);
    });
  });
}
