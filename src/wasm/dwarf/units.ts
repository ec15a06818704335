/**
 * The units of `.debug_info`: their headers, and of each the first entry, which says where the rest is. Only
 * these are read to find out which unit has an address.
 */
import { DecodeError } from "../../errors.js";
import { type Abbreviation, type Abbreviations, decodeAbbreviations } from "./abbreviations.js";
import { Budget, type Cursor, type Section } from "./byte-source.js";
import { attribute, form, tag, unitType } from "./constants.js";
import { type Encoding, type FormValue, readForm } from "./forms.js";

/** The sections by the part of their name behind `.debug_`. */
export type DebugSections = ReadonlyMap<string, Section>;

export interface UnitHeader extends Encoding {
  /** Offset of the header in `.debug_info`. */
  offset: number;
  /** Offset of the first entry. */
  first: number;
  end: number;
  abbreviations: number;
}

/** What the first entry of a unit says. */
export interface UnitRoot {
  folder: FormValue | undefined;
  name: FormValue | undefined;
  /** Offset in `.debug_line`. */
  lines: number | undefined;
  lowPc: FormValue | undefined;
  highPc: FormValue | undefined;
  ranges: FormValue | undefined;
  stringOffsetsBase: number;
  addressBase: number;
  rangeListsBase: number;
  /** What the unit is about lies in another file (split DWARF). */
  split: boolean;
}

export interface Unit extends UnitHeader {
  root: UnitRoot;
  /** Address that offsets in range lists count from. */
  base: number;
}

/** Attributes of an entry that are wanted, by number. */
export type Attributes = Map<number, FormValue>;

/** Longest name, in bytes, that is worth reading. */
const longestUnitEntry = 1024;

export class DebugInfo {
  readonly sections: DebugSections;
  readonly budget: Budget;
  /** What could not be read. */
  readonly notes = new Set<string>();
  readonly #tables = new Map<string, Abbreviations>();
  readonly #units = new Map<UnitHeader, Unit | undefined>();
  #headers: UnitHeader[] | undefined;

  /** @param steps how many steps decoding may take in all */
  constructor(sections: DebugSections, steps: number) {
    this.sections = sections;
    this.budget = new Budget(steps);
  }

  /** @throws DecodeError when the section is missing */
  section(name: string): Section {
    const section = this.sections.get(name);
    if (!section) throw new DecodeError(`there is no section .debug_${name}`, 0);
    return section;
  }

  /** Headers of the units that describe code, ascending; of a damaged section those before the damage. */
  get headers(): readonly UnitHeader[] {
    if (this.#headers) return this.#headers;
    this.#headers = [];
    const info = this.sections.get("info");
    const unknown = new Set<number>();
    for (let offset = 0; info && offset < info.size; ) {
      try {
        this.budget.spend(1, offset);
        const header = unitHeader(info, offset);
        if (typeof header.unit === "object") this.#headers.push(header.unit);
        else if (header.unit !== "other") unknown.add(header.unit);
        offset = header.end;
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
        this.notes.add(`.debug_info: ${error.message}`);
        break;
      }
    }
    for (const version of unknown) this.notes.add(`DWARF version ${version} is not known`);
    return this.#headers;
  }

  /** The unit whose entries include the one at `offset` of `.debug_info`. */
  unitAt(offset: number): Unit | undefined {
    const { headers } = this;
    let low = 0;
    let high = headers.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (headers[middle].offset <= offset) low = middle + 1;
      else high = middle;
    }
    const header = headers[low - 1];
    return header && header.first <= offset && offset < header.end ? this.unit(header) : undefined;
  }

  /** A unit with its first entry; undefined when that is damaged. */
  unit(header: UnitHeader): Unit | undefined {
    if (this.#units.has(header)) return this.#units.get(header);
    let unit: Unit | undefined;
    try {
      unit = this.#readUnit(header);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.notes.add(`a unit of .debug_info: ${error.message}`);
    }
    this.#units.set(header, unit);
    return unit;
  }

  /** Shapes of the unit's entries. */
  abbreviations(unit: UnitHeader): Abbreviations {
    const key = `${unit.abbreviations} ${unit.addressSize} ${unit.offsetSize} ${unit.version <= 2}`;
    let table = this.#tables.get(key);
    if (!table) {
      table = decodeAbbreviations(this.section("abbrev"), unit.abbreviations, unit, this.budget);
      this.#tables.set(key, table);
    }
    return table;
  }

  /** Reads the attributes of an entry, whose abbreviation code has been read. */
  attributes(cursor: Cursor, { attributes }: Abbreviation, unit: Encoding): Attributes {
    const found: Attributes = new Map();
    this.budget.spend(1 + attributes.length / 3, cursor.offset);
    for (let i = 0; i < attributes.length; i += 3) {
      found.set(attributes[i], readForm(cursor, attributes[i + 1], unit, attributes[i + 2]));
    }
    return found;
  }

  /** The attributes of the entry at `offset` of `.debug_info`; none for the end of a list of entries. */
  entryAt(unit: UnitHeader, offset: number): Attributes {
    const info = this.section("info");
    const table = this.abbreviations(unit);
    return info.decodeAt(offset, (cursor) => {
      const code = cursor.uleb();
      return code === 0 ? new Map() : this.attributes(cursor, abbreviation(table, code, offset), unit);
    });
  }

  #readUnit(header: UnitHeader): Unit | undefined {
    const info = this.section("info");
    // a unit's own entry is short; reading all of the unit for it would mean reading all of the section
    const end = Math.min(header.end, header.first + longestUnitEntry);
    const read = (cursor: Cursor): { tag: number; found: Attributes } => {
      const code = cursor.uleb();
      // most units are not looked into any further: their whole table is not needed
      const table = decodeAbbreviations(
        this.section("abbrev"),
        header.abbreviations,
        header,
        this.budget,
        code,
      );
      const shape = abbreviation(table, code, header.first);
      return { tag: shape.tag, found: this.attributes(cursor, shape, header) };
    };
    const entry = end < header.end ? info.decodeAt(header.first, read) : read(info.cursor(header.first, end));
    const { found } = entry;
    if (![tag.compileUnit, tag.partialUnit, tag.skeletonUnit].includes(entry.tag as 0x11)) return undefined;
    // version 5 says where the unit's part of a table begins; without it the first part, behind its header
    const firstPart = header.version >= 5 ? (header.offsetSize === 8 ? 16 : 8) : 0;
    const base = (name: number, otherwise: number) => found.get(name)?.value ?? otherwise;
    const root: UnitRoot = {
      folder: found.get(attribute.compilationFolder),
      name: found.get(attribute.name),
      lines: found.get(attribute.statementList)?.value,
      lowPc: found.get(attribute.lowPc),
      highPc: found.get(attribute.highPc),
      ranges: found.get(attribute.ranges),
      stringOffsetsBase: base(attribute.stringOffsetsBase, firstPart),
      addressBase: base(attribute.addressBase, firstPart),
      rangeListsBase: base(attribute.rangeListsBase, firstPart === 0 ? 0 : firstPart + 4),
      split: found.has(attribute.dwoName) || found.has(attribute.gnuDwoName),
    };
    if (root.split) this.notes.add("function names lie in .dwo files, which are not read");
    const unit: Unit = { ...header, root, base: 0 };
    if (root.lowPc) unit.base = this.address(unit, root.lowPc);
    return unit;
  }

  /** An address, in place or by its number in `.debug_addr`. */
  address(unit: Unit, { form: code, value }: FormValue): number {
    switch (code) {
      case form.addressIndex:
      case form.addressIndex1:
      case form.addressIndex2:
      case form.addressIndex3:
      case form.addressIndex4:
      case form.gnuAddressIndex:
        return this.addressAt(unit, value);
      default:
        return value;
    }
  }

  addressAt(unit: Unit, index: number): number {
    const at = unit.root.addressBase + index * unit.addressSize;
    return this.section("addr")
      .cursor(at, at + unit.addressSize)
      .unsigned(unit.addressSize);
  }

  /** A text, in place or in one of the sections of texts; undefined for one that is missing. */
  text(unit: Unit, value: FormValue | undefined): string | undefined {
    if (!value) return undefined;
    try {
      return this.#text(unit, value);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.notes.add(`a name: ${error.message}`);
      return undefined;
    }
  }

  #text(unit: Unit, { form: code, value }: FormValue): string | undefined {
    switch (code) {
      case form.string:
        return this.section("info").text(value);
      case form.stringOffset:
        return this.section("str").text(value);
      case form.lineStringOffset:
        return this.section("line_str").text(value);
      case form.stringIndex:
      case form.stringIndex1:
      case form.stringIndex2:
      case form.stringIndex3:
      case form.stringIndex4:
      case form.gnuStringIndex: {
        const at = unit.root.stringOffsetsBase + value * unit.offsetSize;
        const offset = this.section("str_offsets")
          .cursor(at, at + unit.offsetSize)
          .unsigned(unit.offsetSize);
        return this.section("str").text(offset);
      }
      default:
        return undefined;
    }
  }
}

/** @throws DecodeError for a code that the unit's abbreviations don't have */
export function abbreviation(table: Abbreviations, code: number, offset: number): Abbreviation {
  const found = table.get(code);
  if (!found) throw new DecodeError(`unknown abbreviation ${code}`, offset);
  return found;
}

const longestHeader = 48;

/** The header at `offset`, the version of one that is not known, or `other` for a unit without code. */
function unitHeader(info: Section, offset: number): { unit: UnitHeader | number | "other"; end: number } {
  const cursor = info.cursor(offset, Math.min(offset + longestHeader, info.size));
  const { length, offsetSize } = unitLength(cursor);
  const end = cursor.offset + length;
  if (end > info.size) throw new DecodeError("a unit is longer than its section", offset);
  if (length < 2) return { unit: "other", end };
  const version = cursor.u16();
  if (version < 2 || version > 5) return { unit: version, end };
  let addressSize: number;
  let abbreviations: number;
  if (version >= 5) {
    const kind = cursor.u8();
    addressSize = cursor.u8();
    abbreviations = cursor.unsigned(offsetSize);
    if (kind === unitType.skeleton || kind === unitType.splitCompile) cursor.skip(8);
    else if (kind !== unitType.compile && kind !== unitType.partial) return { unit: "other", end };
  } else {
    abbreviations = cursor.unsigned(offsetSize);
    addressSize = cursor.u8();
  }
  if (![1, 2, 4, 8].includes(addressSize)) {
    throw new DecodeError(`addresses of ${addressSize} bytes`, offset);
  }
  return {
    unit: { offset, first: cursor.offset, end, version, addressSize, offsetSize, abbreviations },
    end,
  };
}

/** Length of what follows, and the size of offsets that goes with it. */
export function unitLength(cursor: Cursor): { length: number; offsetSize: number } {
  const length = cursor.u32();
  if (length < 0xfffffff0) return { length, offsetSize: 4 };
  if (length !== 0xffffffff) throw new DecodeError("a unit of reserved length", cursor.offset);
  return { length: cursor.u64(), offsetSize: 8 };
}
