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
  /** Whether each open block is a loop, and the effects of those that are. */
  const open: boolean[] = [];
  const around: LoopEffects[] = [];
  for (let pos = start; pos < end; pos = instructionEnd(bytes, pos)) {
    const opcode = bytes[pos];
    if (opcode === op.block || opcode === op.if) open.push(false);
    else if (opcode === op.loop) {
      const effects = { assigned: new Set<number>(), calls: false };
      loops.set(pos, effects);
      open.push(true);
      around.push(effects);
    } else if (opcode === op.end) {
      if (!open.pop()) continue;
      const closed = around.pop()!;
      const outer = around[around.length - 1];
      if (!outer) continue;
      outer.calls ||= closed.calls;
      for (const local of closed.assigned) outer.assigned.add(local);
    } else if (opcode === op.localSet || opcode === op.localTee) {
      around[around.length - 1]?.assigned.add(u32At(bytes, pos + 1));
    } else if (isCall(opcode)) {
      const inner = around[around.length - 1];
      if (inner) inner.calls = true;
    } else if (opcode === op.try || opcode === op.tryTable) return undefined;
  }
  return loops;
}
