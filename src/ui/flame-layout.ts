// Where the boxes of a flame graph go. Only those that are at least half a pixel wide are worked out, so a picture
// costs as much for a hundred thousand contexts as for a hundred.
import type { Tree } from "./tree.js";

/** What is shown of the whole width: 0 and 1 are the ends of the root. */
export interface Span {
  left: number;
  right: number;
}

export interface Box {
  /** -1 for children too narrow to be drawn one by one. */
  node: number;
  /** In pixels. */
  x: number;
  width: number;
  row: number;
}

const narrowest = 0.5;

export class FlameLayout {
  readonly tree: Tree;
  readonly values: Float64Array;
  readonly #children: Int32Array;
  readonly #sorted: Uint8Array;

  /** @param values of each node, with all below it */
  constructor(tree: Tree, values: Float64Array) {
    this.tree = tree;
    this.values = values;
    this.#children = tree.children.slice();
    this.#sorted = new Uint8Array(tree.size);
  }

  get total(): number {
    return this.values[0]!;
  }

  /** Children of a node, the largest first. */
  childrenOf(node: number): Int32Array {
    const children = this.#children.subarray(this.tree.first[node]!, this.tree.first[node + 1]!);
    if (!this.#sorted[node]) {
      children.sort((a, b) => this.values[b]! - this.values[a]! || a - b);
      this.#sorted[node] = 1;
    }
    return children;
  }

  /** The span of a node. */
  spanOf(node: number): Span {
    const path: number[] = [];
    for (let at = node; at > 0; at = this.tree.parent[at]!) path.push(at);
    let before = 0;
    for (const at of path.reverse()) {
      for (const child of this.childrenOf(this.tree.parent[at]!)) {
        if (child === at) break;
        before += this.values[child]!;
      }
    }
    const left = this.total > 0 ? before / this.total : 0;
    return { left, right: left + (this.total > 0 ? this.values[node]! / this.total : 0) };
  }

  /** The boxes of some rows, each row from left to right. Row 0 is the root's. */
  boxes({ left, right }: Span, width: number, firstRow: number, lastRow: number): Box[] {
    const boxes: Box[] = [];
    if (this.total <= 0 || right <= left) return boxes;
    const scale = width / ((right - left) * this.total);
    const origin = left * this.total;
    // Nodes to place, with where they begin in units of the metric.
    const nodes = [0];
    const begins = [0];
    while (nodes.length > 0) {
      const node = nodes.pop()!;
      const begin = begins.pop()!;
      const row = this.tree.depth[node]!;
      const x = (begin - origin) * scale;
      if (row >= firstRow) boxes.push({ node, x, width: this.values[node]! * scale, row });
      if (row >= lastRow) continue;
      let at = begin;
      for (const child of this.childrenOf(node)) {
        const value = this.values[child]!;
        const childX = (at - origin) * scale;
        if (value <= 0 || childX >= width) break;
        if (value * scale < narrowest) {
          // All that follow are smaller still.
          const rest = begin + this.#sumOf(node) - at;
          if (row + 1 >= firstRow && rest * scale >= narrowest && childX + rest * scale > 0) {
            boxes.push({ node: -1, x: childX, width: rest * scale, row: row + 1 });
          }
          break;
        }
        if (childX + value * scale > 0) {
          nodes.push(child);
          begins.push(at);
        }
        at += value;
      }
    }
    return boxes.sort((a, b) => a.row - b.row || a.x - b.x);
  }

  /** What the children of a node have together. */
  #sumOf(node: number): number {
    let sum = 0;
    for (const child of this.childrenOf(node)) sum += this.values[child]!;
    return sum;
  }

  /** The depth of the deepest node that has a value, at or below `node`'s span. */
  rows(): number {
    let most = 0;
    for (let node = 0; node < this.tree.size; node++) {
      if (this.values[node]! > 0 && this.tree.depth[node]! > most) most = this.tree.depth[node]!;
    }
    return most + 1;
  }
}
