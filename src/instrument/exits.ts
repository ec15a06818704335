/** Where a function body returns before its end. */
import { instructionEnd, op } from "../wasm/instructions.js";

/** A `return` or a tail call. */
export interface Exit {
  /** Offset of the instruction. */
  position: number;
  opcode: number;
  /** Number of blocks around it: the label of the function's own end. */
  depth: number;
}

/** The exits of the instructions at `bytes[start..end)`, in order. */
export function findExits(bytes: Uint8Array, start: number, end: number): Exit[] {
  const exits: Exit[] = [];
  let depth = 0;
  for (let pos = start; pos < end; pos = instructionEnd(bytes, pos)) {
    const opcode = bytes[pos];
    switch (opcode) {
      case op.block:
      case op.loop:
      case op.if:
      case op.try:
      case op.tryTable:
        depth++;
        break;
      case op.end:
      case op.delegate:
        depth--;
        break;
      case op.return:
      case op.returnCall:
      case op.returnCallIndirect:
      case op.returnCallRef:
        exits.push({ position: pos, opcode, depth });
        break;
    }
  }
  return exits;
}
