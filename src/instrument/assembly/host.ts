/** What the walker leaves to JavaScript: what is rare, and the wording of errors, which these throw. */

/** Position behind the instruction at `position`. */
@external("host", "instructionEnd")
export declare function instructionEnd(position: u32): u32;

/** The unsigned number at `position`, which takes more than a byte. */
@external("host", "longU32")
export declare function longU32(position: u32): u32;

/** Of the locals that the body between two positions declares: 0 where they end, 1 their groups, 2 their number. */
@external("host", "locals")
export declare function locals(start: u32, end: u32, what: u32): u32;
