/**
 * How much two functions have to do with each other: what allocates and what releases work on one state. Trials take
 * time, so kin is tried first.
 */
import type { Module } from "../../wasm/module.js";
import type { CallGraph } from "../call-graph.js";
import { bodyFacts } from "./body-facts.js";

/** How far below a function its kin is looked for, and in how many functions. */
const depth = 3;
const mostFunctions = 40;

export class Kinship {
  readonly #module: Module;
  readonly #graph: CallGraph;
  readonly #marks = new Map<number, ReadonlySet<number>>();

  constructor(module: Module, graph: CallGraph) {
    this.#module = module;
    this.#graph = graph;
  }

  /**
   * The functions, globals and static addresses that both use, for each that `other` uses; more in total weighs more. 0:
   * nothing.
   */
  of(one: number, other: number): number {
    const [mine, its] = [this.#marksOf(one), this.#marksOf(other)];
    let shared = 0;
    for (const mark of its) if (mine.has(mark)) shared++;
    return (shared * shared) / Math.max(1, its.size);
  }

  #marksOf(root: number): ReadonlySet<number> {
    let marks = this.#marks.get(root);
    if (!marks) this.#marks.set(root, (marks = this.#find(root)));
    return marks;
  }

  #find(root: number): Set<number> {
    const functions = new Set([root]);
    const marks = new Set<number>();
    let level = [root];
    for (let left = depth; left >= 0 && level.length > 0; left--) {
      const next: number[] = [];
      for (const index of level) {
        const { addresses, globals } = bodyFacts(this.#module, index);
        marks.add(4 * index);
        for (const address of addresses) marks.add(4 * address + 1);
        for (const global of globals) marks.add(4 * global + 2);
        for (const callee of this.#graph.callees(index)) {
          const isOwn = callee >= this.#module.importedFunctionCount;
          if (!isOwn || functions.has(callee) || functions.size >= mostFunctions) continue;
          functions.add(callee);
          next.push(callee);
        }
      }
      level = next;
    }
    return marks;
  }
}
