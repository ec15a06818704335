/**
 * A function that is called with one more parameter, behind its own: the first local that it declares had that index.
 * It becomes the last local, so that all others keep theirs. The walker does the same for bodies without a hook.
 */
import { skipLeb, u32At } from "../wasm/leb128.js";
import type { LocalCounts } from "../wasm/sections/code.js";
import type { CodeWriter } from "./emit.js";

export interface MovedLocal {
  from: number;
  to: number;
}

/** Which one that is, of a function with so many parameters of its own; undefined if it declares none. */
export function movedLocal(parameters: number, { count }: LocalCounts): MovedLocal | undefined {
  return count > 0 ? { from: parameters, to: parameters + count } : undefined;
}

/** Appends the groups of a declaration of locals, the first of which comes last; returns how many groups there are. */
export function firstLocalLast(
  writer: CodeWriter,
  bytes: Uint8Array,
  start: number,
  locals: LocalCounts,
): number {
  const declaration = skipLeb(bytes, start);
  let first = declaration;
  while (u32At(bytes, first) === 0) first = skipType(bytes, skipLeb(bytes, first));
  const type = skipLeb(bytes, first);
  const rest = skipType(bytes, type);
  const more = u32At(bytes, first) - 1;
  writer.copy(bytes, declaration, first);
  if (more > 0) {
    writer.u32(more);
    writer.copy(bytes, type, rest);
  }
  writer.copy(bytes, rest, locals.end);
  writer.u32(1);
  writer.copy(bytes, type, rest);
  return locals.groups + (more > 0 ? 1 : 0);
}

/** Told wherever the distance between the two may change: offset in the output, and in the module, of the same instruction. */
export type SiteListener = (written: number, original: number) => void;

/** Copies instructions from a body to where they are written, with the local that moved under its new index. */
export class MovingCopy {
  readonly #writer: CodeWriter;
  readonly #bytes: Uint8Array;
  readonly #named: readonly number[];
  readonly #to: number;
  readonly #listener: SiteListener | undefined;
  #next = 0;

  /** @param named offsets of all instructions that name the local, in order */
  constructor(
    writer: CodeWriter,
    bytes: Uint8Array,
    named: readonly number[],
    to: number,
    listener: SiteListener | undefined,
  ) {
    this.#writer = writer;
    this.#bytes = bytes;
    this.#named = named;
    this.#to = to;
    this.#listener = listener;
  }

  /** Copies `bytes[start..end)`; each call begins behind where the one before it ended, or there. */
  copy(start: number, end: number): void {
    let copied = start;
    for (; this.#named[this.#next] < end; this.#next++) {
      const pos = this.#named[this.#next];
      this.#writer.copy(this.#bytes, copied, pos + 1);
      this.#writer.u32(this.#to);
      copied = skipLeb(this.#bytes, pos + 1);
      this.#listener?.(this.#writer.length, copied);
    }
    this.#writer.copy(this.#bytes, copied, end);
  }
}

/** `(ref null? heap)` takes a byte more than others. */
function skipType(bytes: Uint8Array, pos: number): number {
  return skipLeb(bytes, bytes[pos] === 0x63 || bytes[pos] === 0x64 ? pos + 1 : pos);
}
