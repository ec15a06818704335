/** The loops of a body: which contain which, and what of them decides whether they can be looked at from outside. */
import { instructionEnd, op } from "../../../wasm/instructions.js";
import { skipLeb, u32At } from "../../../wasm/leb128.js";

export interface Loop {
  /** Different for each of a body. */
  id: number;
  /** Position of the instruction. */
  pos: number;
  /** Of the first instruction in it. */
  start: number;
  /** Of its `end`. */
  end: number;
  children: Loop[];
  /** Locals that are set in it, or in a loop in it. */
  assigned: Set<number>;
  /** Nothing in it calls, grows the memory, or is unknown to those who look at it. */
  isPlain: boolean;
  /** The only way to the next iteration is a `br` or `br_if` right before its end. */
  isRegular: boolean;
  /** Labels that it is left to, as they are in front of it. */
  exits: Set<number>;
}

interface Open {
  /** Undefined for other blocks. */
  loop?: Loop;
  backEdges: { pos: number; depth: number }[];
}

const firstCall = op.call;
const lastCall = op.returnCallRef;
/** Branches of the proposals of typed references and garbage collection: what they do to operands is not followed. */
const [brOnNull, brOnNonNull] = [0xd5, 0xd6];

/** The outermost loops; undefined when there are exceptions. */
export function loopTree(bytes: Uint8Array, start: number, end: number): Loop[] | undefined {
  const outermost: Loop[] = [];
  const open: Open[] = [{ backEdges: [] }];
  /** Those that are open, and where in `open` they are. */
  const loops: { loop: Loop; at: number }[] = [];
  const around = () => loops[loops.length - 1]?.loop;
  let count = 0;
  for (let pos = start, next: number; pos < end; pos = next) {
    const opcode = bytes[pos];
    next = instructionEnd(bytes, pos);
    switch (opcode) {
      case op.block:
      case op.if:
        open.push({ backEdges: [] });
        break;
      case op.loop: {
        const loop: Loop = {
          id: count++,
          pos,
          start: next,
          end: 0,
          children: [],
          assigned: new Set(),
          isPlain: true,
          isRegular: false,
          exits: new Set(),
        };
        (around()?.children ?? outermost).push(loop);
        loops.push({ loop, at: open.length });
        open.push({ loop, backEdges: [] });
        break;
      }
      case op.end: {
        const closed = open.pop();
        if (!closed?.loop) break;
        const { loop, backEdges } = closed;
        loop.end = pos;
        loop.isRegular =
          backEdges.length === 1 &&
          backEdges[0].depth === 0 &&
          bytes[backEdges[0].pos] !== op.brTable &&
          instructionEnd(bytes, backEdges[0].pos) === pos;
        loops.pop();
        const outer = around();
        if (!outer) break;
        outer.isPlain &&= loop.isPlain;
        for (const local of loop.assigned) outer.assigned.add(local);
        break;
      }
      case op.br:
      case op.brIf:
      case op.brTable:
        for (const depth of labels(bytes, pos)) {
          const target = open.length - 1 - depth;
          open[target]?.backEdges.push({ pos, depth });
          for (let i = loops.length - 1; i >= 0 && loops[i].at > target; i--) {
            loops[i].loop.exits.add(loops[i].at - 1 - target);
          }
        }
        break;
      case op.localSet:
      case op.localTee:
        around()?.assigned.add(u32At(bytes, pos + 1));
        break;
      case op.try:
      case op.tryTable:
        return undefined;
      default: {
        const loop = around();
        if (!loop) break;
        const isCall = opcode >= firstCall && opcode <= lastCall;
        const isUnknown = opcode === op.prefixGc || opcode === brOnNull || opcode === brOnNonNull;
        if (isCall || isUnknown || opcode === op.memoryGrow) loop.isPlain = false;
      }
    }
  }
  return outermost;
}

/** Labels that a branch may lead to, each once. */
export function labels(bytes: Uint8Array, pos: number): Iterable<number> {
  if (bytes[pos] !== op.brTable) return [u32At(bytes, pos + 1)];
  const depths = new Set<number>();
  const count = u32At(bytes, pos + 1);
  let at = skipLeb(bytes, pos + 1);
  for (let i = 0; i <= count; i++) {
    depths.add(u32At(bytes, at));
    at = skipLeb(bytes, at);
  }
  return depths;
}
