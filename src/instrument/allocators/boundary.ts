/**
 * From the exports through which the host allocates to the functions where all calls go. Rust's exported
 * `__wbindgen_malloc` has no caller inside the module; the function that it calls has hundreds. The exports
 * themselves are never hooked: blocks of the module would go unseen, and for a size of 0 they make up an address.
 */
import type { Module } from "../../wasm/module.js";
import type { CallGraph } from "../call-graph.js";
import type { AllocatorFunction, AllocatorRole } from "../roles.js";
import { passedLocals } from "./body-facts.js";
import { functionLabel, type NamedFunction } from "./named.js";
import { pointerType } from "./pointer-type.js";

/** Which locals an export passes on, in order, and the role of a callee that takes them so. */
const passedOn: Partial<Record<AllocatorRole, readonly (readonly [locals: string, role: AllocatorRole])[]>> =
  {
    alloc_aligned: [
      ["0,1", "alloc_aligned"],
      ["1,0", "memalign"],
      ["0", "malloc"],
    ],
    malloc: [["0", "malloc"]],
    wbindgen_realloc: [
      ["0,1,3,2", "rust_realloc"],
      ["0,1,2,3", "wbindgen_realloc"],
      ["0,2", "realloc"],
    ],
    sized_realloc: [
      ["0,1,2", "sized_realloc"],
      ["0,2", "realloc"],
    ],
    cabi_realloc: [
      ["0,1,2,3", "rust_realloc"],
      ["0,3", "realloc"],
    ],
    free: [
      ["0,1,2", "free"],
      ["0,1", "free"],
      ["0", "free"],
    ],
  };

/** The functions that these exports call, as far as what is passed on makes their roles certain. */
export function followBoundary(
  module: Module,
  graph: CallGraph,
  boundary: readonly NamedFunction[],
): AllocatorFunction[] {
  const pointer = pointerType(module);
  const found: AllocatorFunction[] = [];
  for (const outer of boundary) {
    for (const callee of graph.callees(outer.index)) {
      if (callee < module.importedFunctionCount || callee >= module.functionCount) continue;
      const { params, results } = module.functionType(callee);
      const returns = outer.role === "free" ? 0 : 1;
      if (results.length !== returns || !params.every((type) => type === pointer)) continue;
      // a function that nothing else calls is a part of the export
      if (graph.callCount[callee] < 2) continue;
      const passed = passedLocals(module, outer.index, callee).map((locals) =>
        locals.slice(-params.length).join(),
      );
      const fit = passedOn[outer.role]?.find(([locals]) => passed.includes(locals));
      if (fit && fit[0].split(",").length === params.length) {
        const name = functionLabel(module, callee);
        const evidence = `callee of ${outer.evidence}`;
        found.push({ role: fit[1], index: callee, name, evidence, confidence: "named" });
      }
    }
  }
  return found;
}
