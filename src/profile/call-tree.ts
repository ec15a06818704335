/**
 * Stacks as nodes of a tree, numbered from 1: a node is its outer frames, which are its parent (0 for none), and one frame
 * more. What stacks have in common is there once; a node takes 16 to 32 bytes, however deep it is.
 */
export class CallTree {
  #size = 0;
  #parents = new Int32Array(1 << 8);
  #frames = new Int32Array(1 << 8);
  /** Open-addressed, by parent and frame: number of a node, 0 where there is none. */
  #table = new Int32Array(1 << 9);

  get size(): number {
    return this.#size;
  }

  parent(node: number): number {
    return this.#parents[node]!;
  }

  frame(node: number): number {
    return this.#frames[node]!;
  }

  /** The node of a frame inside of `parent`; a new one has the next number. */
  child(parent: number, frame: number): number {
    const mask = this.#table.length - 1;
    let slot = home(parent, frame) & mask;
    for (let node = this.#table[slot]!; node !== 0; node = this.#table[slot]!) {
      if (this.#parents[node] === parent && this.#frames[node] === frame) return node;
      slot = (slot + 1) & mask;
    }
    const node = ++this.#size;
    if (node === this.#parents.length) this.#grow();
    this.#parents[node] = parent;
    this.#frames[node] = frame;
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
    const [parents, frames] = [this.#parents, this.#frames];
    this.#parents = new Int32Array(2 * parents.length);
    this.#frames = new Int32Array(2 * frames.length);
    this.#parents.set(parents);
    this.#frames.set(frames);
    this.#table = new Int32Array(2 * this.#table.length);
    for (let node = 1; node < parents.length; node++) {
      this.#table[this.#free(parents[node]!, frames[node]!)] = node;
    }
  }
}

function home(parent: number, frame: number): number {
  return Math.imul(Math.imul(parent, 0x85ebca6b) ^ frame, 0x9e3779b1) >>> 7;
}
