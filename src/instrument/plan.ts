/**
 * What an instrumentation adds to a module, and the indices of it all. New imports shift the functions that the
 * module defines; everything else is added behind what is there.
 *
 * ```
 *  functions:  imports | recorder's imports | the module's own | entries | carriers | growth helpers | exposers
 *  globals:    imports | the module's own | context (i64) | pending (i32) | looked (i32)
 * ```
 */
import { op } from "../wasm/instructions.js";
import type { Module } from "../wasm/module.js";
import { externalKind, type FunctionType, type Limits, valueType } from "../wasm/types.js";
import { type Exposer, exposingExports, exposingImports, mayExpose } from "./checks/exposers.js";
import { type CheckerFunction, checkerFunctions } from "./checks/functions.js";
import { type Entry, siteValue } from "./context.js";
import { findContextSites, ofAllocator } from "./context-sites.js";
import { allocatingImports } from "./dynamic-linking.js";
import type { HookRelations } from "./hooks.js";
import { type Callers, noNode } from "./reachability.js";
import { type AllocatorFunction, kindOfRole } from "./roles.js";
import { type Sites, sitesOf } from "./walker.js";

const { i32, i64 } = valueType;

/** What an instrumented module imports from the recorder, or for `grown` from what attaches it. */
const recorderFunctions = {
  /** (address, size in bytes, context) → pending, or less than 0: then `allocSlowly` has to do it */
  alloc: { params: [i32, i32, i64], results: [i32] },
  /** (address) → pending, or less than 0 */
  free: { params: [i32], results: [i32] },
  /** (old address, new address, size in bytes, context) → pending, or less than 0 */
  realloc: { params: [i32, i32, i32, i64], results: [i32] },
  allocSlowly: { params: [i32, i32, i64], results: [i32] },
  freeSlowly: { params: [i32], results: [i32] },
  reallocSlowly: { params: [i32, i32, i32, i64], results: [i32] },
  /** (size in bytes, context) → pending: a block of a collected heap */
  counted: { params: [i32, i64], results: [i32] },
  collected: { params: [], results: [] },
  leave: { params: [], results: [] },
  abandon: { params: [], results: [] },
  /** (context) → whether the entry is nested in another one */
  nested: { params: [i64], results: [i32] },
  /** (context) → the context that it replaces */
  carry: { params: [i64], results: [i64] },
  /** (memory index, old size in pages or -1, pages asked for) */
  grown: { params: [i32, i32, i32], results: [] },
  ...checkerFunctions,
} as const;

export type RecorderFunction = keyof typeof recorderFunctions;

export function recorderFunctionType(name: RecorderFunction): FunctionType {
  const { params, results } = recorderFunctions[name];
  return { kind: "func", params: [...params], results: [...results] };
}

export interface Plan {
  hooked: readonly AllocatorFunction[];
  imports: readonly RecorderFunction[];
  /** Index of an imported recorder function. */
  importIndex(name: RecorderFunction): number;
  /** Where a function of the original module is. */
  moved(index: number): number;
  /** What to call instead of each function of the original module: its carrier or exposer where it has one. */
  called: Uint32Array;
  /** What references to it become: its entry or exposer where it has one. */
  referenced: Uint32Array;
  /** How the hooked functions stand to each other. */
  relations: readonly HookRelations[];
  entries: readonly Entry[];
  /** Whether there are tail calls through tables or references, which may lead to entries. */
  tailCalls: boolean;
  /** Imports that may allocate in another module, with the index of the function that carries the context there. */
  carriers: ReadonlyMap<number, number>;
  /** Of a checked module: what tells which addresses JavaScript knows. */
  exposers: readonly Exposer[];
  /** Where those begin, in the instrumented module; infinite where there are none. */
  firstExposer: number;
  /** Memories whose growth is reported, with the index of the helper that does it. */
  growHelpers: ReadonlyMap<number, number>;
  contextSites: Uint8Array;
  contextParameters: Uint8Array;
  /** By body: index of its entry if it looks itself whether one runs, else 0. */
  lookEntries: Uint32Array;
  /** Whether there are contexts, and the globals. */
  withContext: boolean;
  /** Globals. */
  context: number;
  pending: number;
  looked: number;
}

/** Limits of all memories, imported ones first. */
export function allMemories(module: Module): Limits[] {
  const imported = module.imports.flatMap((item) => (item.kind === externalKind.memory ? [item.memory] : []));
  return [...imported, ...module.memories];
}

export function makePlan(
  module: Module,
  sites: Sites,
  callers: Callers,
  hooked: readonly AllocatorFunction[],
  { checks = [], passContexts = true }: { checks?: readonly CheckerFunction[]; passContexts?: boolean } = {},
): Plan {
  const importedFunctions = module.importedFunctionCount;
  const growing = growingMemories(module, sites);
  const imports: RecorderFunction[] = [];
  const carriedImports = hooked.length > 0 ? [] : allocatingImports(module);
  const withContext = hooked.length > 0 || carriedImports.length > 0;
  const kinds = new Set(hooked.map(({ role }) => kindOfRole(role)));
  if (kinds.has("allocates") || kinds.has("releases")) {
    imports.push("alloc", "free", "realloc", "allocSlowly", "freeSlowly", "reallocSlowly");
  }
  if (kinds.has("counted")) imports.push("counted");
  if (kinds.has("collects")) imports.push("collected");
  if (withContext) imports.push("leave", "abandon", "nested");
  if (carriedImports.length > 0) imports.push("carry");
  if (growing.length > 0) imports.push("grown");
  imports.push(...checks);
  const shift = imports.length;
  const moved = (index: number) => (index < importedFunctions ? index : index + shift);

  let next = module.functionCount + shift;
  const relations = relate(module, sites, callers, hooked);
  const nestedReleases = hooked.flatMap(({ index, role }, i) =>
    kindOfRole(role) === "releases" && relations[i].calledByAllocator ? [index] : [],
  );
  const { contextSites, contextParameters, entered } = findContextSites(
    module,
    sites,
    callers,
    hooked,
    carriedImports,
    { nestedReleases, releasesToo: checks.length > 0, passContexts },
  );
  const entries: Entry[] = [];
  for (const { target, reachedBy } of entered) {
    const value = siteValue(sites.count + entries.length);
    const passed = contextParameters[target - importedFunctions] === 1;
    entries.push({ target, index: next++, value, reachedBy, passed });
  }
  const carriers = new Map(carriedImports.map((target) => [target, next++]));
  const called = new Uint32Array(module.functionCount);
  for (let index = 0; index < called.length; index++) called[index] = moved(index);
  const referenced = called.slice();
  for (const [target, carrier] of carriers) called[target] = carrier;
  const lookEntries = new Uint32Array(module.bodies.count);
  for (const { target, index, reachedBy } of entries) {
    if (reachedBy === "look") lookEntries[target - importedFunctions] = index;
    else referenced[target] = index;
  }
  const growHelpers = new Map(growing.map((memory) => [memory, next++]));
  const exposers: Exposer[] = [];
  if (checks.includes("checkExpose")) {
    // the plan's own functions hold on to what any function in here uses: not to the walker's memory
    const { addressTaken } = callers;
    const stand = (where: Uint32Array, target: number, outermostOnly: boolean) => {
      const inTable = addressTaken[target] === 1;
      exposers.push({ target, index: next, inner: where[target], inTable, outermostOnly });
      where[target] = next++;
    };
    for (const target of exposingImports(module)) stand(called, target, false);
    const exported = exposingExports(module);
    for (const { target, reachedBy } of entries) {
      const tableOnly = reachedBy === "table";
      if (tableOnly && mayExpose(module, target)) stand(referenced, target, true);
      if (tableOnly) exported.delete(target);
    }
    for (const target of exported) stand(referenced, target, false);
  }
  const globals = module.importedGlobalCount + module.globals.length;

  return {
    hooked,
    imports,
    importIndex: (name) => importedFunctions + imports.indexOf(name),
    moved,
    called,
    referenced,
    relations: hooked.map(({ index }, i) => {
      if (!contextParameters[index - importedFunctions]) return relations[i];
      return { ...relations[i], contextParameter: module.functionType(index).params.length };
    }),
    entries,
    tailCalls: sites.opcode.includes(op.returnCallIndirect) || sites.opcode.includes(op.returnCallRef),
    carriers,
    exposers,
    firstExposer: exposers[0]?.index ?? Number.POSITIVE_INFINITY,
    growHelpers,
    contextSites,
    contextParameters,
    lookEntries,
    withContext,
    context: globals,
    pending: globals + 1,
    looked: globals + 2,
  };
}

/** Memories that the module grows itself. Growth of shared ones is left to the engine: threads would race. */
function growingMemories(module: Module, sites: Sites): number[] {
  const memories = allMemories(module);
  const found = new Set<number>();
  for (const site of sitesOf(sites, op.memoryGrow)) {
    const memory = sites.target[site];
    if (memories[memory]?.shared === false) found.add(memory);
  }
  return [...found].sort((a, b) => a - b);
}

/** Follows the calls from the allocator's functions on: few, where what leads to them is most of the module. */
function relate(
  module: Module,
  sites: Sites,
  callers: Callers,
  hooked: readonly AllocatorFunction[],
): HookRelations[] {
  const imported = module.importedFunctionCount;
  const { functionCount } = module;
  const members = new Set(ofAllocator(hooked).map(({ index }) => index));
  const calledByAllocator = new Set<number>();
  let byType: Map<number, number[]> | undefined;
  /** Functions behind a node of the call graph. */
  const functionsOf = (node: number): readonly number[] => {
    if (node < functionCount) return [node];
    byType ??= callers.functionsByType();
    return byType.get(node) ?? [];
  };

  const callsAllocator = hooked.map(({ index }) => {
    const seen = new Set<number>();
    const work = [index];
    let calls = false;
    for (let from = work.pop(); from !== undefined; from = work.pop()) {
      const body = from - imported;
      if (body < 0) continue;
      for (let site = sites.first[body]; site < sites.first[body + 1]; site++) {
        const node = callers.calledAt(site);
        if (node === noNode || seen.has(node)) continue;
        seen.add(node);
        for (const callee of functionsOf(node)) {
          if (members.has(callee)) {
            calls = true;
            calledByAllocator.add(callee);
          }
          if (node >= functionCount && seen.has(callee)) continue;
          seen.add(callee);
          work.push(callee);
        }
      }
    }
    return calls;
  });
  return hooked.map(({ index }, i) => ({
    callsAllocator: callsAllocator[i],
    calledByAllocator: calledByAllocator.has(index),
  }));
}
