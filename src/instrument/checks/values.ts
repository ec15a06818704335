/** Values of locals and operands, as a walk over a body knows them: a base, and a constant beyond it. */

/** Base of constants, and of what is on Go's stack. */
export const constant = 0;
const goStack = -1;
/** Bytes that a frame of Go's may have: its functions look whether there is room before they take more. */
const mostFrame = 65536;

/** Of a number of 64 bits, which Go's code has addresses in, the lowest 32: additions need no others. */
export interface Value {
  base: number;
  offset: number;
}

export const onGoStack: Value = { base: goStack, offset: 0 };

export function isOnGoStack({ base, offset }: Value): boolean {
  return base === goStack && Math.abs(offset) < mostFrame;
}

/** The lowest 32 bits of a constant, with a sign. */
export function low32(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    if (shift < 32) value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return shift < 25 && byte & 0x40 ? value | (-1 << (shift + 7)) : value;
  }
}

/**
 * What locals were before both of two blocks, of which one is in the other. One of the maps becomes the result, the larger
 * one: Go's functions are thousands of blocks deep.
 */
export function earlierOf(outer: Map<number, Value>, inner: Map<number, Value>): Map<number, Value> {
  if (outer.size >= inner.size) {
    for (const [local, before] of inner) if (!outer.has(local)) outer.set(local, before);
    return outer;
  }
  for (const [local, before] of outer) inner.set(local, before);
  return inner;
}
