/**
 * The functions of a unit that hold given addresses, with those that were inlined into them. Entries have no
 * order by address and no links past their children, so a unit is walked once from front to back, for all
 * addresses together; what holds none of them is passed over by the size of its shape.
 */
import { DecodeError } from "../../errors.js";
import type { Cursor } from "./byte-source.js";
import { attribute, form, tag } from "./constants.js";
import { type FormValue, readForm } from "./forms.js";
import { lowerBound } from "./lines.js";
import { type Ranges, rangesOf } from "./ranges.js";
import { type Attributes, abbreviation, type DebugInfo, type Unit } from "./units.js";

/** A function, or a call that was inlined. */
export interface FunctionScope {
  /** As the linker knows it, mangled; without such a name as the source has it; "" when it has none. */
  name: string;
  /** Function that the call was inlined into; absent for a function of its own. */
  caller?: FunctionScope;
  /** Place of the inlined call; the file's number as the unit counts them. */
  call?: { file: number; line: number; column: number };
}

interface Entry extends FunctionScope {
  attributes: Attributes;
  caller?: Entry;
}

/**
 * The innermost function of each address.
 * @param addresses ascending
 */
export function findFunctions(
  debug: DebugInfo,
  unit: Unit,
  addresses: Float64Array,
): Map<number, FunctionScope> {
  const found = new Map<number, Entry>();
  try {
    walk(debug, unit, addresses, found);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    debug.notes.add(`.debug_info: ${error.message}`);
  }
  const named = new Set<Entry>();
  for (const innermost of found.values()) {
    for (let entry: Entry | undefined = innermost; entry && !named.has(entry); entry = entry.caller) {
      named.add(entry);
      entry.name = functionName(debug, unit, entry.attributes);
    }
  }
  return found;
}

function walk(debug: DebugInfo, unit: Unit, addresses: Float64Array, found: Map<number, Entry>): void {
  const cursor = debug.section("info").cursor(unit.first, unit.end);
  const shapes = debug.abbreviations(unit);
  /** For each open list of children the function that it belongs to, if that holds an address. */
  const open: (Entry | undefined)[] = [];
  do {
    debug.budget.spend(1, cursor.offset);
    const code = cursor.uleb();
    if (code === 0) {
      open.pop();
      continue;
    }
    const shape = abbreviation(shapes, code, cursor.offset);
    let scope = open[open.length - 1];
    const inlined = shape.tag === tag.inlinedSubroutine;
    if (shape.tag === tag.subprogram || (inlined && scope)) {
      const attributes = debug.attributes(cursor, shape, unit);
      const entry: Entry = { name: "", attributes };
      if (inlined) Object.assign(entry, { caller: scope, call: callPlace(attributes) });
      scope = hold(entry, ranges(debug, unit, attributes), addresses, found) ? entry : undefined;
    } else if (shape.size >= 0) {
      cursor.skip(shape.size);
    } else {
      skip(cursor, shape.attributes, unit);
    }
    if (shape.hasChildren) open.push(scope);
  } while (open.length > 0 && !cursor.atEnd());
}

/** A list of ranges that can't be read is that of one function. */
function ranges(debug: DebugInfo, unit: Unit, attributes: Attributes): Ranges {
  try {
    return rangesOf(debug, unit, attributes) ?? [];
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    debug.budget.spend(1, 0);
    debug.notes.add(`addresses of a function: ${error.message}`);
    return [];
  }
}

function skip(cursor: Cursor, attributes: readonly number[], unit: Unit): void {
  for (let i = 1; i < attributes.length; i += 3) readForm(cursor, attributes[i], unit, attributes[i + 1]);
}

function callPlace(attributes: Attributes): FunctionScope["call"] {
  const value = (name: number) => Math.max(0, attributes.get(name)?.value ?? 0);
  return {
    file: value(attribute.callFile),
    line: value(attribute.callLine),
    column: value(attribute.callColumn),
  };
}

/** Enters a function as the innermost one so far of the addresses that it has; whether there are any. */
function hold(entry: Entry, ranges: Ranges, addresses: Float64Array, found: Map<number, Entry>): boolean {
  let any = false;
  for (let r = 0; r < ranges.length; r += 2) {
    for (let i = lowerBound(addresses, ranges[r]); addresses[i] < ranges[r + 1]; i++) {
      // an inlined call counts only inside of the function that it was inlined into
      if (found.get(addresses[i]) !== entry.caller) continue;
      found.set(addresses[i], entry);
      any = true;
    }
  }
  return any;
}

/** So often a name is looked for in another entry. */
const longestOrigin = 8;

function functionName(debug: DebugInfo, unit: Unit, attributes: Attributes): string {
  let name: string | undefined;
  try {
    let [where, found] = [unit, attributes];
    for (let i = 0; i < longestOrigin; i++) {
      const linkage = found.get(attribute.linkageName) ?? found.get(attribute.mipsLinkageName);
      const linkageName = debug.text(where, linkage);
      if (linkageName) return linkageName;
      name ??= debug.text(where, found.get(attribute.name));
      const origin = found.get(attribute.abstractOrigin) ?? found.get(attribute.specification);
      const next = origin && referred(debug, where, origin);
      if (!next) break;
      where = next.unit;
      found = debug.entryAt(where, next.offset);
    }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    debug.notes.add(`the name of a function: ${error.message}`);
  }
  return name ?? "";
}

function referred(debug: DebugInfo, unit: Unit, { form: code, value }: FormValue) {
  switch (code) {
    case form.reference1:
    case form.reference2:
    case form.reference4:
    case form.reference8:
    case form.referenceUnsigned: {
      const offset = unit.offset + value;
      return offset >= unit.first && offset < unit.end ? { unit, offset } : undefined;
    }
    case form.referenceAddress: {
      const other = debug.unitAt(value);
      return other && { unit: other, offset: value };
    }
    default:
      return undefined;
  }
}
