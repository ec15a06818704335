import { readFileSync } from "node:fs";
import { memorySource, Section, type SourcePosition } from "../../../src/wasm/dwarf/index.js";
import { decodeModule } from "../../../src/wasm/module.js";

const folder = new URL("../../fixtures/symbols/", import.meta.url);

export const fixture = (name: string): Uint8Array =>
  // a plain array: `slice` of a Buffer does not copy
  new Uint8Array(readFileSync(new URL(name, folder)));

/** `[address, frames]` as llvm-symbolizer gives them; a frame is `[function, file, line, column]`. */
export type Answer = [address: number, frames: [string, string, number, number][]];

export const answers: Record<string, Answer[]> = JSON.parse(
  readFileSync(new URL("expected.json", folder), "utf8"),
);

/** The debug sections of a module by the part of their name behind `.debug_`. */
export function debugSections(bytes: Uint8Array): Map<string, Section> {
  const source = memorySource(bytes);
  return new Map(
    decodeModule(bytes)
      .customs.filter(({ name }) => name!.startsWith(".debug_"))
      .map(({ name, offset, payloadStart, bytes: { length } }) => [
        name!.slice(".debug_".length),
        new Section(source, offset + payloadStart, length - payloadStart),
      ]),
  );
}

export const framesOf = (positions: readonly SourcePosition[] = []) =>
  positions.map(({ function: name, file, line, column }) => [name, file, line, column]);
