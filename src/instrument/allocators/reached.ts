import type { Module } from "../../wasm/module.js";
import { externalKind } from "../../wasm/types.js";
import type { CallGraph } from "../call-graph.js";
import { isExitHandler } from "./exit-handlers.js";

/**
 * Functions that the host can make run, not going on from `barriers`: exports, what they call, and of what a table holds
 * that which has the type of an indirect call among those; all of it where the host has the table itself. What clang
 * makes to be called at exit is left out.
 */
export function reachedBy(
  module: Module,
  graph: CallGraph,
  barriers: ReadonlySet<number> = new Set(),
): Set<number> {
  const tabled = tabledByShape(module);
  const seen = new Set<number>();
  const shapes = new Set<string>();
  const work: number[] = [];
  const reach = (index: number) => {
    if (seen.has(index)) return;
    seen.add(index);
    work.push(index);
  };
  for (const { kind, index } of module.exports) if (kind === externalKind.function) reach(index);
  if (module.start !== undefined) reach(module.start);
  const isShared =
    module.exports.some(({ kind }) => kind === externalKind.table) ||
    module.imports.some((item) => "table" in item);
  if (isShared) for (const index of [...tabled.values()].flat()) reach(index);
  for (let index = work.pop(); index !== undefined; index = work.pop()) {
    if (barriers.has(index)) continue;
    for (const callee of graph.callees(index)) reach(callee);
    for (const type of graph.indirectTypes(index)) {
      const shape = shapeOf(module, type);
      if (shapes.has(shape)) continue;
      shapes.add(shape);
      for (const target of tabled.get(shape) ?? []) reach(target);
    }
  }
  return seen;
}

/** Functions that a table or a reference holds, by what they take and give: there may be several types of one shape. */
function tabledByShape(module: Module): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const index of new Set(module.elements.flatMap(({ functions }) => functions ?? []))) {
    if (isExitHandler(module, index)) continue;
    const shape = shapeOf(module, module.functionTypeIndex(index));
    found.set(shape, [...(found.get(shape) ?? []), index]);
  }
  return found;
}

function shapeOf(module: Module, type: number): string {
  const shape = module.types[type];
  return shape?.kind === "func" ? JSON.stringify([shape.params, shape.results]) : `type ${type}`;
}
