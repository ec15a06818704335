/**
 * The calls of a module turned round, and what they tell: loops over all sites and functions that run once, before an engine
 * would have compiled them in JavaScript. See ../reachability.ts.
 *
 * Nodes are the functions, imports first, and behind them one for each type through which functions are called.
 */
import { bodyCount, bytes, first, keep, take, takeZeros, typeOf } from "./memory";
import { skip } from "./skip";
import { opcodes, positions, targets } from "./walk";

const UNREACHABLE: u8 = 0x00;
const CALL: u8 = 0x10;
const CALL_INDIRECT: u8 = 0x11;
const RETURN_CALL: u8 = 0x12;
const RETURN_CALL_INDIRECT: u8 = 0x13;
const CALL_REF: u8 = 0x14;
const RETURN_CALL_REF: u8 = 0x15;
const MEMORY_GROW: u8 = 0x40;
const REF_FUNC: u8 = 0xd2;

/** No node. */
export const NO_NODE: u32 = ~0;

export let imported: u32 = 0;
export let functionCount: u32 = 0;
let typeCount: u32 = 0;
let nodeCount: u32 = 0;

// Columns that the host fills.
/** By type: the first one of the same shape. */
export let shapes: usize = 0;
/** By function: whether it can be called through a table or a reference. */
export let addressTaken: usize = 0;

/** By site: the node of what is called there. */
export let callees: usize = 0;
/** By node: where its edges begin, and behind them those of the next one. */
export let firstEdges: usize = 0;
/** Nodes that lead to a node: functions, once for each call, and the node of its type if its address is taken. */
export let edges: usize = 0;

/** The i-th number of a column. */
@inline
export function u32At(column: usize, index: u32): u32 {
  return load<u32>(column + (<usize>index << 2));
}

/** Takes room for what the host has to say; the sites are there. */
export function prepareNodes(importedFunctions: u32, types: u32): void {
  imported = importedFunctions;
  functionCount = imported + bodyCount;
  typeCount = types;
  nodeCount = functionCount + typeCount;
  shapes = take(<usize>typeCount << 2);
  addressTaken = takeZeros(functionCount);
}

/** The node of all that is called through a table as this function is. */
@inline
function tableNode(index: u32): u32 {
  return functionCount + u32At(shapes, typeOf(index));
}

@inline
function calledAt(site: u32): u32 {
  const opcode = load<u8>(opcodes + site);
  const target = u32At(targets, site);
  if (opcode == CALL || opcode == RETURN_CALL) return target;
  if (
    opcode == CALL_INDIRECT ||
    opcode == RETURN_CALL_INDIRECT ||
    opcode == CALL_REF ||
    opcode == RETURN_CALL_REF
  ) {
    // a type that there isn't: whoever only looks at a module has not checked its indices
    return target < typeCount ? functionCount + u32At(shapes, target) : NO_NODE;
  }
  return NO_NODE;
}

@inline
function countEdge(node: u32): void {
  const at = firstEdges + (<usize>node << 2);
  store<u32>(at, load<u32>(at, 8) + 1, 8);
}

@inline
function addEdge(node: u32, from: u32): void {
  const at = firstEdges + (<usize>node << 2);
  const edge = load<u32>(at, 4);
  store<u32>(at, edge + 1, 4);
  store<u32>(edges + (<usize>edge << 2), from);
}

/** Turns the calls round: edges are counted, summed up, and filled in. */
export function turn(): void {
  const count = u32At(first, bodyCount);
  callees = take(<usize>count << 2);
  firstEdges = take((<usize>nodeCount + 2) << 2);
  memory.fill(firstEdges, 0, (<usize>nodeCount + 2) << 2);
  for (let site: u32 = 0; site < count; site++) {
    const node = calledAt(site);
    store<u32>(callees + (<usize>site << 2), node);
    if (node < nodeCount) countEdge(node);
  }
  for (let index: u32 = 0; index < functionCount; index++) {
    if (load<u8>(addressTaken + index)) countEdge(index);
  }
  let sum: u32 = 0;
  for (let node: u32 = 0; node <= nodeCount; node++) {
    sum += u32At(firstEdges, node + 1);
    store<u32>(firstEdges + (<usize>node << 2), sum, 4);
  }
  edges = take(<usize>sum << 2);
  // what lies one place further on is moved from each node's first edge to its end, where the next one's begin
  let site: u32 = 0;
  for (let body: u32 = 0; body < bodyCount; body++) {
    for (const end = u32At(first, body + 1); site < end; site++) {
      const node = u32At(callees, site);
      if (node < nodeCount) addEdge(node, imported + body);
    }
  }
  // the last one of a function, which `directCalls` relies on
  for (let index: u32 = 0; index < functionCount; index++) {
    if (load<u8>(addressTaken + index)) addEdge(index, tableNode(index));
  }
}

/** Takes room for a set of nodes: a byte for each, 0 for those that are not in it. */
export function takeSet(): usize {
  return takeZeros(nodeCount);
}

@inline
function directCallsOf(index: u32): u32 {
  const degree = u32At(firstEdges, index + 1) - u32At(firstEdges, index);
  return degree - load<u8>(addressTaken + index);
}

@inline
export function isCalledDirectly(index: u32): bool {
  return directCallsOf(index) != 0;
}

/** How often each function is called directly; returns the column's address. */
export function directCalls(): usize {
  const counts = take(<usize>functionCount << 2);
  for (let index: u32 = 0; index < functionCount; index++) {
    store<u32>(counts + (<usize>index << 2), directCallsOf(index));
  }
  return counts;
}

/**
 * Adds to a set of nodes all that lead there. Calls out of functions in the set `opaque` are not followed.
 */
export function markCallers(set: usize, opaque: usize): void {
  const start = take(<usize>nodeCount << 2);
  let top = start;
  for (let node: u32 = 0; node < nodeCount; node++) {
    if (!load<u8>(set + node)) continue;
    store<u32>(top, node);
    top += 4;
  }
  while (top > start) {
    top -= 4;
    const node = load<u32>(top);
    const end = u32At(firstEdges, node + 1);
    for (let edge = u32At(firstEdges, node); edge < end; edge++) {
      const from = u32At(edges, edge);
      if (load<u8>(set + from) | load<u8>(opaque + from)) continue;
      store<u8>(set + from, 1);
      store<u32>(top, from);
      top += 4;
    }
  }
  keep(start);
}

/** Adds to a set of functions the nodes through which one of them can be called. */
export function addTableNodes(set: usize): void {
  for (let index: u32 = 0; index < functionCount; index++) {
    if (load<u8>(addressTaken + index) & load<u8>(set + index)) store<u8>(set + tableNode(index), 1);
  }
}

/** By imported function: whether any direct call of it is followed by something else than `unreachable`, or there is none. */
export function importsThatReturn(): usize {
  const returns = takeZeros(imported);
  const called = takeZeros(imported);
  const count = u32At(first, bodyCount);
  for (let site: u32 = 0; site < count; site++) {
    const target = u32At(targets, site);
    if (target >= imported || load<u8>(opcodes + site) != CALL) continue;
    store<u8>(called + target, 1);
    if (load<u8>(skip(bytes + u32At(positions, site) + 1)) != UNREACHABLE) store<u8>(returns + target, 1);
  }
  // one that is never called directly is reached through a table
  for (let index: u32 = 0; index < imported; index++) {
    if (!load<u8>(called + index)) store<u8>(returns + index, 1);
  }
  keep(called);
  return returns;
}

/** The first site that names a function or type which is not there; else the number of sites. */
export function firstUnknown(functions: u32, types: u32): u32 {
  const count = u32At(first, bodyCount);
  let site: u32 = 0;
  for (; site < count; site++) {
    const opcode = load<u8>(opcodes + site);
    if (opcode == MEMORY_GROW) continue;
    const isFunction = opcode == CALL || opcode == RETURN_CALL || opcode == REF_FUNC;
    if (u32At(targets, site) >= (isFunction ? functions : types)) break;
  }
  return site;
}
