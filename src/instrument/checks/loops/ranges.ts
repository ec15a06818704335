/** What accesses of a nest touch, and by which tests its loops can be counted. */
import { type Affine, add, scale, shapeOf, type Term } from "./affine.js";
import type { LoopTest } from "./conditions.js";
import type { NestAccess } from "./nest.js";

/** What the accesses through one sum may touch, as distances from the sum. */
export interface Range {
  sum: Affine;
  /** Of the operands. */
  least: number;
  most: number;
  /** Of the bytes. */
  low: number;
  high: number;
  accesses: number;
  /** In all of these loops. */
  loops: readonly number[];
}

/** In a loop that is left before it comes to an access the last iteration doesn't count: its counter is another one. */
export const oneLess = (counter: number) => ~counter;

export function withoutLast({ address, behind }: NestAccess, tests: ReadonlyMap<number, LoopTest>): Affine {
  const terms = address.terms.map((term) => {
    const { counter } = term;
    const test = counter === undefined ? undefined : tests.get(counter);
    return test && behind.has(test) ? { ...term, counter: oneLess(counter!) } : term;
  });
  return { ...address, terms };
}

export function rangesOf(accesses: readonly NestAccess[]): Range[] {
  const ranges = new Map<string, Range>();
  for (const { address, offset, size, loops } of accesses) {
    const key = shapeOf(address);
    const { constant } = address;
    const range = ranges.get(key) ?? {
      sum: { ...address, constant: 0 },
      least: constant,
      most: constant,
      low: constant + offset,
      high: constant + offset + size,
      accesses: 0,
      loops,
    };
    ranges.set(key, {
      ...range,
      least: Math.min(range.least, constant),
      most: Math.max(range.most, constant),
      low: Math.min(range.low, constant + offset),
      high: Math.max(range.high, constant + offset + size),
      accesses: range.accesses + 1,
      loops: range.loops.filter((id) => loops.includes(id)),
    });
  }
  return [...ranges.values()];
}

/** What is below 0, or not 0, as long as the loop goes on. */
function differenceOf({ comparison, left, right }: LoopTest): Affine | undefined {
  const difference = add(left, right, -1);
  return comparison === "le" ? add(difference, { constant: -1, terms: [] }) : difference;
}

/** A difference, cut into the term that changes with each iteration and the rest. */
export function split(test: LoopTest, id: number): { step: Term; rest: Affine } | undefined {
  const difference = differenceOf(test);
  const own = difference?.terms.filter(({ counter }) => counter === id);
  if (!difference || own?.length !== 1) return undefined;
  const [step] = own;
  const rest = { ...difference, terms: difference.terms.filter((term) => term !== step) };
  if (test.comparison !== "ne" || step.factor > 0) return { step, rest };
  const turned = scale(rest, -1);
  return turned && { step: { ...step, factor: -step.factor }, rest: turned };
}

/** Whether the iterations can be counted by a test. */
export function canCount(test: LoopTest, id: number, isCounted: (term: Term) => boolean): boolean {
  const parts = split(test, id);
  if (!parts?.rest.terms.every(isCounted)) return false;
  const { step, rest } = parts;
  if (![...test.left.terms, ...test.right.terms].every((it) => it.counter === id || isCounted(it)))
    return false;
  if (test.comparison !== "ne") return step.locals.length > 0 || step.factor > 0;
  const counted = rest.terms.filter(({ counter }) => counter !== undefined);
  if (step.locals.length > 0) return counted.length === 0;
  return counted.every(({ factor, locals }) => locals.length === 0 && factor % step.factor === 0);
}
