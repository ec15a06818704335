/**
 * The length of every instruction, for walking function bodies without building a tree. A table gives each
 * opcode the form of its immediates; prefixed opcodes have tables of their own. Walking is lenient about what
 * the engine checks anyway (types, index ranges, overlong integers): it only has to find the next opcode.
 */
import { DecodeError } from "../errors.js";

/** Opcodes that passes look for. Prefixed opcodes are written as prefix × 256 + sub-opcode. */
export const op = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  try: 0x06,
  catch: 0x07,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  returnCall: 0x12,
  returnCallIndirect: 0x13,
  callRef: 0x14,
  returnCallRef: 0x15,
  delegate: 0x18,
  catchAll: 0x19,
  drop: 0x1a,
  tryTable: 0x1f,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  i32Load: 0x28,
  i64Load: 0x29,
  i32Load8S: 0x2c,
  i32Load8U: 0x2d,
  i32Load16U: 0x2f,
  i32Store: 0x36,
  memorySize: 0x3f,
  memoryGrow: 0x40,
  i32Const: 0x41,
  i64Const: 0x42,
  i32Eqz: 0x45,
  i32Eq: 0x46,
  i32Ne: 0x47,
  i32LtS: 0x48,
  i32LtU: 0x49,
  i32GtS: 0x4a,
  i32GtU: 0x4b,
  i32GeU: 0x4f,
  i32And: 0x71,
  i32Add: 0x6a,
  i32Sub: 0x6b,
  i32Or: 0x72,
  i32Shl: 0x74,
  i32ShrU: 0x76,
  i32Rotl: 0x77,
  i64Shl: 0x86,
  i64ShrU: 0x88,
  i64Rotr: 0x8a,
  select: 0x1b,
  i64LtS: 0x53,
  i64LtU: 0x54,
  i64GtS: 0x55,
  i64LeS: 0x57,
  i64GtU: 0x56,
  i64Eqz: 0x50,
  i64Ne: 0x52,
  i32Mul: 0x6c,
  i64Add: 0x7c,
  i64Sub: 0x7d,
  i64Mul: 0x7e,
  i64And: 0x83,
  i64Or: 0x84,
  i32WrapI64: 0xa7,
  i32Extend8S: 0xc0,
  i64ExtendI32S: 0xac,
  i64ExtendI32U: 0xad,
  refFunc: 0xd2,
  prefixGc: 0xfb,
  prefixMisc: 0xfc,
  prefixVector: 0xfd,
  prefixAtomic: 0xfe,
} as const;

/** Forms of immediates. The first five cover more than nine tenths of the instructions of real modules. */
const form = {
  none: 0,
  /** one LEB128 */
  leb: 1,
  /** alignment, [memory index,] offset */
  memarg: 2,
  /** two LEB128 */
  leb2: 3,
  /** block type: a value type or a type index */
  block: 4,
  bytes4: 5,
  bytes8: 6,
  bytes16: 7,
  /** vector of labels and a default */
  brTable: 8,
  /** vector of value types */
  types: 9,
  tryTable: 10,
  gc: 11,
  misc: 12,
  vector: 13,
  atomic: 14,
  /** memarg and a lane */
  memargLane: 15,
  /** one byte */
  byte: 16,
  /** flags, label, two heap types */
  castBranch: 17,
  unknown: 18,
} as const;

type Form = (typeof form)[keyof typeof form];

function table(
  size: number,
  entries: readonly (readonly [Form, ...(number | readonly [number, number])[]])[],
) {
  const forms = new Uint8Array(size).fill(form.unknown);
  for (const [value, ...opcodes] of entries) {
    for (const opcode of opcodes) {
      if (typeof opcode === "number") forms[opcode] = value;
      else forms.fill(value, opcode[0], opcode[1] + 1);
    }
  }
  return forms;
}

const oneByteForms = table(256, [
  [form.none, 0x00, 0x01, 0x05, 0x0a, 0x0b, 0x0f, 0x19, 0x1a, 0x1b, [0x45, 0xc4], 0xd1, 0xd3, 0xd4],
  // catch, throw, rethrow; br, br_if; call, return_call; call_ref, return_call_ref; delegate
  [form.leb, 0x07, 0x08, 0x09, 0x0c, 0x0d, 0x10, 0x12, 0x14, 0x15, 0x18],
  // locals, globals, tables; memory.size, memory.grow; constants; ref.null, ref.func, br_on_null, br_on_non_null
  [form.leb, [0x20, 0x26], 0x3f, 0x40, 0x41, 0x42, 0xd0, 0xd2, 0xd5, 0xd6],
  [form.memarg, [0x28, 0x3e]],
  [form.leb2, 0x11, 0x13],
  [form.block, 0x02, 0x03, 0x04, 0x06],
  [form.bytes4, 0x43],
  [form.bytes8, 0x44],
  [form.brTable, 0x0e],
  [form.types, 0x1c],
  [form.tryTable, 0x1f],
  [form.gc, 0xfb],
  [form.misc, 0xfc],
  [form.vector, 0xfd],
  [form.atomic, 0xfe],
]);

const gcForms = table(0x1f, [
  // struct.new, struct.new_default, array.new, array.new_default; array.get*, array.set, array.fill
  [form.leb, 0x00, 0x01, 0x06, 0x07, [0x0b, 0x0e], 0x10],
  [form.leb2, [0x02, 0x05], [0x08, 0x0a], [0x11, 0x13]],
  // ref.test, ref.cast
  [form.leb, [0x14, 0x17]],
  [form.castBranch, 0x18, 0x19],
  [form.none, 0x0f, [0x1a, 0x1e]],
]);

const miscForms = table(0x17, [
  // saturating conversions; wide arithmetic
  [form.none, [0x00, 0x07], [0x13, 0x16]],
  [form.leb2, 0x08, 0x0a, 0x0c, 0x0e],
  [form.leb, 0x09, 0x0b, 0x0d, [0x0f, 0x11]],
]);

const vectorForms = table(0x114, [
  [form.none, [0x0e, 0x14], [0x23, 0x53], [0x5e, 0x113]],
  [form.memarg, [0x00, 0x0b], 0x5c, 0x5d],
  [form.bytes16, 0x0c, 0x0d],
  [form.byte, [0x15, 0x22]],
  [form.memargLane, [0x54, 0x5b]],
]);

const atomicForms = table(0x4f, [
  [form.memarg, [0x00, 0x02], [0x10, 0x4e]],
  [form.byte, 0x03],
]);

/**
 * The forms by opcode, and by the number behind the prefixes 0xfd and 0xfc: for walks in another language.
 * src/instrument/assembly/forms.ts repeats their meaning.
 */
export const instructionForms = {
  oneByte: oneByteForms,
  vector: vectorForms,
  misc: miscForms,
  /** Of instructions that are only an opcode. */
  none: form.none,
};

/** As `u32At` of leb128.ts, without its checks: a number that is cut or too long is the engine's to refuse. */
function looseU32(bytes: Uint8Array, pos: number): number {
  let byte = bytes[pos++];
  if (byte < 0x80) return byte;
  let value = byte & 0x7f;
  let shift = 7;
  do {
    byte = bytes[pos++];
    value |= (byte & 0x7f) << shift;
    shift += 7;
  } while (byte & 0x80 && shift < 35);
  return value >>> 0;
}

/** Position after the LEB128 at `pos`, without checks. */
function skipLoose(bytes: Uint8Array, pos: number): number {
  while (bytes[pos++] & 0x80);
  return pos;
}

/** Position after a value type. `(ref ht)` and `(ref null ht)` take a heap type behind their byte. */
function skipValueType(bytes: Uint8Array, pos: number): number {
  const type = bytes[pos];
  return type === 0x63 || type === 0x64 ? skipLoose(bytes, pos + 1) : skipLoose(bytes, pos);
}

function skipMemarg(bytes: Uint8Array, pos: number): number {
  const flags = bytes[pos];
  pos = skipLoose(bytes, pos);
  if (flags & 0x40) pos = skipLoose(bytes, pos);
  return skipLoose(bytes, pos);
}

/**
 * Position after the instruction at `pos`. May lie past the end of the body when the body is cut: callers
 * compare where they arrive with where the body ends.
 * @throws DecodeError for an opcode that is not known
 */
export function instructionEnd(bytes: Uint8Array, pos: number): number {
  const start = pos;
  const opcode = bytes[pos++];
  let shape = oneByteForms[opcode];
  if (shape >= form.gc && shape <= form.atomic) {
    const forms =
      shape === form.misc
        ? miscForms
        : shape === form.vector
          ? vectorForms
          : shape === form.gc
            ? gcForms
            : atomicForms;
    const sub = looseU32(bytes, pos);
    pos = skipLoose(bytes, pos);
    shape = sub < forms.length ? forms[sub] : form.unknown;
  }
  switch (shape) {
    case form.none:
      return pos;
    case form.leb:
      while (bytes[pos++] & 0x80);
      return pos;
    case form.memarg:
      return skipMemarg(bytes, pos);
    case form.leb2:
      return skipLoose(bytes, skipLoose(bytes, pos));
    case form.block:
      return skipValueType(bytes, pos);
    case form.bytes4:
      return pos + 4;
    case form.bytes8:
      return pos + 8;
    case form.bytes16:
      return pos + 16;
    case form.byte:
      return pos + 1;
    case form.memargLane:
      return skipMemarg(bytes, pos) + 1;
    case form.castBranch:
      return skipLoose(bytes, skipLoose(bytes, skipLoose(bytes, pos + 1)));
    case form.brTable:
    case form.types:
    case form.tryTable:
      return vectorEnd(bytes, pos, shape);
    default:
      throw new DecodeError(`unknown opcode 0x${opcode.toString(16).padStart(2, "0")}`, start);
  }
}

/** Instructions that carry a vector; `pos` is behind the opcode. */
function vectorEnd(bytes: Uint8Array, pos: number, shape: Form): number {
  if (shape === form.tryTable) pos = skipValueType(bytes, pos);
  const count = looseU32(bytes, pos) + (shape === form.brTable ? 1 : 0);
  pos = skipLoose(bytes, pos);
  // every element takes at least a byte: an absurd count must not keep us here
  if (count > bytes.length - pos) throw new DecodeError(`vector of ${count} elements does not fit`, pos);
  for (let i = 0; i < count; i++) {
    if (shape === form.types) {
      pos = skipValueType(bytes, pos);
    } else if (shape === form.brTable) {
      pos = skipLoose(bytes, pos);
    } else {
      // catch and catch_ref name a tag, catch_all and catch_all_ref don't
      const clause = bytes[pos++];
      if (clause < 2) pos = skipLoose(bytes, pos);
      pos = skipLoose(bytes, pos);
    }
  }
  return pos;
}
