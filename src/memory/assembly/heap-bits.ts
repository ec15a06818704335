// What heap/bits.ts is in JavaScript.
@inline
export function highestBit(word: u32): u32 {
  return 31 - clz(word);
}

@inline
export function lowestBit(word: u32): u32 {
  return ctz(word);
}
