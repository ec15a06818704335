/** What of memory an instruction touches. */
import { op } from "../../wasm/instructions.js";
import { skipLeb, u32At } from "../../wasm/leb128.js";
import { valueType } from "../../wasm/types.js";

const { i32, i64, f32, f64, v128 } = valueType;

/** An instruction that reads or writes at the address on the stack, or on it below other operands. */
export interface Access {
  /** Bytes. */
  size: number;
  write: boolean;
  /** Types of the operands above the address. */
  above: readonly number[];
  /** The address is meant to be a multiple of the size. */
  aligned: boolean;
  /** Added to the address. */
  offset: number;
  /** Of the memory. */
  memory: number;
}

/** Sizes of the loads 0x28 to 0x35 and the stores 0x36 to 0x3e, as exponents of two. */
const firstLoad = 0x28;
const firstStore = 0x36;
const lastStore = 0x3e;
const plainSizes = [2, 3, 2, 3, 0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 2, 3, 2, 3, 0, 1, 0, 1, 2];
const storedTypes = [i32, i64, f32, f64, i32, i32, i64, i64, i64];

/** Of the vector instructions 0x00 to 0x0b, 0x54 to 0x5b, 0x5c and 0x5d. */
const vectorSizes = [4, 3, 3, 3, 3, 3, 3, 0, 1, 2, 3, 4];
const vectorStore = 0x0b;
const [firstLane, firstStoreLane, lastLane] = [0x54, 0x58, 0x5b];
const [loadZero32, loadZero64] = [0x5c, 0x5d];

/** Atomic ones: notify, two waits; loads from 0x10, stores from 0x17, then seven each of add, sub, and, or, xor, xchg, cmpxchg. */
const [atomicNotify, atomicWait32, atomicWait64] = [0x00, 0x01, 0x02];
const [firstAtomic, firstAtomicStore, firstCompare, lastAtomic] = [0x10, 0x17, 0x48, 0x4e];
const atomicSizes = [2, 3, 0, 1, 0, 1, 2];
const atomicTypes = [i32, i64, i32, i32, i64, i64, i64];

/** The access of the instruction at `position`; undefined for one that touches no memory at a constant size. */
export function accessAt(bytes: Uint8Array, position: number): Access | undefined {
  const opcode = bytes[position];
  if (opcode >= firstLoad && opcode <= lastStore) {
    const write = opcode >= firstStore;
    const above = write ? [storedTypes[opcode - firstStore]] : [];
    return withMemarg(bytes, position + 1, plainSizes[opcode - firstLoad], write, above);
  }
  if (opcode !== op.prefixVector && opcode !== op.prefixAtomic) return undefined;
  const sub = u32At(bytes, position + 1);
  const at = skipLeb(bytes, position + 1);
  if (opcode === op.prefixAtomic) return atomicAt(bytes, at, sub);
  if (sub <= vectorStore) {
    const write = sub === vectorStore;
    return withMemarg(bytes, at, vectorSizes[sub], write, write ? [v128] : []);
  }
  if (sub >= firstLane && sub <= lastLane) {
    return withMemarg(bytes, at, (sub - firstLane) & 3, sub >= firstStoreLane, [v128]);
  }
  if (sub === loadZero32) return withMemarg(bytes, at, 2, false, []);
  return sub === loadZero64 ? withMemarg(bytes, at, 3, false, []) : undefined;
}

function atomicAt(bytes: Uint8Array, at: number, sub: number): Access | undefined {
  if (sub === atomicNotify) return withMemarg(bytes, at, 2, false, [i32]);
  if (sub === atomicWait32) return withMemarg(bytes, at, 2, false, [i32, i64]);
  if (sub === atomicWait64) return withMemarg(bytes, at, 3, false, [i64, i64]);
  if (sub < firstAtomic || sub > lastAtomic) return undefined;
  const variant = (sub - firstAtomic) % atomicSizes.length;
  const type = atomicTypes[variant];
  const above = sub < firstAtomicStore ? [] : sub < firstCompare ? [type] : [type, type];
  const write = sub >= firstAtomicStore;
  return withMemarg(bytes, at, atomicSizes[variant], write, above);
}

function withMemarg(
  bytes: Uint8Array,
  at: number,
  sizeLog2: number,
  write: boolean,
  above: readonly number[],
): Access {
  const flags = u32At(bytes, at);
  at = skipLeb(bytes, at);
  let memory = 0;
  if (flags & 0x40) {
    memory = u32At(bytes, at);
    at = skipLeb(bytes, at);
  }
  return {
    size: 1 << sizeLog2,
    write,
    above,
    aligned: (flags & 0x3f) >= sizeLog2,
    offset: u32At(bytes, at),
    memory,
  };
}

export interface BulkAccess {
  /** Which of three operands is the address; the last one is the size. */
  operand: number;
  write: boolean;
}

const [memoryInit, memoryCopy, memoryFill] = [8, 10, 11];

/** What `memory.init`, `memory.copy` and `memory.fill` do to the first memory. */
export function bulkAccesses(bytes: Uint8Array, position: number): BulkAccess[] | undefined {
  const sub = u32At(bytes, position + 1);
  const first = skipLeb(bytes, position + 1);
  const index = () => u32At(bytes, first);
  const second = () => u32At(bytes, skipLeb(bytes, first));
  const written = { operand: 0, write: true };
  if (sub === memoryFill) return index() === 0 ? [written] : undefined;
  if (sub === memoryInit) return second() === 0 ? [written] : undefined;
  if (sub !== memoryCopy) return undefined;
  const ranges = [
    ...(second() === 0 ? [{ operand: 1, write: false }] : []),
    ...(index() === 0 ? [written] : []),
  ];
  return ranges.length > 0 ? ranges : undefined;
}
