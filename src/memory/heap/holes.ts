/**
 * The holes that compaction has left behind, in the order of their addresses, and which is the lowest that is large enough:
 * a tree of maxima over them answers in as many steps as their number has bits.
 *
 * Filling the lowest is what keeps what is moved together. A short list of holes, or the best fit among all, left
 * half of a heap with a tenth of fixed blocks between its ends.
 */
export class Holes {
  /** Addresses. The first word of a hole says whether what is before is free. */
  private starts: number[] = [];
  private ends: number[] = [];
  /** Sizes behind `width`, and before them the larger of each two: those of `i` are at `2 i` and `2 i + 1`. */
  private tree = new Float64Array(2 * 16);
  private width = 16;

  get count(): number {
    return this.starts.length;
  }

  /** Must lie above all others. */
  add(start: number, end: number): void {
    const index = this.starts.push(start) - 1;
    this.ends.push(end);
    if (index === this.width) this.widen();
    else this.update(index);
  }

  /** The lowest hole of so many bytes, or -1. */
  find(size: number): number {
    const { tree, width } = this;
    if (tree[1]! < size) return -1;
    let node = 1;
    while (node < width) {
      node *= 2;
      if (tree[node]! < size) node++;
    }
    return node - width;
  }

  startOf(index: number): number {
    return this.starts[index]!;
  }

  endOf(index: number): number {
    return this.ends[index]!;
  }

  /** What lies before `start` is used now. */
  shrink(index: number, start: number): void {
    this.starts[index] = start;
    this.update(index);
  }

  private update(index: number): void {
    const { tree } = this;
    let node = index + this.width;
    let size = this.ends[index]! - this.starts[index]!;
    while (tree[node] !== size) {
      tree[node] = size;
      if (node === 1) return;
      size = Math.max(size, tree[node ^ 1]!);
      node >>>= 1;
    }
  }

  private widen(): void {
    const width = this.width * 2;
    const tree = new Float64Array(2 * width);
    for (let i = 0; i < this.starts.length; i++) tree[width + i] = this.ends[i]! - this.starts[i]!;
    for (let node = width; --node > 0; ) tree[node] = Math.max(tree[2 * node]!, tree[2 * node + 1]!);
    this.width = width;
    this.tree = tree;
  }
}
