// Loops that run without checks when a look at the memory says that they may: nothing is missed by it, and nothing made up.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { assemble, bumpAllocator, mallocAndFree, overridesOf } from "../instrument/support.js";
import { forSeeds, type Random } from "../recorder/random.js";
import { type Checking, checking, waysToCheck } from "../support/checking.js";

const allocator = overridesOf(mallocAndFree);

/** Nothing of it is ever used again. */
const roomy = bumpAllocator.replace('(export "memory") 1', '(export "memory") 256');

/** A module with a function `f` of three numbers, and how often its checks called for a range. */
function load(functions: readonly string[], options: { inline: boolean; everywhere?: boolean }) {
  return checking(assemble(`(module ${roomy} ${functions.join("\n")})`), { ...options, allocator });
}

const block = ({ call }: Checking, size: number) => call.malloc!(size) as number;

const head = `(func (export "f") (param $p i32) (param $n i32) (param $m i32) (result i32)
  (local $i i32) (local $j i32) (local $sum i32) (local $row i32)`;

/** `for (i = 0; i < n; i++) p[i] = i`, as compilers write it. */
const fill = `${head} (loop
    (i32.store (i32.add (local.get $p) (i32.shl (local.get $i) (i32.const 2))) (local.get $i))
    (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
  (local.get $i))`;

/** Loops of two numbers n and m; of how many bytes from `p` on each uses all that it uses, and what it returns. */
const loops: [name: string, text: string, bytes: (n: number, m: number) => number, how?: "wanders"][] = [
  ["an index that counts up to a number", fill, (n) => 4 * Math.max(1, n)],
  [
    "a pointer that is moved until it is another one",
    `${head} (local.set $j (i32.add (local.get $p) (i32.mul (i32.const 12) (local.get $n)))) (loop
      (local.set $sum (i32.add (local.get $sum) (i32.load8_u offset=11 (local.get $p))))
      (i32.store16 offset=4 (local.get $p) (local.get $sum))
      (br_if 0 (i32.ne (local.tee $p (i32.add (local.get $p) (i32.const 12))) (local.get $j)))) (local.get $sum))`,
    (n) => 12 * n,
  ],
  [
    "two elements in each iteration, the second by a bit that is free",
    `${head} (loop
      (f32.store (i32.add (local.get $p) (i32.shl (local.get $i) (i32.const 2))) (f32.const 1))
      (f32.store (i32.add (local.get $p) (i32.shl (i32.or (local.get $i) (i32.const 1)) (i32.const 2))) (f32.const 2))
      (br_if 0 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 2))) (local.get $n)))) (local.get $i))`,
    (n) => 4 * (Math.max(0, n - 1) & ~1) + 8,
  ],
  [
    "a counter that goes down to 0 beside a pointer that goes up",
    `${head} (local.set $i (local.get $n)) (loop
      (i64.store align=1 (local.get $p) (i64.const -1))
      (local.set $p (i32.add (local.get $p) (i32.const 8)))
      (br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1))))) (local.get $i))`,
    (n) => 8 * n,
  ],
  [
    "from the end to the beginning",
    `${head} (local.set $i (i32.sub (local.get $n) (i32.const 1))) (loop
      (i32.store8 (i32.add (local.get $p) (local.get $i)) (i32.const 1))
      (br_if 0 (i32.gt_s (local.tee $i (i32.sub (local.get $i) (i32.const 1))) (i32.const -1)))) (local.get $i))`,
    (n) => n,
  ],
  [
    "a step that is not known before",
    `${head} (loop
      (i32.store8 (i32.add (local.get $p) (local.get $i)) (i32.const 1))
      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (local.get $m))) (local.get $n)))) (local.get $i))`,
    (n, m) => Math.floor((n - 1) / m) * m + 1,
  ],
  [
    "rows and columns",
    `${head} (loop
      (local.set $i (i32.const 0))
      (loop
        (local.set $sum (i32.add (local.get $sum) (i32.load16_u (i32.add (local.get $p)
          (i32.shl (i32.add (i32.mul (local.get $j) (local.get $m)) (local.get $i)) (i32.const 1))))))
        (br_if 0 (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $m))))
      (br_if 0 (i32.le_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $n)))) (local.get $sum))`,
    (n, m) => 2 * (n + 1) * m,
  ],
  [
    "rows of which each is longer than the one before",
    `${head} (loop
      (local.set $i (i32.const 0))
      (loop
        (i32.store8 (i32.add (local.get $p) (i32.add (local.get $row) (local.get $i))) (i32.const 7))
        (br_if 0 (i32.le_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $j))))
      (local.set $row (i32.add (local.get $row) (i32.const 20)))
      (br_if 0 (i32.lt_s (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $n)))) (local.get $row))`,
    (n) => 20 * (n - 1) + n,
  ],
  [
    "what only some iterations do",
    `${head} (loop
      (if (i32.and (local.get $i) (i32.const 1)) (then
        (i32.store offset=8 (i32.add (local.get $p) (i32.mul (local.get $i) (i32.const 4))) (i32.const 1))))
      (br_if 0 (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))) (local.get $i))`,
    (n) => (n < 2 ? 0 : 12 + 4 * ((n - 2) | 1)),
  ],
  [
    "an end that the memory decides",
    `${head} (block (loop
      (br_if 1 (i32.eq (local.get $i) (local.get $n)))
      (br_if 1 (i32.eq (i32.load8_u (i32.add (local.get $p) (local.get $i))) (i32.const 99)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br 0))) (local.get $i))`,
    (n) => n,
  ],
  [
    "a branch out of both loops",
    `${head} (block (loop
      (local.set $i (i32.const 0))
      (loop
        (br_if 2 (i32.eq (i32.load8_u (i32.add (local.get $p) (i32.add (local.get $row) (local.get $i)))) (i32.const 99)))
        (br_if 0 (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $m))))
      (local.set $row (i32.add (local.get $row) (local.get $m)))
      (br_if 0 (i32.ne (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $n))))) (local.get $row))`,
    (n, m) => n * m,
  ],
  [
    "a variable that a branch keeps from being moved",
    `${head} (loop
      (block (br_if 0 (i32.and (local.get $i) (i32.const 1)))
        (local.set $j (i32.add (local.get $j) (i32.const 8))))
      (i32.store (i32.add (local.get $p) (local.get $j)) (i32.const 1))
      (br_if 0 (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))) (local.get $j))`,
    (n) => 8 * ((n + 1) >> 1) + 4,
    "wanders",
  ],
  [
    "a branch of an inner loop past what moves a variable",
    `${head} (loop
      (block
        (local.set $sum (i32.const 0))
        (loop
          (br_if 1 (i32.gt_u (local.get $j) (i32.const 40)))
          (br_if 0 (i32.lt_u (local.tee $sum (i32.add (local.get $sum) (i32.const 1))) (i32.const 3))))
        (local.set $j (i32.add (local.get $j) (i32.const 4))))
      (i32.store (i32.add (local.get $p) (local.get $j)) (i32.const 1))
      (br_if 0 (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))) (local.get $j))`,
    (n) => 4 * Math.min(n, 11) + 4,
    "wanders",
  ],
];

const inputs = [1, 2, 3, 7, 8, 50, 64, 129];

for (const { name: way, inline } of waysToCheck) {
  describe(`loops that are looked at before they begin, by ${way}`, () => {
    for (const [name, text, bytes, how] of loops) {
      test(name, () => {
        const checked = load([text], { inline });
        const all = load([text], { inline, everywhere: true });
        for (const n of inputs) {
          for (const m of [1, 5, 16]) {
            const size = bytes(n, m);
            for (const missing of [0, 1, 4, 9]) {
              const [some, every] = [checked, all].map((it) => {
                const result = it.call.f!(block(it, Math.max(1, size - missing)), n, m);
                return { result, found: it.found() };
              });
              assert.deepEqual(some, every, `${n}, ${m}, ${missing} bytes are missing`);
              assert.equal(all.ranges.length, 0);
              if (missing === 0) assert.deepEqual(some!.found, [], `${n}, ${m}`);
            }
          }
        }
        assert.ok(checked.violations.length > 10);
        if (how === "wanders") assert.equal(checked.ranges.length, 0, "nobody knows where it goes");
        else {
          assert.ok(checked.ranges.includes(true), "it ran without checks");
          assert.ok(checked.ranges.includes(false), "and with them");
        }
      });
    }

    test("a loop that passes its end and meets it later has more iterations than it seems", () => {
      const text = `${head} (loop
        (i32.store8 (i32.add (local.get $p) (local.get $sum)) (i32.const 1))
        (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
        (br_if 0 (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 0x2000003))) (i32.const 0x180)))) (local.get $sum))`;
      const checked = load([text], { inline });
      assert.equal(checked.call.f!(block(checked, 64), 0, 0), 128);
      assert.equal(checked.found()[0], "heap-overflow write 0 past 64");
    });

    test("an index without a sign that begins below 0 is not taken for a small one", () => {
      const text = `${head} (local.set $i (i32.const -8)) (loop
        (i32.store8 (i32.add (local.get $p) (local.get $i)) (i32.const 1))
        (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))) (local.get $i))`;
      const checked = load([text], { inline });
      const p = block(checked, 64);
      checked.call.f!(p + 8, 40, 0);
      assert.deepEqual(checked.found(), [], "-7 is more than 40: it ends at once");
      checked.call.f!(p + 80, 40, 0);
      assert.deepEqual(checked.found(), ["heap-overflow write 8 past 64"]);
    });

    test("an address that goes past 2^32 is another one", () => {
      const checked = load([fill], { inline });
      const p = block(checked, 400);
      // 2^30 elements lower, where the address is the same
      const text = `${head} (local.set $i (i32.const 0x40000000)) (loop
        (i32.store (i32.add (local.get $p) (i32.shl (local.get $i) (i32.const 2))) (i32.const 1))
        (br_if 0 (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 0x40000065)))) (local.get $i))`;
      const round = load([text], { inline });
      const q = block(round, 400);
      checked.call.f!(p, 101, 0);
      round.call.f!(q, 0, 0);
      assert.deepEqual(checked.found(), ["heap-overflow write 0 past 400"]);
      assert.deepEqual(round.found(), ["heap-overflow write 0 past 400"]);
    });

    test("what both copies of a loop do wrong is counted, each for itself", () => {
      // nobody knows where the read goes, so that it is checked in either copy; it is wrong in each iteration
      const text = `${head} (loop
        (i32.store8 (i32.add (local.get $p) (local.get $i)) (i32.const 1))
        (drop (i32.load8_u (i32.add (local.get $p) (i32.or (i32.and (local.get $i) (i32.const 3)) (local.get $m)))))
        (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))) (local.get $i))`;
      const both = [false, true].map((everywhere) => load([text], { inline, everywhere }));
      const [copies, one] = both.map((it) => {
        for (const n of [30, 60, 30]) it.call.f!(block(it, 64), n, 64);
        return { announced: it.found().length, count: it.count() };
      });
      assert.deepEqual(both[0]!.ranges, [true]);
      assert.deepEqual([copies!.count, one!.count], [120, 120]);
      // 32 of each place, and then the 64th: what of a later call is announced first may not be what it did first
      assert.deepEqual([copies!.announced, one!.announced], [32 + 32, 32 + 1]);
      const first = both.map((it) => {
        it.recount();
        it.call.f!(block(it, 64), 30, 64);
        return it.found().length;
      });
      assert.deepEqual(first, [30, 30]);
    });

    test("loops made by chance: what is found is what is found when every access is checked", () => {
      let [wrong, right] = [0, 0];
      const ranges: boolean[] = [];
      forSeeds(4, (random) => {
        const functions = Array.from({ length: 40 }, (_, i) => randomLoops(`f${i}`, random));
        const [some, all] = [false, true].map((everywhere) => load(functions, { inline, everywhere }));
        functions.forEach((text, i) => {
          for (let input = 0; input < 8; input++) {
            const sizes = [1 + random.below(random.pick([99, 1500])), 1 + random.below(1500)];
            const operands = [1 + random.below(99), random.below(12)];
            const [one, other] = [some!, all!].map((checked) => {
              // else what a place that was wrong often does first would not always be announced
              checked.recount();
              const blocks = sizes.map((size) => block(checked, size));
              const result = resultOf(() => checked.call[`f${i}`]!(...blocks, ...operands));
              return { result, found: checked.found().map((it) => it.replace(/ (read|write) /, " "))[0] };
            });
            assert.deepEqual(one, other, `f${i}(${sizes}, ${operands}): ${text}`);
            if (one!.found) wrong++;
            else right++;
          }
        });
        ranges.push(...some!.ranges);
      });
      const clean = ranges.filter((it) => it).length;
      assert.ok(clean > 100 && ranges.length - clean > 20, `${clean} of ${ranges.length}`);
      assert.ok(wrong > 50 && right > 100, `${wrong} are wrong, ${right} right`);
    });
  });
}

/** What a function returns, or how it ends. */
function resultOf(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return String(error);
  }
}

/** A function of two blocks and two numbers, made of loops in loops. */
function randomLoops(name: string, random: Random): string {
  const below = (limit: number) => random.below(limit);
  const counters = ["$i", "$j", "$k"];
  const variables = ["$n", "$m", "$a", "$b", ...counters];
  const value = (depth: number): string => {
    if (depth > 2 || random.chance(0.35)) {
      return random.chance(0.3) ? `(i32.const ${below(20)})` : `(local.get ${random.pick(variables)})`;
    }
    const [left, right] = [value(depth + 1), value(depth + 1)];
    switch (below(7)) {
      case 0:
      case 1:
        return `(i32.add ${left} ${right})`;
      case 2:
        return `(i32.mul ${left} (i32.const ${1 + below(5)}))`;
      case 3:
        return `(i32.shl ${left} (i32.const ${below(4)}))`;
      case 4:
        return `(i32.or (i32.shl ${left} (i32.const 1)) (i32.const 1))`;
      case 5:
        return `(i32.sub ${left} (i32.const ${below(4)}))`;
      default:
        return random.chance(0.3) ? `(i32.mul ${left} ${right})` : left;
    }
  };
  // addresses wander: what is added is kept small
  const address = () =>
    `(i32.add (local.get ${random.pick(["$p", "$q"])}) ${random.chance(0.6) ? value(1) : `(i32.and ${value(0)} (i32.const 255))`})`;
  const access = () => {
    const offset = below(3) * 4;
    switch (below(3)) {
      case 0:
        return `(i32.store8 offset=${offset} ${address()} (i32.const 3))`;
      case 1:
        return `(local.set $x (i32.add (local.get $x) (i32.load offset=${offset} ${address()})))`;
      default:
        return `(i64.store offset=${offset} ${address()} (i64.const 5))`;
    }
  };
  const statement = (depth: number): string => {
    const choice = below(depth < 3 ? 9 : 6);
    if (choice < 3) return access();
    if (choice === 3) return `(local.set ${random.pick(["$a", "$b"])} ${value(1)})`;
    if (choice === 4) return `(if (i32.and ${value(2)} (i32.const 1)) (then ${access()}))`;
    if (choice === 5)
      return `(block (br_if 0 (i32.and ${value(2)} (i32.const 1))) ${statement(3)} ${statement(3)})`;
    return loop(depth);
  };
  const loop = (depth: number): string => {
    const counter = counters[depth]!;
    const [step, from] = [1 + below(4), below(3)];
    const body = Array.from({ length: 1 + below(3) }, () => statement(depth + 1)).join(" ");
    const leave = random.chance(0.2)
      ? `(br_if ${1 + 2 * below(depth + 1)} (i32.eq (local.get $x) (i32.const ${below(4)})))`
      : "";
    const next = `(local.tee ${counter} (i32.add (local.get ${counter}) (i32.const ${step})))`;
    const bound = random.chance(0.5)
      ? `(i32.const ${1 + below(depth === 0 ? 60 : 12)})`
      : `(local.get ${depth === 0 ? "$n" : "$m"})`;
    // with an end that may be passed only where that ends it as well
    const goesOn =
      step === 1 && from === 0 && bound.includes("$n")
        ? `(i32.ne ${next} (local.get $n))`
        : `(i32.${random.pick(["lt_u", "lt_s", "le_s"])} ${next} ${bound})`;
    return `(local.set ${counter} (i32.const ${from})) (block (loop ${body} ${leave} (br_if 0 ${goesOn})))`;
  };
  return `(func (export "${name}") (param $p i32) (param $q i32) (param $n i32) (param $m i32) (result i32)
    (local $i i32) (local $j i32) (local $k i32) (local $a i32) (local $b i32) (local $x i32)
    ${loop(0)} ${loop(0)} (i32.add (local.get $x) (i32.add (local.get $a) (local.get $i))))`;
}
