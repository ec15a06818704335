// Bits of words of 32 bits, which are not 0, and a choice between two. AssemblyScript has its own, see access.ts.
export function highestBit(word: number): number {
  return 31 - Math.clz32(word);
}

export function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}

/** Both are computed. In WebAssembly this is no branch. */
export function choose(condition: boolean, yes: number, no: number): number {
  return condition ? yes : no;
}
