/**
 * Source positions from DWARF, versions 2 to 5: for each address the function it lies in and those inlined
 * around it, each with file, line and column. Addresses count from the start of the code section's contents, as
 * DWARF in WebAssembly has them.
 *
 * Only what the wanted addresses need is read: the first entry of every unit, then the units and line programs
 * of those addresses. Nothing here trusts the bytes: what is damaged costs the positions that depend on it and
 * leaves a note, and the number of steps is bounded.
 */
import { DecodeError } from "../../errors.js";
import { limits } from "../limits.js";
import { addressRanges } from "./aranges.js";
import { type FunctionScope, findFunctions } from "./functions.js";
import { decodeLines, type Lines, lowerBound } from "./lines.js";
import { type Ranges, rangesOfUnit } from "./ranges.js";
import { DebugInfo, type DebugSections, type Unit } from "./units.js";

export { type ByteSource, memorySource, Section } from "./byte-source.js";

/** A place in the source, and the function it lies in. */
export interface SourcePosition {
  /** Mangled as the linker knows it; "" when unknown. */
  function: string;
  /** Path or URL; "" when unknown. */
  file: string;
  /** From 1; 0 when unknown, or for code that belongs to no line. */
  line: number;
  /** From 1; 0 when unknown. */
  column: number;
}

export interface DwarfPositions {
  /** By address, innermost first: functions that were inlined, then the one that they ended up in. */
  positions: Map<number, SourcePosition[]>;
  /** What could not be read, in words. */
  notes: string[];
}

/** Looks up addresses. Never throws for what is wrong with the sections. */
export function findPositions(sections: DebugSections, wanted: Iterable<number>): DwarfPositions {
  const debug = new DebugInfo(sections, limits.dwarfSteps);
  const positions = new Map<number, SourcePosition[]>();
  try {
    for (const [unit, addresses] of unitsOf(debug, Float64Array.from(new Set(wanted)).sort())) {
      lookUp(debug, unit, addresses, positions);
    }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    debug.notes.add(error.message);
  }
  return { positions, notes: [...debug.notes] };
}

function tolerate<T>(debug: DebugInfo, what: string, decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    debug.notes.add(`${what}: ${error.message}`);
    return undefined;
  }
}

/** Units with those of the addresses that they have; an address may be given to several that don't say. */
function unitsOf(debug: DebugInfo, addresses: Float64Array): Map<Unit, Float64Array> {
  const found = new Map<Unit, Float64Array>();
  const left = new Set(addresses);
  const silent: Unit[] = [];
  let listed: Map<number, Ranges> | undefined;
  for (const header of debug.headers) {
    const unit = debug.unit(header);
    if (!unit) continue;
    let ranges = tolerate(debug, "addresses of a unit", () => rangesOfUnit(debug, unit));
    if (!ranges) {
      listed ??= addressRanges(debug);
      ranges = listed.get(unit.offset);
    }
    if (!ranges) silent.push(unit);
    const own = inRanges(addresses, ranges ?? []).filter((address) => left.delete(address));
    if (own.length > 0) found.set(unit, own);
  }
  if (left.size > 0) {
    const rest = Float64Array.from(left).sort();
    for (const unit of silent) found.set(unit, rest);
  }
  return found;
}

function inRanges(addresses: Float64Array, ranges: Ranges): Float64Array {
  const own = new Set<number>();
  for (let r = 0; r < ranges.length; r += 2) {
    for (let i = lowerBound(addresses, ranges[r]); addresses[i] < ranges[r + 1]; i++) own.add(addresses[i]);
  }
  return Float64Array.from(own).sort();
}

function lookUp(
  debug: DebugInfo,
  unit: Unit,
  addresses: Float64Array,
  positions: Map<number, SourcePosition[]>,
): void {
  const functions = findFunctions(debug, unit, addresses);
  const { lines: offset } = unit.root;
  const lines =
    offset === undefined
      ? undefined
      : tolerate(debug, ".debug_line", () => decodeLines(debug, unit, offset, addresses));
  for (const address of addresses) {
    if (positions.has(address)) continue;
    const chain = chainOf(debug, address, functions.get(address), lines);
    if (chain.length > 0) positions.set(address, chain);
  }
}

/** The innermost place comes from the line table, each further one from the call that was inlined there. */
function chainOf(
  debug: DebugInfo,
  address: number,
  innermost: FunctionScope | undefined,
  lines: Lines | undefined,
): SourcePosition[] {
  const row = lines?.rows.get(address);
  if (!row && !innermost) return [];
  const chain: SourcePosition[] = [];
  let place: { file: number; line: number; column: number } | undefined = row;
  let scope = innermost;
  do {
    const at = place;
    const file = at && lines ? (tolerate(debug, "the name of a file", () => lines.path(at.file)) ?? "") : "";
    const line = file === "" ? 0 : Math.max(0, at?.line ?? 0);
    chain.push({ function: scope?.name ?? "", file, line, column: line > 0 ? (at?.column ?? 0) : 0 });
    place = scope?.call;
    scope = scope?.caller;
  } while (scope && chain.length <= limits.inlinedCalls);
  return chain;
}
