import { u32At } from "../../wasm/leb128.js";
import type { Module } from "../../wasm/module.js";

/** How many operands a block takes and how many results it gives, by the block type at a position; undefined when it has none. */
export function blockType(
  { bytes, types }: Module,
  position: number,
): { params: number; results: number } | undefined {
  const byte = bytes[position];
  if (byte === 0x40) return { params: 0, results: 0 };
  // a value type is a negative number, a type index is not
  if (byte < 0x80 && byte & 0x40) return { params: 0, results: 1 };
  const type = types[u32At(bytes, position)];
  return type?.kind === "func" ? { params: type.params.length, results: type.results.length } : undefined;
}
