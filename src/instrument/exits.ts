/** What a hook has to know of the body that it is put into: where it returns before its end, and where it names a local. */
import { instructionEnd, op } from "../wasm/instructions.js";
import { u32At } from "../wasm/leb128.js";

/** A `return` or a tail call. */
export interface Exit {
  /** Offset of the instruction. */
  position: number;
  opcode: number;
  /** Number of blocks around it: the label of the function's own end. */
  depth: number;
}

/**
 * The exits of the instructions at `bytes[start..end)`, and the offsets of those that name a local, both in order. In one
 * walk: engines have not compiled it when it runs.
 */
export function findExits(
  bytes: Uint8Array,
  start: number,
  end: number,
  local: number | undefined,
): { exits: Exit[]; named: number[] } {
  const exits: Exit[] = [];
  const named: number[] = [];
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
      case op.localGet:
      case op.localSet:
      case op.localTee:
        if (local !== undefined && u32At(bytes, pos + 1) === local) named.push(pos);
        break;
      case op.return:
      case op.returnCall:
      case op.returnCallIndirect:
      case op.returnCallRef:
        exits.push({ position: pos, opcode, depth });
        break;
    }
  }
  return { exits, named };
}
