// The tree of all stacks, as columns. A parent has a smaller number than its children, so sums go up in one loop
// from the end, and what a path contains goes down in one from the beginning.
import type { Data } from "./unpack.js";

export interface Tree {
  /** Number of nodes; node 0 is the root. */
  size: number;
  parent: Int32Array;
  /** A frame for each node; that of the root says nothing. */
  frame: Int32Array;
  depth: Int32Array;
  /** Children of node n are `children[first[n]]` to `children[first[n + 1] - 1]`. */
  first: Int32Array;
  children: Int32Array;
}

/** The tree as the report has it: a node for each call site. */
export function siteTree(data: Data): Tree {
  return completed(Int32Array.from(data.nodes.parent), Int32Array.from(data.nodes.frame));
}

/**
 * The tree with call sites of the same function taken together, and for each node of `sites` its node there. People
 * want to see a function once, and a rebuilt module has other offsets.
 */
export function functionTree(sites: Tree, functionOf: Float64Array): { tree: Tree; nodeOf: Int32Array } {
  const nodeOf = new Int32Array(sites.size);
  const parent = new Int32Array(sites.size);
  const frame = new Int32Array(sites.size);
  // Of the functions called by the node whose turn it is: the node made, valid if made for that node.
  const madeFor = new Map<number, number>();
  const functions = functionOf.reduce((most, value) => Math.max(most, value), 0) + 1;
  let size = 1;
  for (let site = 1; site < sites.size; site++) {
    const under = nodeOf[sites.parent[site]!]!;
    const key = under * functions + functionOf[sites.frame[site]!]!;
    let node = madeFor.get(key);
    if (node === undefined) {
      node = size++;
      madeFor.set(key, node);
      parent[node] = under;
      frame[node] = sites.frame[site]!;
    }
    nodeOf[site] = node;
  }
  return { tree: completed(parent.slice(0, size), frame.slice(0, size)), nodeOf };
}

function completed(parent: Int32Array, frame: Int32Array): Tree {
  const size = parent.length;
  const depth = new Int32Array(size);
  const first = new Int32Array(size + 1);
  for (let node = 1; node < size; node++) {
    depth[node] = depth[parent[node]!]! + 1;
    first[parent[node]! + 1]!++;
  }
  for (let node = 0; node < size; node++) first[node + 1]! += first[node]!;
  const next = first.slice();
  const children = new Int32Array(Math.max(0, size - 1));
  for (let node = 1; node < size; node++) children[next[parent[node]!]!++] = node;
  return { size, parent, frame, depth, first, children };
}

/** Adds what each node has to all nodes above it, in place. */
export function addUp({ parent, size }: Tree, values: Float64Array): Float64Array {
  for (let node = size - 1; node > 0; node--) values[parent[node]!]! += values[node]!;
  return values;
}

/** For each node whether it or one above it has a frame that `matches` (by frame). */
export function pathsWith({ parent, frame, size }: Tree, matches: Uint8Array): Uint8Array {
  const found = new Uint8Array(size);
  for (let node = 1; node < size; node++) found[node] = found[parent[node]!]! | matches[frame[node]!]!;
  return found;
}

/** Nodes from `node` up to the outermost, without the root. */
export function pathOf({ parent }: Tree, node: number): number[] {
  const path: number[] = [];
  for (let at = node; at > 0; at = parent[at]!) path.push(at);
  return path;
}
