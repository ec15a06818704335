/**
 * What a function body tells about itself without running it: its constants, the static addresses it uses, its
 * calls. Collected only for the few functions whose type and size fit an allocator's.
 */
import { instructionEnd, op } from "../../wasm/instructions.js";
import { u32At, Writer } from "../../wasm/leb128.js";
import type { Module } from "../../wasm/module.js";
import { decodeLocals } from "../../wasm/sections/code.js";
import { factFlag, factKind, readFacts } from "../walker.js";

export interface BodyFacts {
  instructions: number;
  /** Values of `i32.const`, signed, and of `i64.const` as far as a number holds them exactly. */
  constants: ReadonlySet<number>;
  /** Constants, and offsets of loads and stores, that may be static addresses. */
  addresses: ReadonlySet<number>;
  callees: ReadonlySet<number>;
  /** Globals of the module's own that it reads or writes. */
  globals: ReadonlySet<number>;
  /** Those of them that it writes. */
  written: ReadonlySet<number>;
  multiplies: boolean;
  /** Whether it looks at memory: loads, bulk and atomic operations. */
  readsMemory: boolean;
  /** Whether it contains a call through a table or a reference. */
  callsIndirectly: boolean;
}

/** Below lies the null page: what is smaller is a number. So is what lies next to a power of two. */
export const lowestAddress = 1024;

function besidePower(value: number): boolean {
  const power = 2 ** Math.round(Math.log2(value));
  return Math.abs(value - power) <= 4;
}

export function bodyFacts(module: Module, index: number): BodyFacts {
  const constants = new Set<number>();
  const addresses = new Set<number>();
  const callees = new Set<number>();
  const globals = new Set<number>();
  const written = new Set<number>();
  const own = module.importedGlobalCount;
  const { rows, instructions, flags } = readFacts(module, index - module.importedFunctionCount);
  for (let row = 0; row < rows.length; row += 2) {
    const value = rows[row];
    const kind = rows[row + 1];
    if (kind === factKind.callee) {
      callees.add(value);
    } else if (kind === factKind.constant || kind === factKind.offset) {
      if (kind === factKind.constant) constants.add(value);
      if (value >= lowestAddress) addresses.add(value);
    } else {
      if (value >= own) globals.add(value);
      if (kind === factKind.written) written.add(value);
    }
  }
  for (const address of addresses) if (besidePower(address)) addresses.delete(address);
  return {
    instructions,
    constants,
    addresses,
    callees,
    globals,
    written,
    multiplies: (flags & factFlag.multiplies) !== 0,
    readsMemory: (flags & factFlag.readsMemory) !== 0,
    callsIndirectly: (flags & factFlag.callsIndirectly) !== 0,
  };
}

/**
 * Whether a body may have one of these constants: a look at the bytes alone, several times quicker than
 * `bodyFacts`, to leave most bodies out.
 * @param forms from `encodedConstant`
 */
export function mayHaveConstant(module: Module, index: number, forms: readonly Uint8Array[]): boolean {
  const { bytes, bodies } = module;
  const body = index - module.importedFunctionCount;
  const end = bodies.end[body];
  for (let pos = bodies.start[body]; pos < end; pos++) {
    if (bytes[pos] !== op.i32Const && bytes[pos] !== op.i64Const) continue;
    for (const form of forms) {
      let length = 0;
      while (length < form.length && bytes[pos + 1 + length] === form[length]) length++;
      if (length === form.length) return true;
    }
  }
  return false;
}

/**
 * Functions up to `before`, in ascending order, whose bodies may have this number in a constant or an offset, in whatever form: a look at the
 * bytes alone. Forms differ in what follows the three lowest groups of seven bits. Of smaller numbers all functions are given.
 * Engines search for a byte several times faster than code that is not compiled yet; of the three the second is the rarest, as
 * addresses are multiples and lie together.
 */
export function* functionsWithNumber(
  { bytes, bodies, importedFunctionCount }: Module,
  value: number,
  before: number,
): Generator<number> {
  const { start, end } = bodies;
  const count = before - importedFunctionCount;
  if (count === 0) return;
  if (value < 1 << 14) {
    for (let body = 0; body < count; body++) yield importedFunctionCount + body;
    return;
  }
  const code = bytes.subarray(start[0], end[count - 1]);
  const [first, second] = [(value & 0x7f) | 0x80, ((value >>> 7) & 0x7f) | 0x80];
  const third = (value >>> 14) & 0x7f;
  let body = 0;
  for (let pos = code.indexOf(second); pos >= 0 && body < count; pos = code.indexOf(second, pos + 1)) {
    if (code[pos - 1] !== first || (code[pos + 1] & 0x7f) !== third) continue;
    const at = pos + start[0];
    while (body < count && end[body] <= at) body++;
    if (body < count) yield importedFunctionCount + body++;
  }
}

/** A constant in its shortest form, as compilers write it. */
export function encodedConstant(value: number): Uint8Array {
  const writer = new Writer(8);
  writer.s33(value);
  return writer.finish();
}

/** The same in the form of five bytes that linkers write an address in. */
export function encodedAddress(address: number): Uint8Array {
  return Uint8Array.from({ length: 5 }, (_, i) => ((address >>> (7 * i)) & 0x7f) | (i < 4 ? 0x80 : 0));
}

/** `i32.add`, `i64.add`; `i32.sub`, `i64.sub` */
const sums: ReadonlySet<number> = new Set([0x6a, 0x7c]);
const differences: ReadonlySet<number> = new Set([0x6b, 0x7d]);

/**
 * Parameters that are passed as they came in the last arguments of the calls of `callee`: for each call, the
 * indices of the `local.get`s that stand directly in front of it; -1 for locals that a sum or difference was
 * written to before. (Other writes are Asyncify's, which restores parameters, or copies.)
 */
export function passedLocals(module: Module, index: number, callee: number): number[][] {
  const { bytes, bodies } = module;
  const body = index - module.importedFunctionCount;
  const end = bodies.end[body];
  const written = new Set<number>();
  const calls: number[][] = [];
  let run: number[] = [];
  let previous = -1;
  let pos = decodeLocals(bytes, bodies.start[body], end).end;
  while (pos < end) {
    const opcode = bytes[pos];
    if (opcode === op.localGet) {
      const local = u32At(bytes, pos + 1);
      run.push(written.has(local) ? -1 : local);
    } else {
      if ((opcode === op.call || opcode === op.returnCall) && u32At(bytes, pos + 1) === callee)
        calls.push(run);
      if (isWrite(opcode) && (sums.has(previous) || differences.has(previous))) {
        written.add(u32At(bytes, pos + 1));
      }
      run = [];
    }
    previous = opcode;
    pos = instructionEnd(bytes, pos);
  }
  return calls;
}

/** Numbers that are subtracted from the parameter `local` until it is written to. */
export function subtractedFrom(module: Module, index: number, local: number): Set<number> {
  const { bytes, bodies } = module;
  const body = index - module.importedFunctionCount;
  const end = bodies.end[body];
  const numbers = new Set<number>();
  for (let pos = decodeLocals(bytes, bodies.start[body], end).end; pos < end; ) {
    const next = instructionEnd(bytes, pos);
    if (bytes[pos] === op.localGet && u32At(bytes, pos + 1) === local && isConstant(bytes[next])) {
      const number = signedAt(bytes, next + 1);
      const operation = bytes[instructionEnd(bytes, next)];
      if (differences.has(operation)) numbers.add(number);
      else if (sums.has(operation) && number < 0) numbers.add(-number);
    } else if (isWrite(bytes[pos]) && u32At(bytes, pos + 1) === local) {
      break;
    }
    pos = next;
  }
  return numbers;
}

function isWrite(opcode: number): boolean {
  return opcode === op.localSet || opcode === op.localTee;
}

function isConstant(opcode: number): boolean {
  return opcode === op.i32Const || opcode === op.i64Const;
}

/** Value of a signed LEB128 of at most 64 bits; beyond 2^53 rounded. */
export function signedAt(bytes: Uint8Array, pos: number): number {
  let value = 0;
  let scale = 1;
  for (;;) {
    const byte = bytes[pos++];
    if (byte & 0x80) {
      value += (byte & 0x7f) * scale;
      scale *= 128;
    } else {
      return value + (byte & 0x40 ? byte - 128 : byte) * scale;
    }
  }
}
