// What heap/bits.ts is in JavaScript.
@inline
export function highestBit(word: u32): u32 {
  return 31 - clz(word);
}

@inline
export function lowestBit(word: u32): u32 {
  return ctz(word);
}

@inline
export function choose(condition: bool, yes: u32, no: u32): u32 {
  return select<u32>(yes, no, condition);
}
