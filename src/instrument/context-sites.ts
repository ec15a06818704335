/**
 * Which calls are made in a context of their own, and how it gets to what is called. A function from which an
 * allocation can be reached and that is called directly gets it as one more parameter, in a register. Everything
 * else finds it in the global: imports, what JavaScript calls back, what is called through a table. The decision about each
 * call is made in assembly/contexts.ts.
 */
import type { Module } from "../wasm/module.js";
import { externalKind } from "../wasm/types.js";
import { importsThatCallBack } from "./call-backs.js";
import type { ReachedBy } from "./context.js";
import type { Callers } from "./reachability.js";
import { type AllocatorFunction, kindOfRole } from "./roles.js";
import type { Sites } from "./walker.js";

/** Which context a call is made in: the lowest bits of `contextSites`. assembly/forms.ts has them too. */
export const contextKind = {
  /** As it is; where it is passed or set, that of the running allocator. */
  none: 0,
  /** Made from the one in which the function was called. */
  chained: 1,
  /** That of the call alone: nobody sets one for the function, because no allocation is reached through it. */
  root: 2,
  /** The one in which the function was called: a recursion into itself makes no new one. */
  kept: 3,
  mask: 3,
} as const;

/** How it gets there: further bits of the same. `setAfter`: the global is set when the call has returned. */
export const contextWay = { passed: 4, set: 8, setAfter: 16 } as const;

/** What the allocator tells functions that it calls: see context.ts. */
export const insideAllocator = 1;

export interface ContextSites {
  contextSites: Uint8Array;
  /** By body: 1 if it has a parameter for its context. */
  contextParameters: Uint8Array;
  /** Functions that need an entry. */
  entered: { target: number; reachedBy: ReachedBy }[];
}

/**
 * Sites that need a context: those from which an allocation can be reached, and calls of imports that may call
 * back. A function that reaches such an import and no allocation gets no context from its callers, or nearly
 * every call of some modules would have to set one; what its import calls back begins at that call.
 * Entries: all functions that JavaScript can call and that reach the allocator, or such an import.
 * @param nestedReleases functions that release, and whose hooks look whether the allocator is running
 * @param releasesToo whether it is to be known where blocks are freed
 * @param passContexts whether parameters are added for contexts; else all are in the global, where checks look for them
 */
export function findContextSites(
  module: Module,
  sites: Sites,
  callers: Callers,
  hooked: readonly AllocatorFunction[],
  carriedImports: readonly number[],
  {
    nestedReleases,
    releasesToo,
    passContexts,
  }: { nestedReleases: readonly number[]; releasesToo: boolean; passContexts: boolean },
): ContextSites {
  if (hooked.length + carriedImports.length === 0) {
    const contextSites = new Uint8Array(sites.count);
    return { contextSites, contextParameters: new Uint8Array(module.bodies.count), entered: [] };
  }

  const imported = module.importedFunctionCount;
  const allocator = new Set(ofAllocator(hooked).map(({ index }) => index));
  const allocating = ofAllocator(hooked)
    .filter(({ role }) => releasesToo || kindOfRole(role) !== "releases")
    .map(({ index }) => index);
  allocating.push(...carriedImports);
  const callBacks = importsThatCallBack(module, callers);
  const opaque = callers.setOf(allocator);
  const mayAllocate = callers.reaching(allocating, opaque);
  const tableIsOpen = module.importedTableCount > 0;

  // After an exception that left the allocator the global says that it runs, and as contexts are passed it may go on
  // doing so: who calls what may have caught one sets it again, if any hook looks for it there alone.
  const looking = passContexts ? nestedReleases : [];
  const mayCatch = looking.length > 0 && (callBacks.length > 0 || sites.catches.includes(1));
  const using = callers.reaching([...allocator, ...carriedImports, ...callBacks], opaque);
  const { contextSites, contextParameters } = callers.decide({
    allocator: opaque,
    using: tableIsOpen ? 0 : using,
    callBacks: callers.setOf(callBacks),
    mayAllocate,
    heeding: mayCatch ? callers.reaching([...allocating, ...looking], opaque) : 0,
    catching: mayCatch ? callers.withTypes(callBacks, sites.catches) : 0,
    passing: passContexts,
    tableIsOpen,
    releasesToo,
  });
  const mayUse = callers.read(using);
  const leading = callers.read(mayAllocate);

  const directCalls = passContexts ? callers.countDirectly() : undefined;
  const byTable = (target: number): ReachedBy =>
    directCalls?.[target] === 0 && contextParameters[target - imported] === 0 ? "look" : "table";
  const entered = new Map<number, ContextSites["entered"][number]>();
  const exported = module.exports.flatMap((item) =>
    item.kind === externalKind.function ? [item.index] : [],
  );
  if (module.start !== undefined) exported.push(module.start);
  for (const target of exported) {
    if (target < imported || !mayUse[target]) continue;
    // some libraries reach `malloc` through a pointer: then calls from wasm outnumber those from JavaScript
    const isInTable = allocator.has(target) && callers.addressTaken[target] === 1;
    entered.set(target, { target, reachedBy: isInTable ? byTable(target) : "name" });
  }
  const tableIsVisible = tableIsOpen || module.exports.some(({ kind }) => kind === externalKind.table);
  const taken = callers.addressTaken;
  // what sets a context for what its import calls back, too: left there, it would look as if an entry were running
  const reached = tableIsVisible && passContexts ? mayUse : leading;
  for (let target = taken.indexOf(1, imported); target >= 0; target = taken.indexOf(1, target + 1)) {
    if (reached[target] === 0 || entered.has(target)) continue;
    if (tableIsVisible) entered.set(target, { target, reachedBy: byTable(target) });
    else if (contextParameters[target - imported] === 1) entered.set(target, { target, reachedBy: "wasm" });
  }
  return { contextSites, contextParameters, entered: [...entered.values()] };
}

/** Not those of a collector: they are counted, and otherwise functions like any other. */
export function ofAllocator(hooked: readonly AllocatorFunction[]): readonly AllocatorFunction[] {
  return hooked.filter(({ role }) => kindOfRole(role) !== "collects");
}
