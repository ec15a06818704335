/**
 * Loops that are written twice: without the checks of accesses that are all right, if a look at the memory says so before
 * the loop begins, and as they are. Nothing in such a loop calls, so nothing in it changes what may be used.
 */
import type { Module } from "../../../wasm/module.js";
import { type Guard, guardOf } from "./guard.js";
import { nestOf } from "./nest.js";
import { type Loop, loopTree } from "./tree.js";

export interface LoopPlan {
  loop: Loop;
  guard: Guard;
  /** Loops in it that are looked at one by one where the look at all of it does not help. */
  inner: LoopPlans;
}

/** By the position of the loop. */
export type LoopPlans = ReadonlyMap<number, LoopPlan>;

export const noPlans: LoopPlans = new Map();

/** Bytes of a loop that is written twice. */
const mostBytes = 4096;
/** Locals of a body: each loop begins with a list of what they are. */
const mostLocals = 500;

interface Body {
  start: number;
  end: number;
  /** Parameters too. */
  localTypes: readonly number[];
}

/**
 * @param wanted whether an access would be checked
 * @param together positions of accesses that are checked together with one: none of them is left out alone
 */
export function planLoops(
  module: Module,
  { start, end, localTypes }: Body,
  wanted: (pos: number) => boolean,
  together: (pos: number) => readonly number[],
): LoopPlans {
  if (localTypes.length > mostLocals) return noPlans;
  const loops = loopTree(module.bytes, start, end);
  if (!loops) return noPlans;

  const plansOf = (loop: Loop): LoopPlans => {
    const inner = new Map(loop.children.flatMap((child) => [...plansOf(child)]));
    if (!loop.isPlain || loop.end - loop.pos > mostBytes) return inner;
    const nest = nestOf(module, loop, localTypes);
    const guard = nest && guardOf(nest, wanted, together);
    if (!guard) return inner;
    const others = [...inner.values()].flatMap((plan) => [...plan.guard.covered]);
    if (others.some((pos) => !guard.covered.has(pos))) return inner;
    const once = [...inner].map(([pos, plan]) => [pos, { ...plan, inner: noPlans }] as const);
    return new Map([[loop.pos, { loop, guard, inner: new Map(once) }]]);
  };
  return new Map(loops.flatMap((loop) => [...plansOf(loop)]));
}
