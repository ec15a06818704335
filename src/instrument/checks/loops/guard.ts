/**
 * Code that runs before a loop and tells whether all bytes may be used that accesses in it can touch. It computes with
 * numbers of 64 bits with a fraction: they have a minimum and a maximum, and what is below 2^53 is exact.
 *
 * The bytes are looked at as one range for all accesses through one sum. The range may be larger than what is accessed:
 * then the loop with its checks runs although it would not have to.
 */
import { op } from "../../../wasm/instructions.js";
import { valueType } from "../../../wasm/types.js";
import { CodeWriter } from "../../emit.js";
import { type Affine, keyOf, type Term } from "./affine.js";
import type { LoopTest } from "./conditions.js";
import type { Nest, NestLoop } from "./nest.js";
import { canCount, oneLess, type Range, rangesOf, split, withoutLast } from "./ranges.js";

const [f64Const, f64Eq, f64Lt, f64Le, f64Ge] = [0x44, 0x61, 0x63, 0x65, 0x66];
const [f64Abs, f64Neg, f64Ceil, f64Trunc] = [0x99, 0x9a, 0x9b, 0x9d];
const [f64Add, f64Sub, f64Mul, f64Div, f64Min, f64Max] = [0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5];
const [f64ConvertI32S, i32TruncF64U] = [0xb7, 0xab];
/** Block type of a block with one result. */
const i32Result = valueType.i32;

/** Sums of as many terms as there may be are exact if none is larger. */
const mostProduct = 2 ** 48;
const mostCount = 2 ** 32;
/** Ranges of a nest that are looked at; of more none are. */
const mostRanges = 12;
/** Checks that have to be saved for each range that is looked at. */
const leastSaved = 24;
/** Bytes that may be looked at for each access, and for a range even if the loop may end at once. */
const bytesPerAccess = 64;
const freeBytes = 1024;

/** How often a loop comes round at most: known now, or in a local then. */
type Count = { value: number } | { local: number };

export interface Guard {
  /** Positions of the accesses that are all right if the code says so. */
  covered: ReadonlySet<number>;
  /** Leaves 1 on the stack if they are, else 0. */
  write(code: CodeWriter, target: GuardTarget): void;
}

export interface GuardTarget {
  /** Index of a new local for a number with a fraction. */
  newLocal(): number;
  /** Index of `checkUsable`. */
  usable: number;
}

/**
 * Undefined when nothing can be said.
 * @param wanted accesses that would be checked
 * @param together accesses of which none is left out alone
 */
export function guardOf(
  nest: Nest,
  wanted: (pos: number) => boolean,
  together: (pos: number) => readonly number[],
): Guard | undefined {
  const tests = new Map<number, LoopTest>();
  const isCounted = (term: Term) => term.counter === undefined || tests.has(term.counter);
  for (const { id, tests: all } of nest.loops.values()) {
    const test = all.find((it) => canCount(it, id, isCounted));
    if (test) tests.set(id, test);
  }
  const able = nest.accesses.filter(({ pos, address }) => wanted(pos) && address.terms.every(isCounted));
  const positions = new Set(able.map(({ pos }) => pos));
  const accesses = able
    .filter(({ pos }) => together(pos).every((other) => positions.has(other)))
    .map((access) => ({ ...access, address: withoutLast(access, tests) }));
  const ranges = rangesOf(accesses);
  if (ranges.length === 0 || ranges.length > mostRanges) return undefined;
  const covered = new Set(accesses.map(({ pos }) => pos));
  const write = (code: CodeWriter, target: GuardTarget) =>
    new GuardWriter(code, target, nest).write(tests, ranges, covered.size);
  const canHold = write(new CodeWriter(1024), { newLocal: () => 0, usable: 0 });
  return canHold ? { covered, write } : undefined;
}

class GuardWriter {
  readonly #code: CodeWriter;
  readonly #target: GuardTarget;
  readonly #nest: Nest;
  readonly #counts = new Map<number, Count>();
  /** Products that are known to be small enough. */
  readonly #small = new Set<string>();
  /** It is known already that the accesses can't be told to be all right. */
  #isHopeless = false;

  constructor(code: CodeWriter, target: GuardTarget, nest: Nest) {
    this.#code = code;
    this.#target = target;
    this.#nest = nest;
  }

  /** Returns false when it can be said now that the code will always say 0. */
  write(tests: ReadonlyMap<number, LoopTest>, ranges: readonly Range[], covered: number): boolean {
    const code = this.#code;
    code.op(op.block, i32Result);
    for (const { sum, of } of this.#nest.multiples) this.#requireMultiple(sum, of);
    for (const [id, test] of tests) this.#count(id, test);
    const counters = new Set(ranges.flatMap(({ sum }) => sum.terms.map(({ counter }) => counter)));
    for (const id of tests.keys()) if (counters.has(oneLess(id))) this.#countOneLess(id);
    this.#requireWork(Math.ceil((leastSaved * (1 + ranges.length)) / covered));
    for (const range of ranges) this.#requireUsable(range);
    code.i32Const(1).end();
    return !this.#isHopeless;
  }

  /** Goes to the end with 0 unless a condition holds. */
  #require(condition: () => void): void {
    this.#code.i32Const(0);
    condition();
    this.#code.op(op.i32Eqz, op.brIf, 0, op.drop);
  }

  #number(value: number): CodeWriter {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value, true);
    this.#code.op(f64Const).bytes(bytes);
    return this.#code;
  }

  #requireMultiple({ constant, terms }: Affine, of: number): void {
    this.#require(() => {
      const code = this.#code;
      code.i32Const(constant | 0);
      for (const { factor, locals } of terms) {
        code.i32Const(factor);
        for (const local of locals) code.localGet(local).op(op.i32Mul);
        code.op(op.i32Add);
      }
      code.i32Const(of - 1).op(op.i32And, op.i32Eqz);
    });
  }

  /** A term: its count at most, its locals, its number. */
  #term({ factor, locals, counter }: Term): void {
    const code = this.#code;
    const count = counter === undefined ? undefined : this.#counts.get(counter)!;
    this.#number(count && "value" in count ? factor * count.value : factor);
    if (count && "local" in count) code.localGet(count.local).op(f64Mul);
    for (const local of locals) code.localGet(local).op(f64ConvertI32S, f64Mul);
  }

  /** The least or the greatest that a sum may be. */
  #bound({ constant, terms }: Affine, which: "least" | "most"): void {
    let known = constant;
    const rest: Term[] = [];
    for (const term of terms) {
      const count = term.counter === undefined ? undefined : this.#counts.get(term.counter)!;
      if (!count || term.locals.length > 0) rest.push(term);
      else if (which === "most" ? term.factor < 0 : term.factor > 0) continue;
      else if ("value" in count) known += term.factor * count.value;
      else rest.push(term);
    }
    this.#number(known);
    for (const term of rest) {
      this.#term(term);
      if (term.counter !== undefined && term.locals.length > 0) {
        this.#number(0).op(which === "most" ? f64Max : f64Min);
      }
      this.#code.op(f64Add);
    }
  }

  /** Products of two numbers that are not known now must not be larger than what can be summed up. */
  #requireSmall({ terms }: Affine): void {
    for (const term of terms) {
      if (term.locals.length + (term.counter === undefined ? 0 : 1) < 2) continue;
      const key = `${term.factor} ${keyOf(term)}`;
      if (this.#small.has(key)) continue;
      this.#small.add(key);
      this.#require(() => {
        this.#term(term);
        this.#code.op(f64Abs);
        this.#number(mostProduct).op(f64Lt);
      });
    }
  }

  /** Finds out how often a loop comes round at most. */
  #count(id: number, test: LoopTest): void {
    const code = this.#code;
    const { step, rest } = split(test, id)!;
    this.#requireSmall(rest);
    const isEqual = test.comparison === "ne";
    if (step.locals.length === 0 && rest.terms.length === 0) {
      const value = isEqual
        ? -rest.constant / step.factor
        : Math.max(0, Math.ceil(-rest.constant / step.factor));
      if (!(value >= 0 && value < mostCount && Number.isInteger(value))) this.#isHopeless = true;
      this.#counts.set(id, { value: this.#isHopeless ? 0 : value });
    } else {
      const local = this.#target.newLocal();
      if (isEqual) this.#requireReached(rest, step);
      if (step.locals.length > 0) {
        this.#require(() => {
          this.#stepOf(step);
          if (isEqual) code.op(f64Abs);
          this.#number(1).op(f64Ge);
        });
      }
      this.#bound(rest, "least");
      code.op(f64Neg);
      this.#stepOf(step);
      code.op(f64Div);
      if (isEqual) code.localSet(local);
      else {
        code.op(f64Ceil);
        this.#number(0).op(f64Max).localSet(local);
      }
      this.#counts.set(id, { local });
      this.#require(() => {
        code.localGet(local);
        this.#number(mostCount).op(f64Lt);
      });
      if (isEqual) {
        this.#require(() => {
          code.localGet(local);
          this.#number(0).op(f64Ge);
          code.localGet(local).localGet(local).op(f64Trunc, f64Eq, op.i32And);
        });
      }
    }
    if (!isEqual) this.#requireComparable(test);
  }

  #countOneLess(id: number): void {
    const count = this.#counts.get(id)!;
    if ("value" in count) {
      this.#counts.set(oneLess(id), { value: Math.max(0, count.value - 1) });
      return;
    }
    const local = this.#target.newLocal();
    this.#code.localGet(count.local);
    this.#number(1).op(f64Sub);
    this.#number(0).op(f64Max).localSet(local);
    this.#counts.set(oneLess(id), { local });
  }

  /** By how much a difference changes each time: a term without its count. */
  #stepOf({ factor, locals }: Term): void {
    this.#term({ factor, locals });
  }

  /** A difference comes to 0 from one side, however often the loops around came round, and not modulo 2^32 before. */
  #requireReached(rest: Affine, { locals }: Term): void {
    if (locals.length === 0 && rest.terms.some(({ counter }) => counter !== undefined)) {
      this.#require(() => {
        this.#bound(rest, "most");
        this.#number(0).op(f64Le);
      });
    }
    this.#require(() => {
      this.#bound(rest, "least");
      this.#code.op(f64Abs);
      this.#number(mostCount).op(f64Lt);
    });
  }

  /** Both sides are in every iteration what the program takes them for, with or without a sign. */
  #requireComparable({ left, right, signed }: LoopTest): void {
    const [least, most] = signed ? [-(2 ** 31), 2 ** 31 - 1] : [0, 2 ** 32 - 1];
    for (const side of [left, right]) {
      if (side.terms.length === 0) {
        // a constant without a sign may look like one that has it
        if (side.constant < least || side.constant > most) this.#isHopeless = true;
        continue;
      }
      this.#requireSmall(side);
      this.#require(() => {
        this.#bound(side, "least");
        this.#number(least).op(f64Ge);
        this.#bound(side, "most");
        this.#number(most).op(f64Le, op.i32And);
      });
    }
  }

  /** A loop that comes round a few times only isn't worth it. */
  #requireWork(least: number): void {
    const counts = [...this.#counts.values()];
    if (counts.some((count) => "value" in count && count.value >= least)) return;
    const locals = counts.flatMap((count) => ("local" in count ? [count.local] : []));
    if (locals.length === 0) {
      this.#isHopeless = true;
      return;
    }
    this.#require(() => {
      locals.forEach((local, i) => {
        this.#code.localGet(local);
        if (i > 0) this.#code.op(f64Max);
      });
      this.#number(least).op(f64Ge);
    });
  }

  #requireUsable(range: Range): void {
    const code = this.#code;
    const { sum, least, most, low, high } = range;
    this.#requireSmall(sum);
    const [first, last] = [this.#target.newLocal(), this.#target.newLocal()];
    this.#bound(sum, "least");
    code.localSet(first);
    this.#bound(sum, "most");
    code.localSet(last);
    const plus = (local: number, distance: number) => {
      code.localGet(local);
      this.#number(distance).op(f64Add);
    };
    this.#require(() => {
      plus(first, least);
      this.#number(0).op(f64Ge);
      plus(last, Math.max(most, high));
      this.#number(2 ** 32 - 1).op(f64Le, op.i32And);
    });
    const extent = () => {
      code.localGet(last).localGet(first).op(f64Sub);
      this.#number(high - low).op(f64Add);
    };
    if (sum.terms.some(({ counter }) => counter !== undefined)) {
      this.#require(() => {
        extent();
        this.#work(range);
        code.op(f64Le);
      });
    }
    this.#require(() => {
      plus(first, low);
      code.op(i32TruncF64U);
      extent();
      code.op(i32TruncF64U).call(this.#target.usable);
    });
  }

  /** How many bytes may be looked at in place of so many accesses. Loops that may end early count as if they did. */
  #work({ accesses, loops }: Range): void {
    let known = bytesPerAccess * accesses;
    const locals: number[] = [];
    for (const id of loops) {
      const loop = this.#nest.loops.get(id) as NestLoop;
      const count = this.#counts.get(id);
      if (!count || loop.mayEndEarly) continue;
      if ("value" in count) known *= count.value + 1;
      else locals.push(count.local);
    }
    this.#number(known);
    for (const local of locals) this.#code.localGet(local).op(f64Mul);
    this.#number(freeBytes).op(f64Add);
  }
}
