/** Memory section: the limits of each defined memory, in pages. */
import { type Reader, Writer } from "../leb128.js";
import { limits } from "../limits.js";
import type { Limits } from "../types.js";
import { decodeLimits, encodeLimits } from "./value-types.js";

export function decodeMemories(reader: Reader): Limits[] {
  const memories: Limits[] = [];
  for (let count = reader.count(2, limits.memories, "memories"); count > 0; count--) {
    memories.push(decodeLimits(reader, "memory"));
  }
  reader.expectEnd("memory section");
  return memories;
}

export function encodeMemories(memories: readonly Limits[]): Uint8Array {
  const writer = new Writer();
  writer.u32(memories.length);
  for (const memory of memories) encodeLimits(writer, memory);
  return writer.finish();
}
