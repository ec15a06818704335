/**
 * Reads that an optimiser put in front of the test of their pointer: it makes of `p ? p->x : y` a `select` that reads in
 * any case, as null can be read in wasm (Binaryen does where it may take it that nothing traps). With null that is no fault
 * of the program; all else is an error as anywhere.
 */
import { instructionEnd, op } from "../../wasm/instructions.js";
import { u32At } from "../../wasm/leb128.js";
import { stackEffect } from "./stack-effects.js";

/** Instructions between the read and its `select` at most. */
const farthest = 8;
/** Constants, comparisons, arithmetic and conversions: what follows from their operands alone. */
const [firstPlain, lastPlain] = [0x41, 0xc4];

/**
 * @param before position of the instruction before it
 * @param pos that of the read
 */
export function isSpeculated(bytes: Uint8Array, before: number, pos: number): boolean {
  if (bytes[before] !== op.localGet && bytes[before] !== op.localTee) return false;
  const pointer = u32At(bytes, before + 1);
  const isPointer = (at: number) => bytes[at] === op.localGet && u32At(bytes, at + 1) === pointer;
  /** Operands from what was read on. */
  let height = 1;
  let previous = pos;
  let last = pos;
  let at = instructionEnd(bytes, pos);
  for (let i = 0; i < farthest; i++) {
    const opcode = bytes[at];
    if (opcode === op.select) {
      // the first of two where the condition holds, the second where it doesn't
      const onCondition = height === 3 && isPointer(last);
      const otherwise = height === 2 && bytes[last] === op.i32Eqz && isPointer(previous);
      return onCondition || otherwise;
    }
    const isPlain = opcode !== undefined && opcode >= firstPlain && opcode <= lastPlain;
    if (!isPlain && opcode !== op.localGet) return false;
    const { pops, pushes } = opcode === op.localGet ? { pops: 0, pushes: 1 } : stackEffect(bytes, at)!;
    if (pops > height) return false;
    height += pushes - pops;
    previous = last;
    last = at;
    at = instructionEnd(bytes, at);
  }
  return false;
}
