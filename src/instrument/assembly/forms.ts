/**
 * Where the host puts its tables of instruction forms (src/wasm/instructions.ts), and the forms in them that the
 * walker knows; the host is asked about all others.
 *
 * ```
 *  0        0x100         0x300         0x500                 0x600            0x6c0   0x700            0x1000
 *  | opcode | prefix 0xfd | prefix 0xfc | interest of opcodes | bytes to insert | marks | constants seen | module, columns, output …
 * ```
 */
export const FORMS: usize = 0;
export const VECTOR_FORMS: usize = 0x100;
export const VECTOR_SIZE: u32 = 0x200;
export const MISC_FORMS: usize = 0x300;
export const MISC_SIZE: u32 = 0x200;
/** By opcode: 0 nothing, 1 a site, 2 the beginning of exception handling, 3 a constant. */
export const INTEREST: usize = 0x500;
/** What gets the context that a function was called in, where no parameter has it: length, then bytes. */
export const GET_CONTEXT: usize = 0x600;
/** What makes of it, on the stack, what contexts of calls begin with, up to the index of a local: length, then bytes. */
export const MAKE_BASE: usize = 0x620;
/** What sets the context to what is on the stack: length, then bytes. */
export const SET_CONTEXT: usize = 0x640;
/** What functions that look whether an entry runs do first, up to the parameters for theirs: length, then bytes. */
export const LOOK: usize = 0x660;
/** What makes the context again of what is in that local: length, then bytes. */
export const KEEP: usize = 0x680;
/** Constants that the walk notes, as i32. */
export const MARKS: usize = 0x6c0;
export const MARK_COUNT: u32 = 8;
/** By the byte that it takes: whether a constant was seen in this body. */
export const SEEN: usize = 0x700;
export const INPUT: usize = 0x1000;

export const NONE: u8 = 0;
export const LEB: u8 = 1;
export const MEMARG: u8 = 2;
export const LEB2: u8 = 3;
export const BLOCK: u8 = 4;
export const BYTES4: u8 = 5;
export const BYTES8: u8 = 6;
export const BYTES16: u8 = 7;
export const BR_TABLE: u8 = 8;
export const MISC: u8 = 12;
export const VECTOR: u8 = 13;
export const MEMARG_LANE: u8 = 15;
export const BYTE: u8 = 16;

// What is decided of a call: mirror of `contextKind` and `contextWay` in ../context-sites.ts.
export const CONTEXT_KIND: u8 = 3;
export const CHAINED: u8 = 1;
export const ROOT: u8 = 2;
export const KEPT: u8 = 3;
export const PASSED: u8 = 4;
export const SET: u8 = 8;
export const SET_AFTER: u8 = 16;
