/** What a hook has to know of the body that it is put into: where it returns before its end, and where it names a local. */
import { op } from "../wasm/instructions.js";
import type { Program } from "./walker-program.js";

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

/** Exits, and the offsets of instructions that name a local, both in order. */
export interface Exits {
  exits: Exit[];
  named: number[];
}

/**
 * @param body among those that a program holds
 * @param scratch address in its memory behind which nothing lies; 0 for what is free
 */
export function findExits(program: Program, body: number, local = 0xffffffff, scratch = 0): Exits {
  const count = program.wasm.exits(body, local, scratch);
  const rows = program.numbers(program.wasm.exitsAt.value, 4 * count);
  const exits: Exit[] = [];
  const named: number[] = [];
  for (let row = 0; row < rows.length; row += 4) {
    const position = rows[row];
    const opcode = rows[row + 1];
    if (opcode === op.localGet || opcode === op.localSet || opcode === op.localTee) named.push(position);
    else exits.push({ position, opcode, depth: rows[row + 2], caught: rows[row + 3] === 1 });
  }
  return { exits, named };
}
