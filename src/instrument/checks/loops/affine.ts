/**
 * Values of 32 bits as sums: a constant, and products of a number with what locals are when a loop begins, and with how
 * often loops came round. Sums are exact integers; what the program computes is the same modulo 2^32, so whatever it adds,
 * subtracts and multiplies a sum says what comes out, if that lies between 0 and 2^32.
 */

/** A number times a local (or two), or times the iterations of a loop so far, or times both. */
export interface Term {
  readonly factor: number;
  /** What these are when the outermost loop begins. */
  readonly locals: readonly number[];
  /** Number of the loop. */
  readonly counter?: number;
}

export interface Affine {
  readonly constant: number;
  /** Each product once, in the order of `keyOf`. */
  readonly terms: readonly Term[];
}

/** Beyond these a sum is not followed. With them each term of one local is below 2^49, and all of them are exact as f64. */
const mostFactor = 2 ** 16;
const mostTerms = 8;
const mostConstant = 2 ** 40;

export function keyOf({ locals, counter }: Term): string {
  return `${locals.join("*")}#${counter ?? ""}`;
}

/** All products of a sum: those of two accesses to one object are the same. */
export function shapeOf({ terms }: Affine): string {
  return terms.map((term) => `${term.factor}*${keyOf(term)}`).join("+");
}

export const constantOf = (constant: number): Affine => ({ constant, terms: [] });

export const localAtEntry = (local: number): Affine => ({
  constant: 0,
  terms: [{ factor: 1, locals: [local] }],
});

type Sum = Affine | undefined;

export function add(left: Sum, right: Sum, sign: 1 | -1 = 1): Sum {
  if (!left || !right) return undefined;
  const terms = new Map(left.terms.map((term) => [keyOf(term), term]));
  for (const term of right.terms) {
    const key = keyOf(term);
    const factor = (terms.get(key)?.factor ?? 0) + sign * term.factor;
    if (factor === 0) terms.delete(key);
    else terms.set(key, { ...term, factor });
  }
  return checked(left.constant + sign * right.constant, terms);
}

export function scale(sum: Sum, by: number): Sum {
  if (!sum) return undefined;
  if (by === 0) return constantOf(0);
  const terms = new Map(sum.terms.map((term) => [keyOf(term), { ...term, factor: term.factor * by }]));
  return checked(sum.constant * by, terms);
}

export function multiply(left: Sum, right: Sum): Sum {
  if (!left || !right) return undefined;
  let product: Sum = scale(left, right.constant);
  for (const one of right.terms) {
    const part = new Map<string, Term>();
    if (left.constant !== 0) part.set(keyOf(one), { ...one, factor: left.constant * one.factor });
    for (const other of left.terms) {
      const locals = [...one.locals, ...other.locals].sort((a, b) => a - b);
      const counters = [one.counter, other.counter].filter((it) => it !== undefined);
      if (locals.length > 2 || counters.length > 1 || locals.length + counters.length > 2) return undefined;
      const [counter] = counters;
      const term = { factor: one.factor * other.factor, locals, ...(counter !== undefined && { counter }) };
      if (part.has(keyOf(term))) return undefined;
      part.set(keyOf(term), term);
    }
    product = add(product, checked(0, part));
  }
  return product;
}

/** What is added each time, after so many times; undefined where that is no sum. */
export function times(step: Affine, counter: number): Sum {
  const terms = new Map<string, Term>();
  if (step.constant !== 0) {
    const term = { factor: step.constant, locals: [], counter };
    terms.set(keyOf(term), term);
  }
  for (const { factor, locals, counter: other } of step.terms) {
    if (other !== undefined || locals.length > 1) return undefined;
    const term = { factor, locals, counter };
    terms.set(keyOf(term), term);
  }
  return checked(0, terms);
}

function checked(constant: number, terms: Map<string, Term>): Sum {
  if (terms.size > mostTerms || Math.abs(constant) > mostConstant) return undefined;
  for (const { factor } of terms.values()) if (Math.abs(factor) > mostFactor) return undefined;
  return {
    constant,
    terms: [...terms].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, term]) => term),
  };
}
