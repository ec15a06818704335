/**
 * What of Go's code leads to its stack. It lies in linear memory, and nearly all that a function does goes through it, most
 * of it through one local: what is in that came from the stack pointer, if all assignments to it are of that kind. As for
 * other compilers' frames the stack pointer is what is checked, where it becomes something else than a bit more or less.
 */
import { instructionEnd, op } from "../../wasm/instructions.js";
import { u32At } from "../../wasm/leb128.js";

/** Go's linker writes the stack pointer first. */
export const goStackPointer = 0;

/** The locals of a body that hold the stack pointer, or what is a constant away from it, wherever they are looked at. */
export function stackLocals(bytes: Uint8Array, start: number, end: number): ReadonlySet<number> {
  const held = new Set<number>();
  const others = new Set<number>();
  // the instructions before, the last one first
  let [first, second, third] = [start, start, start];
  const leadsToStack = (pos: number, local: number): boolean =>
    bytes[pos] === op.globalGet
      ? u32At(bytes, pos + 1) === goStackPointer
      : bytes[pos] === op.localGet && u32At(bytes, pos + 1) === local;
  for (let pos = start; pos < end; pos = instructionEnd(bytes, pos)) {
    if (bytes[pos] === op.localSet || bytes[pos] === op.localTee) {
      const local = u32At(bytes, pos + 1);
      const isSum = bytes[first] === op.i32Add || bytes[first] === op.i32Sub;
      const from = isSum && bytes[second] === op.i32Const ? third : first;
      (leadsToStack(from, local) ? held : others).add(local);
    }
    [third, second, first] = [second, first, pos];
  }
  for (const local of others) held.delete(local);
  return held;
}
