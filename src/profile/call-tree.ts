/**
 * Stacks as nodes of a tree, numbered from 1: a node is its outer frames, which are its parent (0 for none), and one frame
 * more. What stacks have in common is there once; a node takes 16 to 32 bytes, however deep it is.
 */
export class CallTree {
  #size = 0;
  /** Of each node its parent and its frame, side by side: whoever asks for one soon asks for the other. */
  #nodes = new Int32Array(2 << 8);
  /** Open-addressed, by parent and frame: number of a node, 0 where there is none. */
  #table = new Int32Array(1 << 9);

  get size(): number {
    return this.#size;
  }

  parent(node: number): number {
    return this.#nodes[2 * node]!;
  }

  frame(node: number): number {
    return this.#nodes[2 * node + 1]!;
  }

  /** The node of a frame inside of `parent`; a new one has the next number. */
  child(parent: number, frame: number): number {
    const mask = this.#table.length - 1;
    let slot = home(parent, frame) & mask;
    for (let node = this.#table[slot]!; node !== 0; node = this.#table[slot]!) {
      if (this.#nodes[2 * node] === parent && this.#nodes[2 * node + 1] === frame) return node;
      slot = (slot + 1) & mask;
    }
    const node = ++this.#size;
    if (2 * node === this.#nodes.length) this.#grow();
    this.#nodes[2 * node] = parent;
    this.#nodes[2 * node + 1] = frame;
    this.#table[this.#free(parent, frame)] = node;
    return node;
  }

  #free(parent: number, frame: number): number {
    const mask = this.#table.length - 1;
    let slot = home(parent, frame) & mask;
    while (this.#table[slot] !== 0) slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    const nodes = this.#nodes;
    this.#nodes = new Int32Array(2 * nodes.length);
    this.#nodes.set(nodes);
    this.#table = new Int32Array(2 * this.#table.length);
    for (let node = 1; 2 * node < nodes.length; node++) {
      this.#table[this.#free(nodes[2 * node]!, nodes[2 * node + 1]!)] = node;
    }
  }
}

function home(parent: number, frame: number): number {
  return Math.imul(Math.imul(parent, 0x85ebca6b) ^ frame, 0x9e3779b1) >>> 7;
}
