import { instructionEnd, op } from "../../wasm/instructions.js";
import { skipLeb, u32At } from "../../wasm/leb128.js";
import type { Module } from "../../wasm/module.js";
import { decodeLocals } from "../../wasm/sections/code.js";

/** A block, a loop, or one arm of an `if` that is open. */
interface Opened {
  isLoop: boolean;
  /** Whether code behind its end is reached by a branch, or by the arm before. */
  isLeft: boolean;
  /** Of an `if` whose other arm hasn't begun: whether it can be reached. */
  other: boolean;
}

/** Whether a function ends in a trap, as nearly all do that never return: one look at it. */
export function endsInTrap({ bytes, bodies, importedFunctionCount }: Module, index: number): boolean {
  return bytes[bodies.end[index - importedFunctionCount]! - 2] === op.unreachable;
}

const brTable = 0x0e;
const [throwTag, throwRef] = [0x08, 0x0a];
/** Where control goes on behind these takes more than a look: handlers, and branches of references. */
const unclear: ReadonlySet<number> = new Set([op.try, op.tryTable, 0xd5, 0xd6, 0xfb]);
const returns: ReadonlySet<number> = new Set([op.return, op.returnCallIndirect, op.returnCallRef]);

/** How far below a function others are looked at, and how many bytes such a one has that doesn't end in a trap. */
const deepest = 3;
const smallBody = 64;

/** Answers by function and depth: without them the few functions that all panics call are looked at thousands of times. */
const known = new WeakMap<Module, Map<number, boolean>>();

/**
 * Whether a function can't be left but by a trap or an exception: a panic, or what calls one on every way through it.
 * @param depth how far below it others are looked at
 */
export function neverReturns(module: Module, index: number, depth = deepest): boolean {
  let answers = known.get(module);
  if (!answers) known.set(module, (answers = new Map()));
  const key = index * (deepest + 1) + depth;
  let answer = answers.get(key);
  if (answer === undefined) answers.set(key, (answer = findOut(module, index, depth)));
  return answer;
}

function findOut(module: Module, index: number, depth: number): boolean {
  const { bytes, bodies } = module;
  const body = index - module.importedFunctionCount;
  const end = bodies.end[body]!;
  const open: Opened[] = [{ isLoop: false, isLeft: false, other: false }];
  let reached = true;
  const branch = (label: number) => {
    const target = open.at(-1 - label);
    if (reached && target && !target.isLoop) target.isLeft = true;
  };
  const stops = (callee: number) =>
    depth > 0 && mayPanic(module, callee) && neverReturns(module, callee, depth - 1);
  for (let pos = decodeLocals(bytes, bodies.start[body]!, end).end; pos < end; ) {
    const opcode = bytes[pos]!;
    if (unclear.has(opcode)) return false;
    if (opcode === op.block || opcode === op.loop || opcode === op.if) {
      open.push({ isLoop: opcode === op.loop, isLeft: false, other: opcode === op.if && reached });
    } else if (opcode === op.else) {
      const arm = open.at(-1)!;
      arm.isLeft ||= reached;
      reached = arm.other;
      arm.other = false;
    } else if (opcode === op.end) {
      const { isLeft, other } = open.pop()!;
      reached ||= isLeft || other;
    } else if (opcode === op.br || opcode === op.brIf) {
      branch(u32At(bytes, pos + 1));
      if (opcode === op.br) reached = false;
    } else if (opcode === brTable) {
      for (const label of labelsOf(bytes, pos + 1)) branch(label);
      reached = false;
    } else if (opcode === op.call || opcode === op.returnCall) {
      if (reached && stops(u32At(bytes, pos + 1))) reached = false;
      else if (reached && opcode === op.returnCall) return false;
    } else if (returns.has(opcode)) {
      if (reached) return false;
    } else if (opcode === op.unreachable || opcode === throwTag || opcode === throwRef) {
      reached = false;
    }
    pos = instructionEnd(bytes, pos);
  }
  return !reached;
}

/** Whether a function is worth a second look: it gives nothing, and ends in a trap or is short. */
function mayPanic(module: Module, index: number): boolean {
  const body = index - module.importedFunctionCount;
  if (body < 0 || module.functionType(index).results.length > 0) return false;
  return endsInTrap(module, index) || module.bodies.end[body]! - module.bodies.start[body]! <= smallBody;
}

/** Labels of a `br_table`, the default one among them. */
function labelsOf(bytes: Uint8Array, start: number): number[] {
  const labels: number[] = [];
  let pos = skipLeb(bytes, start);
  for (let left = u32At(bytes, start) + 1; left > 0; left--) {
    labels.push(u32At(bytes, pos));
    pos = skipLeb(bytes, pos);
  }
  return labels;
}
