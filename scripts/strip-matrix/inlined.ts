/**
 * Whether the compiler put copies of what allocates or releases into other functions, as DWARF tells: then no hook sees
 * all blocks come and go, and to hook nothing is right.
 */
import { memorySource } from "../../src/wasm/dwarf/byte-source.js";
import { openDebugFile } from "../../src/wasm/dwarf/debug-file.js";
import { findPositions } from "../../src/wasm/dwarf/index.js";
import { instructionEnd } from "../../src/wasm/instructions.js";
import type { Module } from "../../src/wasm/module.js";
import { countLocals } from "../../src/wasm/sections/code.js";
import { sectionId } from "../../src/wasm/types.js";
import { kindOfName, type Truth } from "./truth.js";

/** Functions with copies of what allocates or releases in them; none where there is no DWARF. */
export function functionsWithCopies(module: Module, truth: Truth): string[] {
  const { bytes, bodies, importedFunctionCount } = module;
  const { debug } = openDebugFile(memorySource(bytes));
  const code = module.section(sectionId.code);
  if (!debug.has("info") || !code) return [];
  const start = code.bytes.byteOffset - bytes.byteOffset;
  const owners = new Map<number, number>();
  for (let body = 0; body < bodies.count; body++) {
    const index = importedFunctionCount + body;
    if (truth.kinds.has(index)) continue;
    const end = bodies.end[body]!;
    for (
      let pos = countLocals(bytes, bodies.start[body]!, end).end;
      pos < end;
      pos = instructionEnd(bytes, pos)
    )
      owners.set(pos - start, index);
  }
  const found = new Set<number>();
  for (const [address, chain] of findPositions(debug, owners.keys()).positions) {
    const isCopy = chain
      .slice(0, -1)
      .some((place) => /^(?:malloc|free)$/.test(kindOfName(place.function) ?? ""));
    if (isCopy) found.add(owners.get(address)!);
  }
  return [...found].map((index) => truth.label(index));
}
