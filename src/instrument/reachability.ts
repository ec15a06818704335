/**
 * Which functions can reach an allocation, and so which call sites need a calling context. Only those sites are
 * rewritten; on a JavaScript interpreter that leaves out a third of them.
 */
import { op } from "../wasm/instructions.js";
import type { Module } from "../wasm/module.js";
import type { TypeDefinition } from "../wasm/types.js";
import { forEachRefFunc } from "./constant-expressions.js";
import { type Sites, sitesOf } from "./walker.js";

/**
 * By function index of the original module, imports included: 1 for functions from which a target is reachable.
 * Behind the functions, by type index: 1 for types of which such a function can be called through a table.
 */
export type FunctionSet = Uint8Array;

/** No index of a set. */
export const noNode = 0xffffffff;

/** The calls of a module, turned round: who calls a function, directly or through a table. */
export interface Callers {
  /**
   * Marks all functions from which one of `targets` can be reached, the targets themselves included. Calls out
   * of functions in `opaque` are not followed.
   */
  reaching(targets: Iterable<number>, opaque?: Iterable<number>): FunctionSet;
  /** Defined functions that call a function directly, once for each call, in ascending order. */
  directly(index: number): Uint32Array;
  /** How often each function is called directly. */
  countDirectly(): Uint32Array;
  /** Functions that can be called through a table or a reference, by the index of their type in the sets. */
  functionsByType(): Map<number, number[]>;
  /** Functions that can be called through a table or a reference. */
  readonly addressTaken: FunctionSet;
  /**
   * By site: index in the sets of what is called there, a function or all those behind a type; `noNode` for sites
   * that are no calls.
   */
  readonly called: Uint32Array;
}

export function findCallers(module: Module, sites: Sites): Callers {
  const functionCount = module.functionCount;
  const imported = module.importedFunctionCount;
  const shapes = shapesOf(module.types);
  // nodes: functions, then one for each type through which indirect calls go
  const nodeCount = functionCount + module.types.length;
  const addressTaken = findAddressTaken(module, sites);

  const called = calledNodes(sites, shapes, functionCount);

  // edges sorted by callee: counted, summed up, filled in
  const degree = new Uint32Array(nodeCount + 1);
  for (let site = 0; site < sites.count; site++) {
    const callee = called[site];
    if (callee < nodeCount) degree[callee + 1]++;
  }
  const ownNode = new Uint32Array(functionCount);
  for (let index = 0; index < functionCount; index++) {
    if (!addressTaken[index]) continue;
    ownNode[index] = functionCount + shapes[module.functionTypeIndex(index)];
    degree[index + 1]++;
  }
  for (let node = 0; node < nodeCount; node++) degree[node + 1] += degree[node];
  const callers = new Uint32Array(degree[nodeCount]);
  const next = degree.slice();
  for (let body = 0; body < module.bodies.count; body++) {
    for (let site = sites.first[body]; site < sites.first[body + 1]; site++) {
      const callee = called[site];
      if (callee < nodeCount) callers[next[callee]++] = imported + body;
    }
  }
  for (let index = 0; index < functionCount; index++) {
    if (addressTaken[index]) callers[next[index]++] = ownNode[index];
  }

  // where an address is taken the last edge is the one from the type
  const directEnd = (index: number) => degree[index + 1] - addressTaken[index];

  return {
    addressTaken,
    called,
    directly: (index) => callers.subarray(degree[index], directEnd(index)),
    countDirectly: () => {
      const counts = new Uint32Array(functionCount);
      for (let index = 0; index < functionCount; index++) counts[index] = directEnd(index) - degree[index];
      return counts;
    },
    functionsByType() {
      const functions = new Map<number, number[]>();
      for (let index = 0; index < functionCount; index++) {
        if (!addressTaken[index]) continue;
        const members = functions.get(ownNode[index]);
        if (members) members.push(index);
        else functions.set(ownNode[index], [index]);
      }
      return functions;
    },
    reaching(targets, opaque = []) {
      const reached = new Uint8Array(nodeCount);
      const closed = new Uint8Array(nodeCount);
      for (const index of opaque) closed[index] = 1;
      const work: number[] = [];
      for (const target of targets) {
        if (!reached[target]) {
          reached[target] = 1;
          work.push(target);
        }
      }
      for (let node = work.pop(); node !== undefined; node = work.pop()) {
        for (let edge = degree[node]; edge < degree[node + 1]; edge++) {
          const caller = callers[edge];
          if (reached[caller] || closed[caller]) continue;
          reached[caller] = 1;
          work.push(caller);
        }
      }
      return reached;
    },
  };
}

function calledNodes(sites: Sites, shapes: Uint32Array, functionCount: number): Uint32Array {
  const called = new Uint32Array(sites.count);
  for (let site = 0; site < sites.count; site++) {
    const target = sites.target[site];
    switch (sites.opcode[site]) {
      case op.call:
      case op.returnCall:
        called[site] = target;
        break;
      case op.callIndirect:
      case op.returnCallIndirect:
      case op.callRef:
      case op.returnCallRef:
        // a type that there isn't: whoever only looks at a module has not checked its indices
        called[site] = target < shapes.length ? functionCount + shapes[target] : noNode;
        break;
      default:
        called[site] = noNode;
    }
  }
  return called;
}

/** Type indices of the same structure get the number of the first of them, and subtypes that of what they derive from. */
function shapesOf(types: readonly TypeDefinition[]): Uint32Array {
  const seen = new Map<string, number>();
  const shapes = new Uint32Array(types.length);
  types.forEach((type, index) => {
    const [parent] = type.sub?.supertypes ?? [];
    // where a type is called functions of its subtypes may be, whose structure need not be the same
    if (type.kind === "func" && parent !== undefined && parent < index) {
      shapes[index] = shapes[parent];
      return;
    }
    // only function types are called; the others keep their own number
    const key = type.kind === "func" ? JSON.stringify([type.params, type.results]) : `${index}`;
    shapes[index] = seen.get(key) ?? index;
    seen.set(key, shapes[index]);
  });
  return shapes;
}

function findAddressTaken(module: Module, sites: Sites): FunctionSet {
  const taken = new Uint8Array(module.functionCount);
  const take = (index: number) => {
    if (index < taken.length) taken[index] = 1;
  };
  for (const segment of module.elements) {
    segment.functions?.forEach(take);
    for (const expression of segment.expressions ?? []) forEachRefFunc(expression, take);
  }
  for (const global of module.globals) forEachRefFunc(global.init, take);
  for (const table of module.tables) if (table.init) forEachRefFunc(table.init, take);
  for (const site of sitesOf(sites, op.refFunc)) take(sites.target[site]);
  return taken;
}
