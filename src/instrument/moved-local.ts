/**
 * A function that is called with one more parameter, behind its own: the first local that it declares had that index.
 * It becomes the last local, so that all others keep theirs. The walker does the same for bodies without a hook.
 */
import { instructionEnd, op } from "../wasm/instructions.js";
import { skipLeb, u32At } from "../wasm/leb128.js";
import type { LocalCounts } from "../wasm/sections/code.js";
import type { CodeWriter } from "./emit.js";
import type { SiteListener } from "./walker.js";

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

/** Copies the instructions at `bytes[start..end)`. */
export function copyMoving(
  writer: CodeWriter,
  bytes: Uint8Array,
  start: number,
  end: number,
  moved: MovedLocal | undefined,
  listener?: SiteListener,
): void {
  let copied = start;
  if (moved) {
    for (let pos = start; pos < end; ) {
      const opcode = bytes[pos];
      const next = instructionEnd(bytes, pos);
      const isLocal = opcode === op.localGet || opcode === op.localSet || opcode === op.localTee;
      if (isLocal && u32At(bytes, pos + 1) === moved.from) {
        writer.copy(bytes, copied, pos + 1);
        writer.u32(moved.to);
        listener?.(writer.length, next);
        copied = next;
      }
      pos = next;
    }
  }
  writer.copy(bytes, copied, end);
}

/** `(ref null? heap)` takes a byte more than others. */
function skipType(bytes: Uint8Array, pos: number): number {
  return skipLeb(bytes, bytes[pos] === 0x63 || bytes[pos] === 0x64 ? pos + 1 : pos);
}
