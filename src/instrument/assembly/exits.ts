/** What a hook has to know of the body that it is put into: see ../exits.ts. */
import { FORMS, NONE } from "./forms";
import { bytes, end, free, reach, start } from "./memory";
import { afterLocals, looseU32, skip, skipInstruction } from "./skip";

const BLOCK: u32 = 0x02;
const LOOP: u32 = 0x03;
const IF: u32 = 0x04;
const TRY: u32 = 0x06;
const CATCH: u32 = 0x07;
const END: u32 = 0x0b;
const RETURN: u32 = 0x0f;
const RETURN_CALL: u32 = 0x12;
const RETURN_CALL_INDIRECT: u32 = 0x13;
const RETURN_CALL_REF: u32 = 0x15;
const DELEGATE: u32 = 0x18;
const CATCH_ALL: u32 = 0x19;
const TRY_TABLE: u32 = 0x1f;
const LOCAL_GET: u32 = 0x20;

/** Position, opcode, depth, whether what is thrown there is caught. */
const ROW_SIZE: usize = 16;

/** Address of the rows that were found. */
export let exitsAt: usize = 0;

/**
 * Finds the exits of a body, and what names a local; returns how many rows there are.
 * @param scratch where nothing lies, nor behind; 0 for what is free
 */
export function exits(body: u32, local: u32, scratch: usize): u32 {
  const limit = bytes + end(body);
  // for each block, whether it is a `try` whose handlers haven't begun
  const blocks = scratch ? scratch : free;
  let depth: usize = 0;
  let trying: u32 = 0;
  exitsAt = (blocks + (end(body) - start(body)) + 7) & ~7;
  let to = exitsAt;
  let room: usize = 0;
  let at = afterLocals(body);
  while (at < limit) {
    if (to >= room) {
      reach(to + 256 * ROW_SIZE);
      room = to + 255 * ROW_SIZE;
    }
    const opcode = <u32>load<u8>(at);
    if (opcode - LOCAL_GET < 3) {
      if (looseU32(at + 1) == local) {
        store<u32>(to, <u32>(at - bytes));
        store<u32>(to, opcode, 4);
        to += ROW_SIZE;
      }
      at = skip(at + 1);
      continue;
    }
    if (load<u8>(FORMS + opcode) == NONE && opcode > RETURN && opcode != CATCH_ALL) {
      at++;
      continue;
    }
    if ((opcode >= BLOCK && opcode <= IF) || opcode == TRY || opcode == TRY_TABLE) {
      const tries = opcode == TRY || opcode == TRY_TABLE;
      trying += u32(tries);
      store<u8>(blocks + depth++, u8(tries));
    } else if (opcode == CATCH || opcode == CATCH_ALL) {
      if (depth) {
        trying -= load<u8>(blocks + depth - 1);
        store<u8>(blocks + depth - 1, 0);
      }
    } else if (opcode == END || opcode == DELEGATE) {
      if (depth) trying -= load<u8>(blocks + --depth);
    } else if (
      opcode == RETURN ||
      opcode == RETURN_CALL ||
      opcode == RETURN_CALL_INDIRECT ||
      opcode == RETURN_CALL_REF
    ) {
      store<u32>(to, <u32>(at - bytes));
      store<u32>(to, opcode, 4);
      store<u32>(to, <u32>depth, 8);
      store<u32>(to, u32(trying > 0), 12);
      to += ROW_SIZE;
    }
    at = skipInstruction(at);
  }
  return <u32>((to - exitsAt) / ROW_SIZE);
}
