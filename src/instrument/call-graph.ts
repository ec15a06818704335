/**
 * Who calls whom, and who makes the memory grow. It is built from the sites that the one walk over the bodies
 * found, so that looking for the allocator costs no second walk.
 */
import { op } from "../wasm/instructions.js";
import type { Module } from "../wasm/module.js";
import { type Callers, findCallers } from "./reachability.js";
import { type Sites, sitesOf } from "./walker.js";

const indirect: ReadonlySet<number> = new Set([
  op.callIndirect,
  op.returnCallIndirect,
  op.callRef,
  op.returnCallRef,
]);

/** Functions are numbered as in the module, imports first. */
export interface CallGraph {
  /** Direct calls of each function, counted by call site. */
  readonly callCount: Uint32Array;
  /** Defined functions that contain `memory.grow`. */
  readonly growing: ReadonlySet<number>;
  /** By body: which constants it may have, told as `marksOf` does. */
  readonly marked: Uint8Array;
  /** Functions that `index` calls directly, each once, in the order of their first call. */
  callees(index: number): number[];
  /** Types of the functions that `index` calls through a table or a reference, each once. */
  indirectTypes(index: number): number[];
  /** Functions that call `index` directly, each once. */
  callers(index: number): number[];
  /** Whether `index` is one of `targets`, or reaches one by at most `depth` direct calls. */
  reaches(index: number, targets: ReadonlySet<number>, depth: number): boolean;
}

/**
 * @param turned the calls turned round, asked for only when somebody wants to know who calls a function: where names tell all
 *   nobody does
 */
export function buildCallGraph(
  module: Module,
  sites: Sites,
  turned: () => Callers = () => findCallers(module, sites),
): CallGraph {
  const imported = module.importedFunctionCount;
  const { bodies } = module;
  const { opcode, first } = sites;
  const isCall = (site: number) => opcode[site] === op.call || opcode[site] === op.returnCall;
  let known: Callers | undefined;
  const calls = () => (known ??= turned());
  let counted: Uint32Array | undefined;
  let growers: Set<number> | undefined;

  function findGrowing(): Set<number> {
    const growing = new Set<number>();
    let holder = 0;
    for (const site of sitesOf(sites, op.memoryGrow)) {
      while (first[holder + 1] <= site) holder++;
      growing.add(imported + holder);
    }
    return growing;
  }

  function callees(index: number): number[] {
    const body = index - imported;
    if (body < 0 || body >= bodies.count) return [];
    const found = new Set<number>();
    for (let site = sites.first[body]; site < sites.first[body + 1]; site++) {
      if (isCall(site)) found.add(sites.target[site]);
    }
    return [...found];
  }

  function indirectTypes(index: number): number[] {
    const body = index - imported;
    if (body < 0 || body >= bodies.count) return [];
    const found = new Set<number>();
    for (let site = sites.first[body]; site < sites.first[body + 1]; site++) {
      if (indirect.has(sites.opcode[site])) found.add(sites.target[site]);
    }
    return [...found];
  }

  function callers(index: number): number[] {
    const found: number[] = [];
    const all = calls().directly(index);
    // in ascending order, once for each call
    for (let i = 0; i < all.length; i++) if (i === 0 || all[i] !== all[i - 1]) found.push(all[i]);
    return found;
  }

  function reaches(index: number, targets: ReadonlySet<number>, depth: number): boolean {
    const seen = new Set([index]);
    let level = [index];
    for (let distance = 0; level.length > 0; distance++) {
      if (level.some((member) => targets.has(member))) return true;
      if (distance === depth) return false;
      level = level.flatMap(callees).filter((callee) => !seen.has(callee) && seen.add(callee));
    }
    return false;
  }

  const graph: CallGraph = {
    get callCount() {
      return (counted ??= calls().countDirectly());
    },
    get growing() {
      return (growers ??= findGrowing());
    },
    marked: sites.marked,
    callees,
    indirectTypes,
    callers,
    reaches,
  };
  return graph;
}
