/** The lengths of instructions, numbers and declarations of locals. */
import {
  BLOCK,
  BR_TABLE,
  BYTE,
  BYTES16,
  BYTES4,
  BYTES8,
  FORMS,
  LEB,
  LEB2,
  MEMARG,
  MEMARG_LANE,
  MISC,
  MISC_FORMS,
  MISC_SIZE,
  NONE,
  VECTOR,
  VECTOR_FORMS,
  VECTOR_SIZE,
} from "./forms";
import { instructionEnd, locals } from "./host";
import { bytes, end, free, start } from "./memory";

@inline
export function skip(at: usize): usize {
  while (load<u8>(at++) & 0x80);
  return at;
}

/** Two numbers; three when the first says that a memory index follows. */
@inline
export function skipMemarg(at: usize): usize {
  const flags = load<u8>(at);
  at = skip(at);
  if (flags & 0x40) at = skip(at);
  return skip(at);
}

@inline
export function skipBlockType(at: usize): usize {
  const type = load<u8>(at);
  return skip(type == 0x63 || type == 0x64 ? at + 1 : at);
}

/** Address behind an instruction that is more than its opcode and a number. */
export function skipInstruction(at: usize): usize {
  const from = at;
  let form = load<u8>(FORMS + load<u8>(at++));
  if (form == VECTOR || form == MISC) {
    const sub = looseU32(at);
    at = skip(at);
    if (form == VECTOR) form = sub < VECTOR_SIZE ? load<u8>(VECTOR_FORMS + sub) : 0xff;
    else form = sub < MISC_SIZE ? load<u8>(MISC_FORMS + sub) : 0xff;
  }
  switch (form) {
    case NONE:
      return at;
    case LEB:
      return skip(at);
    case MEMARG:
      return skipMemarg(at);
    case LEB2:
      return skip(skip(at));
    case BLOCK:
      return skipBlockType(at);
    case BYTE:
      return at + 1;
    case BYTES4:
      return at + 4;
    case BYTES8:
      return at + 8;
    case BYTES16:
      return at + 16;
    case MEMARG_LANE:
      return skipMemarg(at) + 1;
    case BR_TABLE: {
      const count = looseU32(at);
      at = skip(at);
      // an absurd count is an error that the host words
      if (count > 0xffffff) break;
      const limit = free;
      for (let label: u32 = 0; label <= count; label++) {
        if (at >= limit) break;
        at = skip(at);
      }
      return at;
    }
    default:
  }
  return bytes + instructionEnd(<u32>(from - bytes));
}

/** An unsigned number without a check of its length. */
@inline
export function looseU32(at: usize): u32 {
  const byte = <u32>load<u8>(at);
  return byte < 0x80 ? byte : longLooseU32(at);
}

export function longLooseU32(at: usize): u32 {
  let value: u32 = 0;
  for (let shift: u32 = 0; shift < 35; shift += 7) {
    const byte = <u32>load<u8>(at++);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return value;
}

/**
 * Where the instructions of a body begin. Numbers and types of more than a byte are for the host.
 */
export function afterLocals(body: u32): usize {
  let at = bytes + start(body);
  const groups = <u32>load<u8>(at++);
  for (let left = groups; left > 0; left--) {
    if (load<u8>(at) >= 0x80 || !isPlainType(load<u8>(at, 1))) return bytes + locals(start(body), end(body), 0);
    at += 2;
  }
  return groups < 0x80 && at <= bytes + end(body) ? at : bytes + locals(start(body), end(body), 0);
}

/** `i32`, `i64`, `f32`, `f64`, `v128` */
@inline
export function isPlainType(byte: u32): bool {
  return byte >= 0x7b && byte <= 0x7f;
}

/** Number of locals that a body declares, if some of that takes more than a byte; else 0: so many can't be declared. */
@inline
export function localsInLongForm(body: u32, code: usize): u32 {
  const from = bytes + start(body);
  const groups = <usize>load<u8>(from);
  const short = groups < 0x80 && from + 1 + 2 * groups == code;
  return short ? 0 : locals(start(body), end(body), 2);
}

/** Number of locals that a body declares. */
export function localCount(body: u32, code: usize): u32 {
  let at = bytes + start(body);
  const groups = <u32>load<u8>(at++);
  let count: u32 = 0;
  // as long as this, each group has two bytes
  if (groups >= 0x80 || at + 2 * groups != code) return locals(start(body), end(body), 2);
  for (; at < code; at += 2) count += load<u8>(at);
  return count;
}
