// Modules in which no block is watched: accesses are compared with the end of the memory, and with the first address that
// an object may have, without any shadow memory.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { instrument } from "../../src/instrument/index.js";
import { assemble } from "../instrument/support.js";
import { forSeeds, type Random } from "../recorder/random.js";
import { checking, waysToCheck } from "../support/checking.js";

const memory = '(memory (export "memory") 1)';
/** What LLVM's linker leaves: a stack, and data above it from 4096 on. */
const layout = `${memory} (global $sp (export "__stack_pointer") (mut i32) (i32.const 4096))
  (global (export "__data_end") i32 (i32.const 8192)) (global (export "__heap_base") i32 (i32.const 8192))
  (data (i32.const 4096) "x")`;

const plain = `
  (func (export "load8") (param i32) (drop (i32.load8_u (local.get 0))))
  (func (export "load") (param i32) (drop (i32.load (local.get 0))))
  (func (export "store") (param i32) (i64.store offset=16 (local.get 0) (i64.const 1)))
  (func (export "vector") (param i32) (v128.store offset=3 (local.get 0) (v128.const i64x2 1 2)))
  (func (export "far") (param i32) (drop (i32.load8_u offset=4294967295 (local.get 0))))
  (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 1) (local.get 1)))
  (func (export "grown") (param i32)
    (drop (i32.load (local.get 0)))
    (drop (memory.grow (i32.const 1)))
    (i32.store offset=65536 (local.get 0) (i32.const 1))
    (i32.store offset=131072 (local.get 0) (i32.const 1)))`;

for (const { name: way, inline } of waysToCheck) {
  describe(`a memory in which no block is watched, asked for ${way}`, () => {
    test("needs no second memory", () => {
      const { instance } = checking(assemble(`(module ${memory} ${plain})`), { inline });
      assert.ok(instance.exports.memory instanceof WebAssembly.Memory);
    });

    test("what is about to trap is found, and traps as before", () => {
      const checked = checking(assemble(`(module ${memory} ${plain})`), { inline });
      const { call } = checked;
      for (const [access, address, at, how] of [
        ["load8", 65536, 65536, "read"],
        ["load", 65533, 65533, "read"],
        ["load", -1, 2 ** 32 - 1, "read"],
        ["store", 65513, 65529, "write"],
        ["store", -8, 2 ** 32 + 8, "write"],
        ["vector", 65536 - 18, 65536 - 15, "write"],
        ["far", 1, 2 ** 32, "read"],
      ] as const) {
        assert.throws(() => call[access]!(address), WebAssembly.RuntimeError);
        assert.deepEqual(checked.found(), [`out-of-bounds ${how} at ${at}`], access);
      }
      assert.throws(() => call.fill!(65530, 7), WebAssembly.RuntimeError);
      assert.deepEqual(checked.found(), ["out-of-bounds write at 65530"]);
      for (const [access, last] of [
        ["load8", 65535],
        ["load", 65532],
        ["store", 65512],
        ["vector", 65517],
      ] as const) {
        call[access]!(last);
        call[access]!(0);
      }
      assert.deepEqual(checked.found(), []);
    });

    test("null pointers too, where it is known what lies low", () => {
      const checked = checking(assemble(`(module ${layout} ${plain})`), { inline });
      checked.call.load!(4);
      assert.deepEqual(checked.found(), ["null-access read at 4"]);
      checked.call.fill!(0, 2);
      assert.deepEqual(checked.found(), ["null-access write at 0"]);
      assert.throws(() => checked.call.load!(-1), WebAssembly.RuntimeError);
      assert.deepEqual(checked.found(), ["out-of-bounds read at 4294967295"]);
    });

    test("memory that grows in the middle of a function may be used at once", () => {
      const checked = checking(assemble(`(module ${memory} ${plain})`), { inline });
      assert.throws(() => checked.call.grown!(65532), WebAssembly.RuntimeError);
      assert.deepEqual(checked.found(), ["out-of-bounds write at 196604"]);
      checked.memory.grow(1);
      checked.call.load!(196604);
      assert.deepEqual(checked.found(), []);
    });

    test("functions made by chance: what is found first is what is found when every access is checked", () => {
      let [wrong, right] = [0, 0];
      forSeeds(3, (random) => {
        const functions = Array.from({ length: 20 }, (_, i) => randomFunction(`f${i}`, random));
        const bytes = assemble(`(module ${layout} (func $nothing) ${functions.join("\n")})`);
        const both = [true, false].map((everywhere) => checking(bytes, { inline, everywhere }));
        functions.forEach((text, i) => {
          for (let input = 0; input < 8; input++) {
            const pointers = [0, 1].map(
              () => random.pick([1000, 2000, 40000, 65480, 65520]) + random.below(48),
            );
            const [all, some] = both.map((checked) => {
              let trap = "";
              try {
                checked.call[`f${i}`]!(...pointers, input);
              } catch (error) {
                trap = String(error);
              }
              return [checked.found()[0], trap];
            });
            assert.deepEqual(some, all, `f${i}(${pointers}, ${input}): ${text}`);
            if (all![0]) wrong++;
            else right++;
          }
        });
      });
      assert.ok(wrong > 100 && right > 50, `${wrong} are wrong, ${right} right`);
    });

    test("Go's stack is checked where its pointer is set, not where it is used", () => {
      const checked = checking(assemble(goProgram), {
        inline,
        imports: { gojs: { "runtime.wasmExit": () => {} } },
      });
      const { call } = checked;
      call.set!(4096);
      call.enter!(0);
      assert.deepEqual(checked.found(), []);
      // the two through a pointer of the program's, and two new stack pointers
      assert.equal(checked.sites, 4);
      call.set!(65536);
      assert.deepEqual(checked.found(), []);
      call.set!(65537);
      assert.deepEqual(checked.found(), ["out-of-bounds write at 65537"]);
      call.set!(4096);
      assert.throws(() => call.enter!(65529), WebAssembly.RuntimeError);
      assert.deepEqual(checked.found(), ["out-of-bounds read at 65529"]);
    });
  });
}

/** A release in Rust that does no more than call the allocator which the program chose; `own` calls that directly, or not. */
const shims = (own: string) => `(module ${layout}
  (global $top (mut i32) (i32.const 8192))
  (func $__rust_alloc (export "alloc") (param i32 i32) (result i32)
    (global.get $top)
    (global.set $top (i32.add (global.get $top) (i32.and (i32.add (local.get 0) (i32.const 15)) (i32.const -8)))))
  (func $__rust_dealloc (export "dealloc") (param i32 i32 i32)
    (call $chosen (i32.const 64) (local.get 0) (local.get 1)))
  (func $chosen (param i32 i32 i32) (i32.store (local.get 1) (local.get 0)))
  (func (export "own") (param i32) ${own}))`;

test("blocks that are released past what is hooked are not watched", () => {
  const past = instrument(assemble(shims("(call $chosen (i32.const 64) (local.get 0) (i32.const 8))")), {
    check: { inline: false, redzone: 16 },
  });
  assert.equal(past.check?.blocks, false);
  assert.deepEqual(past.check.notes, [
    "what __rust_dealloc calls is called directly too: its blocks are not checked",
  ]);
  assert.deepEqual(past.allocator, []);
  const by = instrument(assemble(shims("(call $__rust_dealloc (local.get 0) (i32.const 8) (i32.const 8))")), {
    check: { inline: false, redzone: 16 },
  });
  assert.equal(by.check?.blocks, true);
  assert.equal(by.allocator.length, 2);
});

test("a module that is linked dynamically has its blocks in another one, which watches them", () => {
  const [magic, name] = [8, new TextEncoder().encode("dylink.0")];
  const plain = assemble(`(module (import "env" "memory" (memory 1))
    (func (export "load") (param i32) (drop (i32.load (local.get 0)))))`);
  const section = [0, name.length + 1, name.length, ...name];
  const side = Uint8Array.from([...plain.subarray(0, magic), ...section, ...plain.subarray(magic)]);
  const { check, checks } = instrument(side, { check: { inline: false, redzone: 16 } });
  assert.deepEqual(check?.notes, []);
  assert.equal(checks, 1);
});

/** As Go compiles a function that calls another one: the local 1 is the stack pointer, addresses have 64 bits. */
const goProgram = `(module (import "gojs" "runtime.wasmExit" (func (param i32)))
  ${memory} (global (mut i32) (i32.const 0))
  (func $callee (param i32) (result i32) (local i32)
    (local.set 1 (global.get 0))
    (i64.store offset=8 (local.get 1) (i64.const 1))
    (global.set 0 (i32.add (local.get 1) (i32.const 8)))
    (i32.const 0))
  (func (export "enter") (param i32) (local i32 i64)
    (local.set 1 (global.get 0))
    (local.set 2 (i64.extend_i32_u (local.get 0)))
    (i64.store offset=24 (local.get 1) (local.get 2))
    (global.set 0 (local.tee 1 (i32.sub (local.get 1) (i32.const 8))))
    (i64.store (local.get 1) (i64.const 4096))
    (drop (call $callee (i32.const 0)))
    (local.set 1 (global.get 0))
    (i64.store (i32.wrap_i64 (i64.add (i64.extend_i32_u (local.get 1)) (i64.const 16))) (i64.const 2))
    (drop (i64.load (i32.wrap_i64 (local.get 2))))
    (call $again (local.get 2)))
  (func $again (param i64) (drop (i64.load (i32.wrap_i64 (local.get 0)))))
  (func (export "set") (param i32) (global.set 0 (local.get 0)))
  (func (export "restore") (param i32) (global.set 0 (i32.load (global.get 0)))))`;

/** Accesses through two pointers and what is made of them, in branches and loops. */
function randomFunction(name: string, random: Random): string {
  const below = (bound: number) => random.below(bound);
  const pointer = () => `(local.get ${random.pick([0, 1, 3, 4])})`;
  const access = (): string => {
    const offset = random.pick([0, 1, 4, 7, 8, 12, 16, 24]);
    return random.pick([
      `(drop (i32.load offset=${offset} ${pointer()}))`,
      `(i32.store8 offset=${offset} ${pointer()} (i32.const 1))`,
      `(i64.store offset=${offset} ${pointer()} (i64.const 1))`,
      `(i32.store offset=${offset} (i32.wrap_i64 (i64.add (i64.extend_i32_u ${pointer()}) (i64.const 4))) (i32.const 1))`,
    ]);
  };
  const condition = () => `(i32.and (local.get 2) (i32.const ${1 << below(3)}))`;
  const statements = (depth: number): string =>
    Array.from({ length: 1 + below(4) }, () => statement(depth)).join(" ");
  const statement = (depth: number): string => {
    const choice = depth > 2 ? below(6) : below(10);
    if (choice < 4) return access();
    if (choice === 4) {
      const [to, from] = [3 + below(2), random.pick([0, 1, 3, 4])];
      return `(local.set ${to} (i32.add (local.get ${from}) (i32.const ${below(5) * 4 - 8})))`;
    }
    if (choice === 5) return random.pick(["(call $nothing)", access()]);
    if (choice === 6)
      return `(if ${condition()} (then ${statements(depth + 1)}) (else ${statements(depth + 1)}))`;
    if (choice === 7)
      return `(block ${statements(depth + 1)} (br_if 0 ${condition()}) ${statements(depth + 1)})`;
    const counter = 5 + depth;
    return `(local.set ${counter} (i32.const 0)) (loop ${statements(depth + 1)}
      (br_if 0 (i32.lt_u (local.tee ${counter} (i32.add (local.get ${counter}) (i32.const 1))) (i32.const 2))))`;
  };
  return `(func (export "${name}") (param i32 i32 i32) (local i32 i32 i32 i32 i32 i32)
    (local.set 3 (local.get 0)) (local.set 4 (local.get 1)) ${statements(0)} ${statements(0)})`;
}
