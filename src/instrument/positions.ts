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

export class PositionMap {
  readonly #module: Module;
  readonly #rewriter: BodyRewriter;
  /** Offset of the body of each defined function in the instrumented module. */
  readonly #starts: Uint32Array;
  /** By body: pairs of offsets, ascending: in the written body, and in the original module. */
  readonly #maps = new Map<number, Uint32Array>();

  constructor(module: Module, rewriter: BodyRewriter, starts: Uint32Array) {
    this.#module = module;
    this.#rewriter = rewriter;
    this.#starts = starts;
  }

  /** @param offset byte offset in the instrumented module, inside the i-th defined function's body */
  toOriginal(body: number, offset: number): number {
    const within = offset - this.#starts[body];
    const pairs = this.#mapOf(body);
    let low = 0;
    let high = pairs.length / 2;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (pairs[2 * middle] <= within) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return this.#module.bodies.start[body] + Math.max(within, 0);
    return pairs[2 * low - 1] + within - pairs[2 * low - 2];
  }

  #mapOf(body: number): Uint32Array {
    let map = this.#maps.get(body);
    if (!map) this.#maps.set(body, (map = this.#rewriter.watch(body)));
    return map;
  }
}
