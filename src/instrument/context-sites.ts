/**
 * Which calls are made in a context of their own, and how it gets to what is called. A function from which an
 * allocation can be reached and that is called directly gets it as one more parameter, in a register. Everything
 * else finds it in the global: imports, what JavaScript calls back, what is called through a table.
 */
import type { Module } from "../wasm/module.js";
import { externalKind } from "../wasm/types.js";
import { importsThatCallBack } from "./call-backs.js";
import type { ReachedBy } from "./context.js";
import { type Callers, type FunctionSet, noNode } from "./reachability.js";
import { type AllocatorFunction, kindOfRole } from "./roles.js";
import type { Sites } from "./walker.js";

/** Which context a call is made in: the lowest bits of `contextSites`. assembly/rewrite.ts has them too. */
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

/** Parameters that a function may have, with one more. */
const mostParameters = 999;

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
 * Entries: all functions that JavaScript can call and that reach the allocator.
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
  const contextSites = new Uint8Array(sites.count);
  const contextParameters = new Uint8Array(module.bodies.count);
  if (hooked.length + carriedImports.length === 0) return { contextSites, contextParameters, entered: [] };

  const imported = module.importedFunctionCount;
  const allocator = new Set(ofAllocator(hooked).map(({ index }) => index));
  const allocating = ofAllocator(hooked)
    .filter(({ role }) => releasesToo || kindOfRole(role) !== "releases")
    .map(({ index }) => index);
  allocating.push(...carriedImports);
  const callBacks = importsThatCallBack(module, sites);
  const mayAllocate = callers.reaching(allocating, allocator);
  const mayUse = callers.reaching([...allocator, ...carriedImports, ...callBacks], allocator);
  const tableIsOpen = module.importedTableCount > 0;

  const { called } = callers;
  const callsBack = new Uint8Array(imported);
  for (const index of callBacks) callsBack[index] = 1;

  // After an exception that left the allocator the global says that it runs, and as contexts are passed it may go on
  // doing so: who calls what may have caught one sets it again, if any hook looks for it there alone.
  const looking = passContexts ? nestedReleases : [];
  const heeding = looking.length > 0 ? callers.reaching([...allocating, ...looking], allocator) : undefined;
  const catching = looking.length > 0 ? thatMayCatch(module, sites, callers, callBacks) : undefined;

  /** As in the sets: 1 for what takes its context from a parameter. */
  const taking = new Uint8Array(mayAllocate.length);
  if (passContexts) {
    const few = module.types.map((type) => type.kind === "func" && type.params.length <= mostParameters);
    for (let body = 0; body < contextParameters.length; body++) {
      if (mayAllocate[imported + body] === 0 || sites.crowded[body] === 1 || !few[module.functions[body]])
        continue;
      contextParameters[body] = 1;
      taking[imported + body] = 1;
    }
  }

  // this loop comes to each call of a module, mostly before the engine has compiled it: no calls in it
  const { functionCount } = module;
  for (let body = 0; body < module.bodies.count; body++) {
    const first = sites.first[body];
    const end = sites.first[body + 1];
    if (first === end) continue;
    if (allocator.has(imported + body)) {
      // its own calls keep the context that its hook sets, unless what it called before may have called an import
      for (let site = first; site < end; site++) {
        const callee = called[site];
        if (taking[callee] === 1) contextSites[site] = contextWay.passed;
        else if (catching && heeding?.[callee] === 1) contextSites[site] = contextWay.set;
      }
      continue;
    }
    // Emscripten's `invoke_*`, under whatever name the minifier gave them, call back and catch what that throws
    let all = sites.catches[body] === 1;
    for (let site = first; site < end && !all; site++) all = callsBack[called[site]] === 1;
    // after a caught exception the context may still be the allocator's: the next call has to say otherwise
    const kind = mayAllocate[imported + body] === 1 ? contextKind.chained : contextKind.root;
    if (kind === contextKind.root && !all) continue;
    const set = kind | contextWay.set;
    const passed = kind | contextWay.passed | (all ? contextWay.set : 0);
    for (let site = first; site < end; site++) {
      const callee = called[site];
      if (taking[callee] === 1) contextSites[site] = passed;
      else if (all ? callee !== noNode : mayAllocate[callee] === 1) contextSites[site] = set;
      else if (tableIsOpen && callee >= functionCount && callee !== noNode) contextSites[site] = set;
    }
    if (catching) {
      for (let site = first; site < end; site++) {
        if (catching[called[site]] === 1)
          contextSites[site] = contextSites[site] | kind | contextWay.setAfter;
      }
    }
    if (!releasesToo || kind !== contextKind.chained) continue;
    for (let site = first; site < end; site++) {
      if (called[site] === imported + body) contextSites[site] = contextSites[site] | contextKind.kept;
    }
  }

  const entered = new Map<number, ContextSites["entered"][number]>();
  const exported = module.exports.flatMap((item) =>
    item.kind === externalKind.function ? [item.index] : [],
  );
  if (module.start !== undefined) exported.push(module.start);
  for (const target of exported) {
    if (target < imported || !mayUse[target]) continue;
    // some libraries reach `malloc` through a pointer: then calls from wasm outnumber those from JavaScript
    const reachedBy = allocator.has(target) && callers.addressTaken[target] === 1 ? "table" : "name";
    entered.set(target, { target, reachedBy });
  }
  const tableIsVisible = tableIsOpen || module.exports.some(({ kind }) => kind === externalKind.table);
  for (let target = imported; target < functionCount; target++) {
    if (!callers.addressTaken[target] || !mayAllocate[target] || entered.has(target)) continue;
    if (tableIsVisible) entered.set(target, { target, reachedBy: "table" });
    else if (taking[target]) entered.set(target, { target, reachedBy: "wasm" });
  }
  return { contextSites, contextParameters, entered: [...entered.values()] };
}

/** What may have caught an exception when it returns, by node; undefined where nothing may. */
function thatMayCatch(
  module: Module,
  sites: Sites,
  callers: Callers,
  callBacks: readonly number[],
): FunctionSet | undefined {
  const { importedFunctionCount: imported, functionCount } = module;
  if (callBacks.length === 0 && !sites.catches.includes(1)) return undefined;
  const catching = new Uint8Array(functionCount + module.types.length);
  for (const index of callBacks) catching[index] = 1;
  catching.set(sites.catches, imported);
  for (const [node, functions] of callers.functionsByType()) {
    if (functions.some((index) => catching[index] === 1)) catching[node] = 1;
  }
  return catching;
}

/** Not those of a collector: they are counted, and otherwise functions like any other. */
export function ofAllocator(hooked: readonly AllocatorFunction[]): readonly AllocatorFunction[] {
  return hooked.filter(({ role }) => kindOfRole(role) !== "collects");
}
