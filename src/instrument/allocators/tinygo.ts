/**
 * TinyGo's `runtime.alloc(size, layout) → p`, whose layout linkers often leave out. Without a name it is found by two things
 * at once: nothing of its type is called from as many places, as every `new`, `make` and `append` of a program does, and
 * tried out it gives blocks that never overlap.
 */
import type { Module } from "../../wasm/module.js";
import { externalKind } from "../../wasm/types.js";
import type { CallGraph } from "../call-graph.js";
import type { AllocatorFunction } from "../roles.js";
import { functionLabel } from "./named.js";
import { pointerType } from "./pointer-type.js";
import { Fuel, makeSandbox } from "./sandbox.js";
import { tryAllocation } from "./trials.js";

/** Functions with the most calls that are tried. */
const mostTried = 5;
const leastCalls = 8;
/** Fuel for all trials after one preparation: 100 ms or so where it is used up. */
const fuelOfAll = 24_000_000;

/** Exports by which a host prepares a module; the second also runs the program. */
const preparations = ["_initialize", "_start"];

export function proveTinyGoAllocation(module: Module, graph: CallGraph): AllocatorFunction | undefined {
  const tried = candidates(module, graph);
  for (const prepare of waysToPrepare(module)) {
    const fuel = new Fuel(fuelOfAll);
    const proved = tried.filter((index) => gives(module, graph, index, prepare, fuel));
    // where several do, all others have to take from one
    const index = proved.find((inner) => proved.every((outer) => takesFrom(graph, outer, inner)));
    if (index === undefined) continue;
    const calls = graph.callCount[index];
    return {
      role: "collected_alloc",
      index,
      name: functionLabel(module, index),
      evidence: `tried out: its blocks never overlap; called at ${calls} places`,
      confidence: "proved",
    };
  }
  return undefined;
}

/** Functions `(size) → block` and `(size, layout) → block` that are called from most places, the first one first. */
function candidates(module: Module, graph: CallGraph): number[] {
  const pointer = pointerType(module);
  const found: number[] = [];
  for (let index = module.importedFunctionCount; index < module.functionCount; index++) {
    if (graph.callCount[index] < leastCalls) continue;
    const { params, results } = module.functionType(index);
    const fits = params.length >= 1 && params.length <= 2 && params.every((type) => type === pointer);
    if (fits && results.length === 1 && results[0] === pointer) found.push(index);
  }
  return found.sort((a, b) => graph.callCount[b] - graph.callCount[a]).slice(0, mostTried);
}

function waysToPrepare({ exports, importedFunctionCount }: Module): number[][] {
  const known = exports.flatMap(({ kind, name, index }) =>
    kind === externalKind.function && preparations.includes(name) && index >= importedFunctionCount
      ? [index]
      : [],
  );
  return [[], ...known.map((index) => [index])];
}

function takesFrom(graph: CallGraph, outer: number, inner: number): boolean {
  return outer === inner || (graph.callees(outer).includes(inner) && !graph.callees(inner).includes(outer));
}

function gives(
  module: Module,
  graph: CallGraph,
  index: number,
  prepare: readonly number[],
  fuel: Fuel,
): boolean {
  const sandbox = makeSandbox(module, graph, fuel, { roots: [index], prepare });
  const parameters = module.functionType(index).params.length;
  return sandbox !== undefined && tryAllocation(sandbox, { role: "malloc", index, parameters }) === "proved";
}
