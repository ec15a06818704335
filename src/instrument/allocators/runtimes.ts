/** AssemblyScript and Zig: runtimes whose functions have names in debug builds, at several levels. */
import { MemoryImage } from "../../wasm/memory-image.js";
import type { Module } from "../../wasm/module.js";
import type { CallGraph } from "../call-graph.js";
import { allMemories } from "../plan.js";
import { type BodyFacts, bodyFacts, functionsWithNumber } from "./body-facts.js";
import { changedAddresses } from "./discover.js";
import type { NamedFunction } from "./named.js";
import { lastOfState, stateAddresses, stateReach } from "./state-addresses.js";
import type { Changes } from "./trials.js";

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
  const inside = new Set(functions.map(({ index }) => index));
  const isOutside = (index: number) =>
    !inside.has(index) && !/^heap\./.test(module.functionName(index) ?? "");
  const firstIn = firstElsewhere(module, isOutside);
  /** The first function outside that works on the state which lies at these. */
  const partAt = (changed?: Changes): number | undefined => {
    const state = facts.flatMap((one) => [
      ...stateAddresses([...one.addresses].filter((at) => changed?.has(at) ?? true)),
    ]);
    return firstIn([...state, ...lastOfState(state, changed)]);
  };
  const hasPart = (changed: Changes) => partAt(changed) !== undefined;
  const tried = () => partAt(changedAddresses(module, graph, own, addresses, hasPart));
  // where nobody else comes near any of them it makes no difference which are state
  const part =
    usesCommonState(module, facts, isOutside) ??
    (firstIn([...addresses, Math.max(...addresses) + stateReach]) === undefined ? undefined : tried());
  if (part !== undefined) {
    const label = module.functionName(part) ?? `function ${part}`;
    const note = `Zig's ${own[0].name} is not hooked: a part of the allocator is in ${label} too, its blocks are not tracked`;
    return { functions: others, notes: [note] };
  }
  return isPair(own) ? { functions: [...others, ...own], notes: [] } : { functions: others, notes: [] };
}

/**
 * The first function outside that has an address of which it shows without a trial that it is state: all that allocates and
 * releases has it, and no data is put there, as there is for messages and tables.
 */
function usesCommonState(
  module: Module,
  [first, ...others]: readonly BodyFacts[],
  isOutside: (index: number) => boolean,
): number | undefined {
  const [memory] = allMemories(module);
  if (!first || others.length === 0 || !memory) return undefined;
  const image = new MemoryImage(module.initialData);
  const state = [...first.addresses].filter(
    (at) =>
      at < memory.min * 2 ** (memory.pageSizeLog2 ?? 16) &&
      others.every(({ addresses }) => addresses.has(at)) &&
      !image.holdsData(at),
  );
  let user: number | undefined;
  for (const at of state) {
    for (const index of functionsWithNumber(module, at, user ?? module.functionCount)) {
      if (!isOutside(index) || !bodyFacts(module, index).addresses.has(at)) continue;
      user = index;
      break;
    }
  }
  return user;
}

/**
 * Finds the first function outside that has an address between the lowest and the highest of some. Bodies are read once, and
 * only as far as one has to look.
 */
function firstElsewhere(
  module: Module,
  isOutside: (index: number) => boolean,
): (addresses: readonly number[]) => number | undefined {
  const { importedFunctionCount, functionCount } = module;
  const read: { index: number; used: ReadonlySet<number> }[] = [];
  let next = importedFunctionCount;
  return (addresses) => {
    const [lowest, highest] = [Math.min(...addresses), Math.max(...addresses)];
    const isNear = (at: number) => at >= lowest && at <= highest;
    const known = read.find(({ used }) => [...used].some(isNear));
    if (known) return known.index;
    while (next < functionCount) {
      const index = next++;
      if (!isOutside(index)) continue;
      const used = bodyFacts(module, index).addresses;
      read.push({ index, used });
      if ([...used].some(isNear)) return index;
    }
    return undefined;
  };
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
