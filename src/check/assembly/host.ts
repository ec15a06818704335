/**
 * Something is wrong.
 * @param address first byte that the program should not have touched, or what it released; what an offset is added to may lie
 *   beyond 4 GiB
 * @param size bytes of the access
 * @param access one of `READ`, `WRITE`, `FREE`, `REALLOC`
 * @param place where in `PLACES` it is counted
 * @param block where its block is described, 0 when it has none
 */
@external("host", "found")
export declare function found(
  kind: u32,
  address: f64,
  size: u32,
  access: u32,
  place: usize,
  block: usize,
): void;

/** A block is freed in a context that was not seen lately. */
@external("host", "freedIn")
export declare function freedIn(context: u64): void;

/** Pages that the program's memory has now. */
@external("host", "pages")
export declare function pages(): u32;

/** The memory is full: so many bytes of freed blocks are held back from now on. */
@external("host", "pressed")
export declare function pressed(limit: u64): void;
