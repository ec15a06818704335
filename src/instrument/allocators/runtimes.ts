/** AssemblyScript and Zig: runtimes whose functions have names in debug builds, at several levels. */
import type { Module } from "../../wasm/module.js";
import type { CallGraph } from "../call-graph.js";
import { bodyFacts } from "./body-facts.js";
import { changedAddresses } from "./discover.js";
import type { NamedFunction } from "./named.js";
import { stateAddresses } from "./state-addresses.js";

interface Choice {
  functions: NamedFunction[];
  notes: string[];
}

/**
 * AssemblyScript's `__alloc` hands out the address behind the header of the block that `allocateBlock` made, so
 * the two levels must not be mixed. The upper one serves when all calls go through it; older collectors release
 * with `freeBlock` directly. `__new` of the collector's level adds a header of its own: it is never hooked.
 */
export function chooseAssemblyScript(
  _: Module,
  graph: CallGraph,
  functions: readonly NamedFunction[],
): Choice {
  const { own, others } = split(functions, "AssemblyScript");
  if (own.length === 0) return { functions: others, notes: [] };
  const isBlockLevel = ({ role }: NamedFunction) => role.endsWith("_method");
  const blocks = own.filter(isBlockLevel);
  const upper = own.filter((member) => !isBlockLevel(member));
  const inside = new Set(own.map(({ index }) => index));
  const bypassed = blocks.some(({ index }) => graph.callers(index).some((caller) => !inside.has(caller)));
  // without names of blocks nobody sees whether a collector releases them directly: then `__free` must be in use
  const released = upper.some(({ index, role }) => role === "free" && graph.callCount[index] > 0);
  const chosen = bypassed || !isPair(upper) || (blocks.length === 0 && !released) ? blocks : upper;
  if (isPair(chosen)) return { functions: [...others, ...chosen], notes: [] };
  return {
    functions: others,
    notes: [
      "AssemblyScript: no pair of functions that allocate and release has a name: blocks are not tracked",
    ],
  };
}

/**
 * Zig's allocators are called through tables of functions, and release builds put pieces of them into their
 * callers. They are hooked only when no other function works on their state.
 */
export function chooseZig(module: Module, graph: CallGraph, functions: readonly NamedFunction[]): Choice {
  const { own, others } = split(functions, "Zig");
  if (own.length === 0) return { functions: others, notes: [] };
  const facts = own.map(({ index }) => bodyFacts(module, index));
  const addresses = new Set(facts.flatMap((one) => [...one.addresses]));
  const changed = changedAddresses(module, graph, own, addresses) ?? addresses;
  const state = facts.flatMap((one) => [
    ...stateAddresses([...one.addresses].filter((at) => changed.has(at))),
  ]);
  const [lowest, highest] = [Math.min(...state), Math.max(...state)];
  const inside = new Set(functions.map(({ index }) => index));
  const { importedFunctionCount, functionCount } = module;
  for (let index = importedFunctionCount; index < functionCount; index++) {
    if (inside.has(index) || /^heap\./.test(module.functionName(index) ?? "")) continue;
    if ([...bodyFacts(module, index).addresses].some((at) => at >= lowest && at <= highest)) {
      const label = module.functionName(index) ?? `function ${index}`;
      const note = `Zig's ${own[0].name} is not hooked: a part of the allocator is in ${label} too, its blocks are not tracked`;
      return { functions: others, notes: [note] };
    }
  }
  return isPair(own) ? { functions: [...others, ...own], notes: [] } : { functions: others, notes: [] };
}

function split(functions: readonly NamedFunction[], family: string) {
  return {
    own: functions.filter((member) => member.family === family),
    others: functions.filter((member) => member.family !== family),
  };
}

function isPair(functions: readonly NamedFunction[]): boolean {
  return (
    functions.some(({ role }) => role.startsWith("malloc")) &&
    functions.some(({ role }) => role.startsWith("free"))
  );
}
