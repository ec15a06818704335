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
  /** What is thrown there is caught inside the body; a tail call leaves the `try` before it calls. */
  caught: boolean;
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
  // whether each is a `try` whose handlers haven't begun
  const blocks: boolean[] = [];
  for (let pos = start; pos < end; pos = instructionEnd(bytes, pos)) {
    const opcode = bytes[pos];
    switch (opcode) {
      case op.block:
      case op.loop:
      case op.if:
        blocks.push(false);
        break;
      case op.try:
      case op.tryTable:
        blocks.push(true);
        break;
      case op.catch:
      case op.catchAll:
        blocks[blocks.length - 1] = false;
        break;
      case op.end:
      case op.delegate:
        blocks.pop();
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
        exits.push({ position: pos, opcode, depth: blocks.length, caught: blocks.includes(true) });
        break;
    }
  }
  return { exits, named };
}
