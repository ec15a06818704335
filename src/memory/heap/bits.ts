// Bits of words of 32 bits, which are not 0. AssemblyScript has its own, see access.ts.
export function highestBit(word: number): number {
  return 31 - Math.clz32(word);
}

export function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}
