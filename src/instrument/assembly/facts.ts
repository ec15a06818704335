/**
 * What a body has in it: its constants, the addresses in its loads and stores, its calls and globals. The finder asks for
 * those of the functions whose type and size fit an allocator's (../allocators/body-facts.ts), a few hundred kilobytes
 * that a fresh process would read as bytecode, too.
 */
import { FORMS, LEB, MEMARG, NONE, SEEN } from "./forms";
import { bytes, end, free, reach } from "./memory";
import { afterLocals, looseU32, skip, skipInstruction, skipMemarg } from "./skip";

const CALL: u8 = 0x10;
const CALL_INDIRECT: u8 = 0x11;
const RETURN_CALL: u8 = 0x12;
const RETURN_CALL_INDIRECT: u8 = 0x13;
const GLOBAL_GET: u8 = 0x23;
const GLOBAL_SET: u8 = 0x24;
const I32_LOAD: u8 = 0x28;
const I32_STORE: u8 = 0x36;
const MEMORY_SIZE: u8 = 0x3f;
const I32_CONST: u8 = 0x41;
const I64_CONST: u8 = 0x42;
const I32_MUL: u8 = 0x6c;
const I64_MUL: u8 = 0x7e;
const MISC_PREFIX: u8 = 0xfc;
const ATOMIC_PREFIX: u8 = 0xfe;

/** Mirror of `lowestAddress` in ../allocators/body-facts.ts: smaller offsets are those of fields. */
const LOWEST_ADDRESS: u32 = 1024;

/** A fact: its value and its kind, both as f64. */
const FACT_SIZE: usize = 16;

// Kinds, as `factKind` in ../walker.ts.
const CONSTANT: f64 = 0;
const OFFSET: f64 = 1;
const CALLEE: f64 = 2;
const READ: f64 = 3;
const WRITTEN: f64 = 4;

// Flags, as `factFlag` there.
const MULTIPLIES: u32 = 1;
const READS_MEMORY: u32 = 2;
const CALLS_INDIRECTLY: u32 = 4;

/** Of the body that was looked at last. */
export let instructions: u32 = 0;
export let flags: u32 = 0;
/** Address of its facts. */
export let factsAt: usize = 0;

let to: usize = 0;

@inline
function put(kind: f64, value: f64): void {
  store<f64>(to, value);
  store<f64>(to, kind, 8);
  to += FACT_SIZE;
}

/** Value of a signed number of at most 64 bits. */
function signed(at: usize): i64 {
  let value: i64 = 0;
  let shift: i64 = 0;
  let byte: i64 = 0;
  do {
    byte = <i64>load<u8>(at++);
    value |= (byte & 0x7f) << shift;
    shift += 7;
  } while (byte & 0x80 && shift < 64);
  return shift < 64 && byte & 0x40 ? value | (<i64>-1 << shift) : value;
}

/** Collects the facts of a body, those of one kind in the order of the code; returns their number. */
export function facts(body: u32): u32 {
  const limit = bytes + end(body);
  factsAt = to = (free + 7) & ~7;
  memory.fill(SEEN, 0, 0x80);
  instructions = 0;
  flags = 0;
  let at = afterLocals(body);
  let room: usize = 0;
  while (at < limit) {
    if (to >= room) {
      reach(to + 1024 * FACT_SIZE);
      room = to + 1023 * FACT_SIZE;
    }
    instructions++;
    const opcode = load<u8>(at);
    if (opcode == I32_CONST || opcode == I64_CONST) {
      const byte = <u32>load<u8>(at, 1);
      // those of one byte come again and again
      if (byte >= 0x80) put(CONSTANT, <f64>signed(at + 1));
      else if (!load<u8>(SEEN + byte)) {
        store<u8>(SEEN + byte, 1);
        put(CONSTANT, <f64>(<i32>(byte << 25) >> 25));
      }
      at = skip(at + 1);
      continue;
    }
    const form = load<u8>(FORMS + opcode);
    if (form == NONE) {
      if (opcode == I32_MUL || opcode == I64_MUL) flags |= MULTIPLIES;
      at++;
      continue;
    }
    if (form == MEMARG) {
      if (opcode >= I32_LOAD && opcode < MEMORY_SIZE) {
        const offset = looseU32(at + (load<u8>(at, 1) & 0x40 ? 3 : 2));
        if (offset >= LOWEST_ADDRESS) put(OFFSET, <f64>offset);
        if (opcode < I32_STORE) flags |= READS_MEMORY;
      }
      at = skipMemarg(at + 1);
      continue;
    }
    if (opcode == CALL || opcode == RETURN_CALL) put(CALLEE, <f64>looseU32(at + 1));
    else if (opcode == GLOBAL_GET) put(READ, <f64>looseU32(at + 1));
    else if (opcode == GLOBAL_SET) put(WRITTEN, <f64>looseU32(at + 1));
    else if (opcode >= MISC_PREFIX && opcode <= ATOMIC_PREFIX) flags |= READS_MEMORY;
    else if (opcode == CALL_INDIRECT || opcode == RETURN_CALL_INDIRECT) flags |= CALLS_INDIRECTLY;
    at = form == LEB ? skip(at + 1) : skipInstruction(at);
  }
  return <u32>((to - factsAt) / FACT_SIZE);
}
