/** What a hook has to know of the body that it is put into: where it returns before its end, and where it names a local. */
import { instructionEnd, instructionForms, op } from "../wasm/instructions.js";
import { skipLeb, u32At } from "../wasm/leb128.js";

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

/** What the walk does with an opcode. */
const step = { over: 0, opens: 1, tries: 2, catches: 3, closes: 4, exits: 5, local: 6 } as const;
const steps = new Uint8Array(256);
for (const opcode of [op.block, op.loop, op.if]) steps[opcode] = step.opens;
for (const opcode of [op.try, op.tryTable]) steps[opcode] = step.tries;
for (const opcode of [op.catch, op.catchAll]) steps[opcode] = step.catches;
for (const opcode of [op.end, op.delegate]) steps[opcode] = step.closes;
for (const opcode of [op.return, op.returnCall, op.returnCallIndirect, op.returnCallRef])
  steps[opcode] = step.exits;
for (const opcode of [op.localGet, op.localSet, op.localTee]) steps[opcode] = step.local;

/**
 * The exits of the instructions at `bytes[start..end)`, and the offsets of those that name a local, both in order. In one
 * walk, with few calls: engines have not compiled it when it runs.
 */
export function findExits(
  bytes: Uint8Array,
  start: number,
  end: number,
  local = -1,
): { exits: Exit[]; named: number[] } {
  const exits: Exit[] = [];
  const named: number[] = [];
  // whether each is a `try` whose handlers haven't begun
  const blocks: boolean[] = [];
  for (let pos = start; pos < end; ) {
    const opcode = bytes[pos];
    const what = steps[opcode];
    if (what === step.local) {
      const index = bytes[pos + 1];
      if ((index < 0x80 ? index : u32At(bytes, pos + 1)) === local) named.push(pos);
      pos = index < 0x80 ? pos + 2 : skipLeb(bytes, pos + 1);
      continue;
    }
    if (what === step.opens) blocks.push(false);
    else if (what === step.tries) blocks.push(true);
    else if (what === step.catches) blocks[blocks.length - 1] = false;
    else if (what === step.closes) blocks.pop();
    else if (what === step.exits)
      exits.push({ position: pos, opcode, depth: blocks.length, caught: blocks.includes(true) });
    pos = instructionForms.oneByte[opcode] === instructionForms.none ? pos + 1 : instructionEnd(bytes, pos);
  }
  return { exits, named };
}
