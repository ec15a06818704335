// Which accesses are not checked since it is known what would come out: nothing is missed by it, and some are left out.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { assemble, bumpAllocator, mallocAndFree, overridesOf } from "../instrument/support.js";
import { forSeeds, type Random } from "../recorder/random.js";
import { type Checking, checking, waysToCheck } from "../support/checking.js";

const allocator = overridesOf(mallocAndFree);
const block = ({ call }: Checking, size: number) => call.malloc!(size) as number;

/** Functions in which a first access is all right and a second one isn't, and what is to be found. */
const cases: [name: string, body: string, found: string][] = [
  [
    "what follows a call is checked again",
    "(drop (i32.load (local.get 0))) (call $free (local.get 0)) (drop (i32.load (local.get 0)))",
    "use-after-free read 0 into 12",
  ],
  [
    "and what a loop calls before it comes round",
    `(drop (i32.load (local.get 0)))
     (loop (drop (i32.load (local.get 0))) (call $free (local.get 0))
       (br_if 0 (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 2))))`,
    "use-after-free read 0 into 12",
  ],
  [
    "a pointer that a loop moves is another one each time",
    `(loop (i32.store8 (local.get 0) (i32.const 1)) (local.set 0 (i32.add (local.get 0) (i32.const 4)))
       (br_if 0 (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 4))))`,
    "heap-overflow write 0 past 12",
  ],
  [
    "what only one way has checked is not known where both meet",
    `(if (local.get 1) (then (i32.store offset=12 (local.get 0) (i32.const 1))) (else (nop)))
     (i32.store offset=12 (local.get 0) (i32.const 1))`,
    "heap-overflow write 0 past 12",
  ],
  [
    "nor where a branch leads past it",
    `(block (br_if 0 (i32.eqz (local.get 1))) (i32.store offset=12 (local.get 0) (i32.const 1)))
     (i32.store offset=12 (local.get 0) (i32.const 1))`,
    "heap-overflow write 0 past 12",
  ],
  [
    "a local that is set in one way may be anything",
    `(drop (i32.load (local.get 0)))
     (if (i32.eqz (local.get 1)) (then (local.set 0 (i32.add (local.get 0) (i32.const 16)))))
     (drop (i32.load (local.get 0)))`,
    "heap-overflow read 4 past 12",
  ],
  [
    "part of what was checked is all that is known",
    "(i32.store offset=8 (local.get 0) (i32.const 1)) (i64.store offset=8 (local.get 0) (i64.const 1))",
    "heap-overflow write 0 past 12",
  ],
  [
    "accesses that are checked together are told apart when one is wrong",
    `(i32.store (local.get 0) (i32.const 1)) (i32.store offset=4 (local.get 0) (i32.const 1))
     (i32.store offset=8 (local.get 0) (i32.const 1)) (i32.store offset=12 (local.get 0) (i32.const 1))`,
    "heap-overflow write 0 past 12",
  ],
  [
    "a word may be read where the block ends in it, but not written afterwards",
    `(drop (i32.load offset=8 (local.get 2)))
     (if (i32.eqz (local.get 1)) (then (i32.store offset=8 (local.get 2) (i32.const 1))))`,
    "heap-overflow write 0 past 10",
  ],
  [
    "nor its second half read",
    "(drop (i64.load offset=8 (local.get 2))) (drop (i32.load offset=12 (local.get 2)))",
    "heap-overflow read 2 past 10",
  ],
  [
    "and not known where only one way has read it",
    `(drop (i64.load offset=8 (local.get 2)))
     (if (local.get 1) (then (drop (i32.load offset=12 (local.get 2)))) (else (nop)))
     (drop (i32.load offset=12 (local.get 2)))`,
    "heap-overflow read 2 past 10",
  ],
  [
    "and not read to be written",
    "(i32.store offset=8 (local.get 2) (i32.add (i32.load offset=8 (local.get 2)) (i32.const 1)))",
    "heap-overflow read 0 past 10",
  ],
];

for (const { name: way, inline } of waysToCheck) {
  describe(`accesses that need no check, by ${way}`, () => {
    for (const [name, body, found] of cases) {
      test(name, () => {
        const bytes = assemble(`(module ${bumpAllocator} (func (export "f") (param i32 i32 i32) ${body}))`);
        const checked = checking(bytes, { inline, allocator });
        const [p, q] = [block(checked, 12), block(checked, 10)];
        checked.call.f!(p, 0, q);
        assert.equal(checked.found()[0], found);
      });
    }

    test("programs made by chance: what is found first is what is found when every access is checked", () => {
      let wrong = 0;
      let right = 0;
      forSeeds(3, (random) => {
        const functions = Array.from({ length: 25 }, (_, i) => randomFunction(`f${i}`, random));
        const bytes = assemble(`(module ${bumpAllocator} ${functions.join("\n")})`);
        const both = [true, false].map((everywhere) => checking(bytes, { inline, allocator, everywhere }));
        functions.forEach((text, i) => {
          for (let input = 0; input < 8; input++) {
            const sizes = [8 + random.below(40), 8 + random.below(40)];
            const [all, some] = both.map((checked) => {
              // else a place that was wrong often is not always announced
              checked.recount();
              checked.call[`f${i}`]!(...sizes.map((size) => block(checked, size)), input);
              return checked.found();
            });
            // a read that is checked for the write behind it is found in its place
            const where = (found: string | undefined) => found?.replace(/ (read|write) /, " ");
            assert.equal(where(some![0]), where(all![0]), `f${i}(${sizes}, ${input}): ${text}`);
            if (all!.length > 0) wrong++;
            else right++;
          }
        });
      });
      assert.ok(wrong > 100 && right > 20, `${wrong} are wrong, ${right} right`);
    });
  });
}

test("most accesses of a function that comes back to its fields are not checked, and none through the frame", () => {
  const field = (offset: number) => `(i32.store offset=${offset} (local.get 0)
    (i32.add (i32.load offset=${offset} (local.get 0)) (i32.const 1)))`;
  const text = `(module (memory (export "memory") 1) (global $sp (export "__stack_pointer") (mut i32) (i32.const 4096))
    (global (export "__data_end") i32 (i32.const 8192)) (global (export "__heap_base") i32 (i32.const 8192))
    (data (i32.const 4096) "x")
    (func (export "fields") (param i32) ${field(0)} ${field(4)} ${field(8)})
    (func (export "frame") (param i32) (local i32)
      (global.set $sp (local.tee 1 (i32.sub (global.get $sp) (i32.const 32))))
      (i64.store offset=24 (local.get 1) (i64.const 1))
      (drop (i32.load (local.get 1)))
      (global.set $sp (i32.add (local.get 1) (i32.const 32))))
    (func (export "data") (drop (i32.load offset=4096 (i32.const 0)))))`;
  const count = (everywhere: boolean) => {
    const checked = checking(assemble(text), { inline: false, everywhere });
    return checked.sites;
  };
  const [all, some] = [count(true), count(false)];
  // three fields, and two changes of the stack pointer
  assert.deepEqual([all, some], [11, 5]);
});

/** A function of two blocks and a number, whose bits decide what it does. */
function randomFunction(name: string, random: Random): string {
  const below = (limit: number) => random.below(limit);
  const access = () => {
    const offset = below(7) * 4 + (random.chance(0.2) ? below(4) : 0);
    const local = below(4);
    const pointer = `(local.get ${local})`;
    // what an access says of its alignment is true: else it may reach into 8 bytes that nobody looks at
    const of4 = `offset=${offset} align=${offset % 4 === 0 ? 4 : 1}`;
    const of8 = `offset=${offset & ~7} align=${local < 2 ? 8 : 4}`;
    switch (below(5)) {
      case 0:
        return `(drop (i32.load ${of4} ${pointer}))`;
      case 1:
        return `(i32.store ${of4} ${pointer} (i32.const 1))`;
      case 2:
        return `(drop (i64.load ${of8} ${pointer}))`;
      case 3:
        return `(i32.store8 offset=${offset} ${pointer} (i32.const 1))`;
      default:
        return `(drop (i32.load8_u offset=${offset} ${pointer}))`;
    }
  };
  const condition = () => `(i32.and (local.get 5) (i32.const ${1 << below(3)}))`;
  const statements = (depth: number): string =>
    Array.from({ length: 1 + below(4) }, () => statement(depth)).join(" ");
  const statement = (depth: number): string => {
    const choice = depth > 3 ? below(6) : below(10);
    if (choice < 5) return access();
    if (choice === 5) {
      const [to, from] = [2 + below(2), below(4)];
      return `(local.set ${to} (i32.add (local.get ${from}) (i32.const ${below(3) * 4})))`;
    }
    if (choice === 6)
      return `(if ${condition()} (then ${statements(depth + 1)}) (else ${statements(depth + 1)}))`;
    if (choice === 7)
      return `(block ${statements(depth + 1)} (br_if 0 ${condition()}) ${statements(depth + 1)})`;
    if (choice === 8) {
      const counter = 6 + depth;
      return `(local.set ${counter} (i32.const 0)) (loop ${statements(depth + 1)}
        (br_if 0 (i32.lt_u (local.tee ${counter} (i32.add (local.get ${counter}) (i32.const 1))) (i32.const 2))))`;
    }
    return random.chance(0.15) ? `(if ${condition()} (then (call $free (local.get ${below(2)}))))` : access();
  };
  // two pointers to the blocks that it is given, two that it moves, the number, counters of loops
  return `(func (export "${name}") (param $p i32) (param $q i32) (param $bits i32)
    (local i32 i32 i32 i32 i32 i32 i32 i32)
    (local.set 5 (local.get 2)) (local.set 2 (local.get 0)) (local.set 3 (local.get 1))
    ${statements(0)} ${statements(0)} ${statements(0)})`;
}
