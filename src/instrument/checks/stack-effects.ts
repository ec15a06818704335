/**
 * How many operands an instruction takes and how many results it gives. Only for those of which that is fixed: control,
 * calls, and the garbage-collected types are left to whoever asks.
 */
import { op } from "../../wasm/instructions.js";
import { u32At } from "../../wasm/leb128.js";
import { accessAt } from "./accesses.js";

export interface StackEffect {
  pops: number;
  pushes: number;
}

type Range = number | readonly [first: number, last: number];

const effect = (pops: number, pushes: number): StackEffect => ({ pops, pushes });
const [nothing, unary, binary, ternary, source] = [
  effect(0, 0),
  effect(1, 1),
  effect(2, 1),
  effect(3, 1),
  effect(0, 1),
];

function table(size: number, entries: readonly (readonly [StackEffect, ...Range[]])[]) {
  const effects = new Array<StackEffect | undefined>(size);
  for (const [value, ...opcodes] of entries) {
    for (const opcode of opcodes) {
      if (typeof opcode === "number") effects[opcode] = value;
      else effects.fill(value, opcode[0], opcode[1] + 1);
    }
  }
  return effects;
}

const oneByte = table(256, [
  [nothing, 0x01],
  [effect(1, 0), 0x1a],
  [ternary, 0x1b, 0x1c],
  // table.get, table.set
  [unary, 0x25],
  [effect(2, 0), 0x26],
  [unary, [0x28, 0x35], op.memoryGrow],
  [effect(2, 0), [0x36, 0x3e]],
  [source, op.memorySize, [0x41, 0x44]],
  [unary, 0x45, 0x50, [0x67, 0x69], [0x79, 0x7b], [0x8b, 0x91], [0x99, 0x9f], [0xa7, 0xc4]],
  [binary, [0x46, 0x4f], [0x51, 0x66], [0x6a, 0x78], [0x7c, 0x8a], [0x92, 0x98], [0xa0, 0xa6]],
  // ref.null, ref.is_null, ref.func, ref.eq
  [source, 0xd0, op.refFunc],
  [unary, 0xd1],
  [binary, 0xd3],
]);

const misc = table(0x13, [
  [unary, [0x00, 0x07]],
  // of memories and tables: init, copy, fill
  [effect(3, 0), 0x08, 0x0a, 0x0b, 0x0c, 0x0e, 0x11],
  [nothing, 0x09, 0x0d],
  [binary, 0x0f],
  [source, 0x10],
]);

const vector = table(0x114, [
  [source, 0x0c],
  [binary, 0x0d, 0x0e, 0x17, 0x1a, 0x1c, 0x1e, 0x20, 0x22, [0x23, 0x4c], [0x4e, 0x51]],
  [unary, [0x0f, 0x14], 0x15, 0x16, 0x18, 0x19, 0x1b, 0x1d, 0x1f, 0x21, 0x4d, 0x53],
  [ternary, 0x52],
  [unary, [0x5e, 0x64], [0x67, 0x6a], 0x74, 0x75, 0x7a, [0x7c, 0x81], 0x83, 0x84, [0x87, 0x8a], 0x94],
  [binary, 0x65, 0x66, [0x6b, 0x73], [0x76, 0x79], 0x7b, 0x82, 0x85, 0x86, [0x8b, 0x93], [0x95, 0x99], 0x9b],
  [binary, [0x9c, 0x9f], [0xab, 0xb1], [0xb5, 0xba], [0xbc, 0xbf], [0xcb, 0xd1], [0xd5, 0xdf]],
  [unary, 0xa0, 0xa1, 0xa3, 0xa4, [0xa7, 0xaa], 0xc0, 0xc1, 0xc3, 0xc4, [0xc7, 0xca]],
  [unary, 0xe0, 0xe1, 0xe3, 0xec, 0xed, 0xef, [0xf8, 0xff]],
  [binary, [0xe4, 0xeb], [0xf0, 0xf7]],
  // relaxed ones
  [binary, 0x100, [0x10d, 0x112]],
  [unary, [0x101, 0x104]],
  [ternary, [0x105, 0x10c], 0x113],
]);

const [firstVectorAccess, lastVectorStore, firstLane, lastZeroLoad] = [0x00, 0x0b, 0x54, 0x5d];
const [fence, firstAtomicStore, lastAtomicStore] = [0x03, 0x17, 0x1d];

/** Undefined when it is not known. */
export function stackEffect(bytes: Uint8Array, position: number): StackEffect | undefined {
  const opcode = bytes[position];
  if (opcode === op.prefixMisc) return misc[u32At(bytes, position + 1)];
  if (opcode === op.prefixVector) {
    const sub = u32At(bytes, position + 1);
    const isAccess =
      (sub >= firstVectorAccess && sub <= lastVectorStore) || (sub >= firstLane && sub <= lastZeroLoad);
    return isAccess ? accessEffect(bytes, position, false) : vector[sub];
  }
  if (opcode === op.prefixAtomic) {
    const sub = u32At(bytes, position + 1);
    if (sub === fence) return nothing;
    return accessEffect(bytes, position, sub < firstAtomicStore || sub > lastAtomicStore);
  }
  return oneByte[opcode];
}

/** @param returns whether it gives a result although it writes */
function accessEffect(bytes: Uint8Array, position: number, returns: boolean): StackEffect | undefined {
  const access = accessAt(bytes, position);
  return access && effect(access.above.length + 1, access.write && !returns ? 0 : 1);
}
