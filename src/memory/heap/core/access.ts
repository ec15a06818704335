/**
 * What the allocator does to its memory. The files of this folder, layout.ts and bits.ts are written once and compiled
 * twice, by scripts/build-wasm.mjs: to WebAssembly by AssemblyScript, where `assembly/heap-access.ts` has these methods, and
 * to one JavaScript class on words.ts (`scripts/heap-javascript.mjs`), which has reads and writes in their place. So
 * they know no other numbers than words of 32 bits without a sign: no sum that passes 2^32, and `>>> 0` after `&`, `|` and `~`.
 */
export declare class Access {
  /** Before anything else in a method that others call. */
  protected begin(): void;

  /** Word of the header. */
  protected word(index: number): number;
  protected setWord(index: number, value: number): void;

  /** A word of a table that begins at the header's word `table`. */
  protected wordAt(table: number, index: number): number;
  protected setWordAt(table: number, index: number, value: number): void;

  protected load(address: number, offset: number): number;
  protected store(address: number, value: number, offset: number): void;
  /** 16 bits at an even address. */
  protected loadHalf(address: number, offset: number): number;
  protected storeHalf(address: number, value: number, offset: number): void;
  protected loadByte(address: number, offset: number): number;
  protected storeByte(address: number, value: number, offset: number): void;

  /** Adds to the header's word at `index`, and to the one behind it. */
  protected add(index: number, first: number, second: number): void;
  protected subtract(index: number, first: number, second: number): void;

  protected copy(to: number, from: number, byteLength: number): void;
  protected clear(address: number, byteLength: number): void;
  /** Makes the heap's `end` at least so large; false when that can't be. */
  protected grow(end: number): boolean;
}
