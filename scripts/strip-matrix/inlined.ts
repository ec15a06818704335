/**
 * Whether a compiler put copies of what allocates or releases into other functions, as DWARF tells of the compiler and
 * names that are gone tell of wasm-opt: then no hook sees all blocks come and go, and to hook nothing is right.
 */
import { memorySource } from "../../src/wasm/dwarf/byte-source.js";
import { openDebugFile } from "../../src/wasm/dwarf/debug-file.js";
import { findPositions } from "../../src/wasm/dwarf/index.js";
import { instructionEnd } from "../../src/wasm/instructions.js";
import type { Module } from "../../src/wasm/module.js";
import { countLocals } from "../../src/wasm/sections/code.js";
import { sectionId } from "../../src/wasm/types.js";
import { changesMemory, type Kind, kindOfName, mimallocs, type Truth } from "./truth.js";

/** `<Global as Allocator>::deallocate`, `std::alloc::alloc` and their like: they pass on to `__rust_dealloc`, `__rust_alloc`. */
const wrappers = /6Global|^_(?:RNvNtC\w+_|ZN)5alloc5alloc\d/;

/**
 * Functions with copies of what allocates or releases in them; none where there is no DWARF. A copy of a function that
 * only calls another one, after a look at its arguments, is none: what it calls sees all blocks.
 */
export function functionsWithCopies(module: Module, truth: Truth): string[] {
  const { bytes, bodies, importedFunctionCount } = module;
  const { debug } = openDebugFile(memorySource(bytes));
  const code = module.section(sectionId.code);
  if (!debug.has("info") || !code) return [];
  const start = code.bytes.byteOffset - bytes.byteOffset;
  const owners = new Map<number, number>();
  for (let body = 0; body < bodies.count; body++) {
    const index = importedFunctionCount + body;
    if (truth.kinds.has(index) || !truth.alive.has(index) || mimallocs.test(truth.label(index))) continue;
    const end = bodies.end[body]!;
    for (
      let pos = countLocals(bytes, bodies.start[body]!, end).end;
      pos < end;
      pos = instructionEnd(bytes, pos)
    )
      if (changesMemory(bytes[pos]!)) owners.set(pos - start, index);
  }
  const found = new Set<number>();
  const isLow = (name: string) => !wrappers.test(name) && /^(?:malloc|free)$/.test(kindOfName(name) ?? "");
  for (const [address, chain] of findPositions(debug, owners.keys()).positions) {
    if (chain.slice(0, -1).some((place) => isLow(place.function))) found.add(owners.get(address)!);
  }
  return [...found].map((index) => truth.label(index));
}

/** Whether it only passes on, or is made of others of its kind, which see all of its blocks. */
function isMadeOfOthers(truth: Truth, index: number, kind: Kind): boolean {
  const others = [...truth.kinds].filter(([other, is]) => is === kind && other !== index);
  return (
    !truth.changesMemory(index) || truth.graph.reaches(index, new Set(others.map(([other]) => other)), 2)
  );
}

/**
 * Functions that allocate or release and were called by others, of which an optimiser left neither name nor call: it put
 * them into those. What only passes its arguments on is left out, as above.
 */
export function inlinedLater(before: Truth, after: Truth): string[] {
  const left = new Set([...after.kinds.keys()].map((index) => after.label(index)));
  return [...before.kinds].flatMap(([index, kind]) => {
    if (kind !== "malloc" && kind !== "free") return [];
    if (left.has(before.label(index)) || wrappers.test(before.label(index))) return [];
    const isUsed = before.graph.callers(index).some((caller) => !before.kinds.has(caller));
    return isUsed && !isMadeOfOthers(before, index, kind) ? [before.label(index)] : [];
  });
}

/**
 * Functions into which an optimiser put all there was of one that aligns, clears or resizes, or that only passed on, by
 * their names: they are now what that was.
 */
export function takenOver(before: Truth, after: Truth): Map<string, Kind> {
  const left = new Set([...after.kinds.keys()].map((index) => after.label(index)));
  const taken = new Map<string, Kind>();
  for (const [index, kind] of before.kinds) {
    const isCore = kind === "malloc" || kind === "free";
    if (left.has(before.label(index)) || (isCore && !isMadeOfOthers(before, index, kind))) continue;
    for (const caller of before.graph.callers(index)) taken.set(before.label(caller), kind);
  }
  return taken;
}
