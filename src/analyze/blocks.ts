import { type Blocks, decodeBlocks } from "../profile/blocks.js";
import type { MemoryState } from "../profile/state.js";

const decoded = new WeakMap<MemoryState["blocks"], Blocks & { lost: number }>();

/** Live blocks of a memory when they were last written, `lost` of which could not be read. They are decoded once. */
export function liveBlocksOf({ blocks }: MemoryState): Blocks & { lost: number } {
  let columns = decoded.get(blocks);
  if (!columns) decoded.set(blocks, (columns = decodeBlocks(blocks)));
  return columns;
}
