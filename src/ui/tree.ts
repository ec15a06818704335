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
  // By pair of parent and function, an open-addressed table: with half a million nodes a Map takes half a second.
  const mask = 2 ** Math.ceil(Math.log2(2 * sites.size + 1)) - 1;
  const table = new Int32Array(mask + 1);
  const functions = new Int32Array(sites.size);
  let size = 1;
  for (let site = 1; site < sites.size; site++) {
    const under = nodeOf[sites.parent[site]!]!;
    const id = functionOf[sites.frame[site]!]!;
    let slot = (Math.imul(under, 0x9e3779b1) ^ Math.imul(id, 0x85ebca6b)) & mask;
    let node = table[slot]!;
    while (node !== 0 && !(parent[node] === under && functions[node] === id)) {
      slot = (slot + 1) & mask;
      node = table[slot]!;
    }
    if (node === 0) {
      node = size++;
      table[slot] = node;
      parent[node] = under;
      functions[node] = id;
      frame[node] = sites.frame[site]!;
    }
    nodeOf[site] = node;
  }
  return { tree: completed(parent.slice(0, size), frame.slice(0, size)), nodeOf };
}

/** Paths of the inverted tree end here: beyond it recursion would make more nodes than a page can hold. */
const deepestInverted = 64;
const mostInverted = 4_000_000;

/**
 * The tree the other way round: below the root what called the allocator, below that who called it. `nodeOf` leads from
 * nodes of `sites` that are in `innermost` to where their path ends.
 * @param idOf numbers by which frames are taken together
 * @param isSkipped frames at the inner end that say nothing: those of the allocator
 */
export function invertedTree(
  sites: Tree,
  innermost: Float64Array,
  idOf: (frame: number) => number,
  isSkipped: (frame: number) => boolean,
): { tree: Tree; nodeOf: Int32Array } {
  const nodeOf = new Int32Array(sites.size);
  const pairs = new PairTable();
  const done = new Uint8Array(sites.size);
  for (const site of innermost) {
    if (done[site]) continue;
    done[site] = 1;
    let from = site;
    while (sites.parent[from]! > 0 && isSkipped(sites.frame[from]!)) from = sites.parent[from]!;
    let node = 0;
    for (let depth = 0; from > 0 && depth < deepestInverted; depth++, from = sites.parent[from]!) {
      const frame = sites.frame[from]!;
      const next = pairs.find(node, idOf(frame), frame, mostInverted);
      if (next < 0) break;
      node = next;
    }
    nodeOf[site] = node;
  }
  return { tree: completed(Int32Array.from(pairs.parent), Int32Array.from(pairs.frame)), nodeOf };
}

/** Nodes by parent and number of the frame. */
class PairTable {
  readonly parent: number[] = [0];
  readonly frame: number[] = [0];
  readonly #id: number[] = [0];
  #table = new Int32Array(1 << 12);

  /** The node, made when there is none; -1 when there are `most`. */
  find(parent: number, id: number, frame: number, most: number): number {
    let slot = this.#home(parent, id);
    for (let node = this.#table[slot]!; node !== 0; node = this.#table[slot]!) {
      if (this.parent[node] === parent && this.#id[node] === id) return node;
      slot = (slot + 1) & (this.#table.length - 1);
    }
    if (this.parent.length >= most) return -1;
    const node = this.parent.push(parent) - 1;
    this.#id.push(id);
    this.frame.push(frame);
    this.#table[slot] = node;
    if (2 * node > this.#table.length) this.#grow();
    return node;
  }

  #home(parent: number, id: number): number {
    const hash = Math.imul(parent, 0x9e3779b1) ^ Math.imul(id, 0x85ebca6b);
    return (hash ^ (hash >>> 15)) & (this.#table.length - 1);
  }

  #grow(): void {
    this.#table = new Int32Array(2 * this.#table.length);
    for (let node = 1; node < this.parent.length; node++) {
      let slot = this.#home(this.parent[node]!, this.#id[node]!);
      while (this.#table[slot] !== 0) slot = (slot + 1) & (this.#table.length - 1);
      this.#table[slot] = node;
    }
  }
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
