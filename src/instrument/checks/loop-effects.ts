/** What loops do to the locals and to what is known of the memory. */
import { instructionEnd, op } from "../../wasm/instructions.js";
import { u32At } from "../../wasm/leb128.js";

/** What a loop does, known before it is walked. */
export interface LoopEffects {
  assigned: Set<number>;
  calls: boolean;
}

function isCall(opcode: number): boolean {
  return (opcode >= op.call && opcode <= op.returnCallRef) || opcode === op.memoryGrow;
}

/** By the position of each loop; undefined when there are instructions that the walk doesn't know. */
export function loopEffects(
  bytes: Uint8Array,
  start: number,
  end: number,
): Map<number, LoopEffects> | undefined {
  const loops = new Map<number, LoopEffects>();
  const open: (LoopEffects | undefined)[] = [];
  for (let pos = start; pos < end; pos = instructionEnd(bytes, pos)) {
    const opcode = bytes[pos];
    if (opcode === op.block || opcode === op.if) open.push(undefined);
    else if (opcode === op.loop) {
      const effects = { assigned: new Set<number>(), calls: false };
      loops.set(pos, effects);
      open.push(effects);
    } else if (opcode === op.end) {
      const closed = open.pop();
      const around = closed && open.findLast((it) => it !== undefined);
      if (!around) continue;
      around.calls ||= closed.calls;
      for (const local of closed.assigned) around.assigned.add(local);
    } else if (opcode === op.localSet || opcode === op.localTee) {
      open.findLast((it) => it !== undefined)?.assigned.add(u32At(bytes, pos + 1));
    } else if (isCall(opcode)) {
      const around = open.findLast((it) => it !== undefined);
      if (around) around.calls = true;
    } else if (opcode === op.try || opcode === op.tryTable) return undefined;
  }
  return loops;
}
