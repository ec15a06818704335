/**
 * The way back: where an instruction of the instrumented module was in the original. Nothing is stored for it but
 * where each body went; a body that appears in a stack is rewritten once more, and this time watched.
 */
import type { Module } from "../wasm/module.js";
import type { BodyRewriter } from "./rewrite-bodies.js";

/** Where a frame of the instrumented module was in the original. */
export interface OriginalPosition {
  functionIndex: number;
  /** Byte offset in the original module; 0 when unknown. */
  offset: number;
  /** The function was added by linmem and is no part of the program's stack. */
  added?: "entry" | "exposer";
}

/** Pairs of offsets, ascending: in the written body, and in the original module. */
interface BodyMap {
  written: number[];
  original: number[];
}

export class PositionMap {
  readonly #module: Module;
  readonly #rewriter: BodyRewriter;
  /** Offset of the body of each defined function in the instrumented module. */
  readonly #starts: Uint32Array;
  readonly #maps = new Map<number, BodyMap>();

  constructor(module: Module, rewriter: BodyRewriter, starts: Uint32Array) {
    this.#module = module;
    this.#rewriter = rewriter;
    this.#starts = starts;
  }

  /** @param offset byte offset in the instrumented module, inside the i-th defined function's body */
  toOriginal(body: number, offset: number): number {
    const within = offset - this.#starts[body];
    const { written, original } = this.#mapOf(body);
    let low = 0;
    let high = written.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (written[middle] <= within) low = middle + 1;
      else high = middle;
    }
    const start = this.#module.bodies.start[body];
    return low === 0 ? start + Math.max(within, 0) : original[low - 1] + within - written[low - 1];
  }

  #mapOf(body: number): BodyMap {
    let map = this.#maps.get(body);
    if (!map) {
      const made: BodyMap = { written: [], original: [] };
      this.#rewriter.watch(body, (written, original) => {
        made.written.push(written);
        made.original.push(original);
      });
      this.#maps.set(body, made);
      map = made;
    }
    return map;
  }
}
