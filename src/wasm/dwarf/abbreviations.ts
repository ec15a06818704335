/** Abbreviations: the shapes of the entries of a unit. */
import type { Budget, Section } from "./byte-source.js";
import { form } from "./constants.js";
import { type Encoding, formSize } from "./forms.js";

export interface Abbreviation {
  tag: number;
  hasChildren: boolean;
  /** Attribute, form and implicit value, three numbers for each attribute. */
  attributes: number[];
  /** Bytes of all its values together, -1 where that depends on them. */
  size: number;
}

export type Abbreviations = ReadonlyMap<number, Abbreviation>;

/** Making one takes as long as so many other steps. */
const stepsEach = 10;

/**
 * Decodes the table at `offset`, or of it only what comes up to the abbreviation `upTo`.
 * @throws DecodeError when it is damaged
 */
export function decodeAbbreviations(
  section: Section,
  offset: number,
  encoding: Encoding,
  budget: Budget,
  upTo = 0,
): Abbreviations {
  return section.decodeAt(offset, (cursor) => {
    const table = new Map<number, Abbreviation>();
    for (let code = cursor.uleb(); code !== 0; code = cursor.uleb()) {
      const tag = cursor.uleb();
      const hasChildren = cursor.u8() !== 0;
      const attributes: number[] = [];
      let size = 0;
      for (;;) {
        budget.spend(stepsEach, cursor.offset);
        const attribute = cursor.uleb();
        const code = cursor.uleb();
        const implicit = code === form.implicitConstant ? cursor.sleb() : 0;
        if (attribute === 0 && code === 0) break;
        attributes.push(attribute, code, implicit);
        const bytes = formSize(code, encoding);
        size = bytes < 0 || size < 0 ? -1 : size + bytes;
      }
      if (!table.has(code)) table.set(code, { tag, hasChildren, attributes, size });
      if (code === upTo) break;
    }
    return table;
  });
}
