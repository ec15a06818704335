/** `.debug_aranges`: which unit has an address, for units that don't say so themselves. */
import { DecodeError } from "../../errors.js";
import type { Ranges } from "./ranges.js";
import { type DebugInfo, unitLength } from "./units.js";

/** Ranges by the offset of their unit; of a damaged section those before the damage. */
export function addressRanges(debug: DebugInfo): Map<number, Ranges> {
  const found = new Map<number, Ranges>();
  const section = debug.sections.get("aranges");
  try {
    for (let offset = 0; section && offset < section.size; ) {
      offset = section.decodeAt(offset, (cursor) => {
        const { length, offsetSize } = unitLength(cursor);
        const end = cursor.offset + length;
        cursor.u16(); // version
        const unit = cursor.unsigned(offsetSize);
        const addressSize = cursor.u8();
        cursor.u8(); // size of a segment
        // pairs lie at a multiple of their size
        const pair = 2 * addressSize;
        if (pair === 0) throw new DecodeError("addresses of 0 bytes", offset);
        cursor.skip((pair - ((cursor.offset - offset) % pair)) % pair);
        const ranges: Ranges = [];
        while (cursor.offset + pair <= end) {
          debug.budget.spend(1, cursor.offset);
          const begin = cursor.unsigned(addressSize);
          const size = cursor.unsigned(addressSize);
          if (begin > 0 && size > 0) ranges.push(begin, begin + size);
        }
        found.set(unit, ranges);
        return Math.max(end, offset + 4);
      });
    }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    debug.notes.add(`.debug_aranges: ${error.message}`);
  }
  return found;
}
