// What blocks say of themselves, for what looks at them from JavaScript: layout.ts has the picture.
import { HALF, isPair, SMALL, smallSizeOf, TINY, USED, wideSizeOf } from "./layout.js";
import type { HeapMemory } from "./words.js";

/** Views of the memory. */
export type Views = Pick<HeapMemory, "u16" | "u32">;

export function headerOf({ u16 }: Views, block: number): number {
  return u16[(block + HALF) >>> 1]!;
}

/** Size of a block, used or free. */
export function sizeOf(views: Views, block: number): number {
  const words = views.u32;
  const header = headerOf(views, block);
  if ((header & SMALL) !== 0) return smallSizeOf(header);
  if ((header & USED) !== 0) return isPair(block, header) ? TINY : wideSizeOf(words[(block >>> 2) + 2]!);
  return isTiny(words, block) ? TINY : words[(block >>> 2) + 3]!;
}

/** Whether a free block is one of 8 bytes. */
export function isTiny(words: Uint32Array, block: number): boolean {
  return (words[(block >>> 2) + 1]! & 1) !== 0;
}

/** Size of the free block that ends where a block begins. */
export function freeSizeBefore(words: Uint32Array, block: number): number {
  const word = words[(block >>> 2) - 1]!;
  return (word & 1) !== 0 ? TINY : word;
}
