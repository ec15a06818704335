/** The addresses of units and functions: one range, or a list in `.debug_ranges` or `.debug_rnglists`. */
import { DecodeError } from "../../errors.js";
import type { Cursor } from "./byte-source.js";
import { attribute, form, rangeEntry } from "./constants.js";
import type { FormValue } from "./forms.js";
import type { Attributes, DebugInfo, Unit } from "./units.js";

/** Begins and ends in turn; an end is the first address behind. */
export type Ranges = number[];

/** Ranges of an entry; undefined when it says nothing of addresses. */
export function rangesOf(debug: DebugInfo, unit: Unit, attributes: Attributes): Ranges | undefined {
  const list = attributes.get(attribute.ranges);
  if (list) return rangeList(debug, unit, list);
  return lowToHigh(debug, unit, attributes.get(attribute.lowPc), attributes.get(attribute.highPc));
}

/** Ranges of a unit; undefined when its first entry doesn't say. */
export function rangesOfUnit(debug: DebugInfo, unit: Unit): Ranges | undefined {
  const { ranges, lowPc, highPc } = unit.root;
  return ranges ? rangeList(debug, unit, ranges) : lowToHigh(debug, unit, lowPc, highPc);
}

function lowToHigh(debug: DebugInfo, unit: Unit, low?: FormValue, high?: FormValue): Ranges | undefined {
  if (!low || !high) return undefined;
  const begin = debug.address(unit, low);
  const addressed =
    high.form === form.address || (high.form >= form.addressIndex1 && high.form <= form.addressIndex4);
  const indexed = high.form === form.addressIndex || high.form === form.gnuAddressIndex;
  const end = addressed || indexed ? debug.address(unit, high) : begin + high.value;
  return live(unit, begin, end) ? [begin, end] : [];
}

/**
 * Whether a range is of code that is in the module. A linker that drops a function leaves its entry, with an
 * address of 0 or one of the two largest ones. No function begins at 0: their number is there.
 */
function live({ addressSize }: Unit, begin: number, end: number): boolean {
  return begin > 0 && begin < end && begin < 2 ** (8 * addressSize) - 2;
}

function rangeList(debug: DebugInfo, unit: Unit, { form: code, value }: FormValue): Ranges {
  if (unit.version < 5) {
    return debug.section("ranges").decodeAt(value, (cursor) => oldRanges(debug, unit, cursor));
  }
  const lists = debug.section("rnglists");
  let offset = value;
  if (code === form.rangeListIndex) {
    const at = unit.root.rangeListsBase + value * unit.offsetSize;
    offset = unit.root.rangeListsBase + lists.cursor(at, at + unit.offsetSize).unsigned(unit.offsetSize);
  }
  return lists.decodeAt(offset, (cursor) => newRanges(debug, unit, cursor));
}

function oldRanges(debug: DebugInfo, unit: Unit, cursor: Cursor): Ranges {
  const ranges: Ranges = [];
  const { addressSize } = unit;
  const largest = addressSize === 8 ? 2 ** 64 : 2 ** (8 * addressSize) - 1;
  let { base } = unit;
  for (;;) {
    debug.budget.spend(1, cursor.offset);
    const begin = cursor.unsigned(addressSize);
    const end = cursor.unsigned(addressSize);
    if (begin === 0 && end === 0) return ranges;
    if (begin === largest) base = end;
    else if (live(unit, base + begin, base + end) && begin < largest - 1)
      ranges.push(base + begin, base + end);
  }
}

function newRanges(debug: DebugInfo, unit: Unit, cursor: Cursor): Ranges {
  const ranges: Ranges = [];
  const { addressSize } = unit;
  let { base } = unit;
  const add = (begin: number, end: number) => {
    if (live(unit, begin, end)) ranges.push(begin, end);
  };
  for (;;) {
    debug.budget.spend(1, cursor.offset);
    const kind = cursor.u8();
    switch (kind) {
      case rangeEntry.endOfList:
        return ranges;
      case rangeEntry.baseAddressIndex:
        base = debug.addressAt(unit, cursor.uleb());
        break;
      case rangeEntry.startEndIndex: {
        const begin = debug.addressAt(unit, cursor.uleb());
        add(begin, debug.addressAt(unit, cursor.uleb()));
        break;
      }
      case rangeEntry.startLengthIndex: {
        const begin = debug.addressAt(unit, cursor.uleb());
        add(begin, begin + cursor.uleb());
        break;
      }
      case rangeEntry.offsetPair: {
        const begin = base + cursor.uleb();
        add(begin, base + cursor.uleb());
        break;
      }
      case rangeEntry.baseAddress:
        base = cursor.unsigned(addressSize);
        break;
      case rangeEntry.startEnd: {
        const begin = cursor.unsigned(addressSize);
        add(begin, cursor.unsigned(addressSize));
        break;
      }
      case rangeEntry.startLength: {
        const begin = cursor.unsigned(addressSize);
        add(begin, begin + cursor.uleb());
        break;
      }
      default:
        throw new DecodeError(`unknown entry ${kind} of a range list`, cursor.offset);
    }
  }
}
