/**
 * Line number programs of versions 2 to 5. A program is run once for all addresses that are wanted from it, and
 * nothing of the table that it describes is kept.
 */
import { DecodeError } from "../../errors.js";
import type { Cursor } from "./byte-source.js";
import { extendedLineOp, form, lineContent, lineOp } from "./constants.js";
import { type Encoding, type FormValue, readForm } from "./forms.js";
import { type DebugInfo, type Unit, unitLength } from "./units.js";

/** A place in the source. */
export interface LineRow {
  /** Number of the file, as the unit counts them. */
  file: number;
  /** From 1; 0 for code that belongs to no line. */
  line: number;
  /** From 1; 0 when unknown. */
  column: number;
}

interface FileEntry {
  name: FormValue;
  folder: number;
}

interface Header extends Encoding {
  instructionLength: number;
  lineBase: number;
  lineRange: number;
  /** Number of operands of each standard operation, from operation 1 on. */
  operands: number[];
  folders: FormValue[];
  files: FileEntry[];
}

/** Files of a line table, and rows of those addresses that it has. */
export interface Lines {
  rows: Map<number, LineRow>;
  /** Path of a file, complete where the table and its unit say so; "" when there is no such file. */
  path(file: number): string;
}

/**
 * Runs the unit's line program.
 * @param addresses ascending
 * @throws DecodeError when the program can't be read at all; one that is damaged gives the rows before the damage
 */
export function decodeLines(debug: DebugInfo, unit: Unit, offset: number, addresses: Float64Array): Lines {
  const section = debug.section("line");
  const { length, offsetSize, start } = section.decodeAt(offset, (cursor) => ({
    ...unitLength(cursor),
    start: cursor.offset,
  }));
  const cursor = section.cursor(start, Math.min(section.size, start + length));
  const version = cursor.u16();
  if (version < 2 || version > 5) {
    throw new DecodeError(`line numbers of DWARF version ${version} are not known`, offset);
  }
  const header = decodeHeader(debug, cursor, { version, offsetSize, addressSize: unit.addressSize });
  const rows = new Map<number, LineRow>();
  try {
    runProgram(debug, cursor, header, addresses, rows);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    debug.notes.add(`.debug_line: ${error.message}`);
  }
  return { rows, path: (file) => filePath(debug, unit, header, file) };
}

function decodeHeader(
  debug: DebugInfo,
  cursor: Cursor,
  { version, offsetSize, addressSize }: Encoding,
): Header {
  if (version >= 5) {
    addressSize = cursor.u8();
    if (cursor.u8() !== 0) throw new DecodeError("line numbers with segments", cursor.offset);
  }
  const headerLength = cursor.unsigned(offsetSize);
  const program = cursor.pos + headerLength;
  const instructionLength = cursor.u8();
  if (version >= 4) cursor.u8(); // operations per instruction: only for machines with long instruction words
  cursor.u8(); // whether rows begin a statement
  const lineBase = cursor.s8();
  const lineRange = cursor.u8();
  const opcodeBase = cursor.u8();
  const operands = Array.from({ length: Math.max(0, opcodeBase - 1) }, () => cursor.u8());
  const encoding = { version, offsetSize, addressSize };
  const lists = version >= 5 ? newFiles(debug, cursor, encoding) : oldFiles(debug, cursor);
  if (program > cursor.end) throw new DecodeError("a line program is longer than its section", cursor.offset);
  cursor.pos = program;
  return { ...encoding, instructionLength, lineBase, lineRange, operands, ...lists };
}

/** Up to version 4. Folder 0 is the unit's own, files count from 1. */
function oldFiles(debug: DebugInfo, cursor: Cursor): Pick<Header, "folders" | "files"> {
  const folders: FormValue[] = [];
  const files: FileEntry[] = [];
  for (let name = lineText(cursor); name; name = lineText(cursor)) {
    debug.budget.spend(1, cursor.offset);
    folders.push(name);
  }
  for (let name = lineText(cursor); name; name = lineText(cursor)) {
    debug.budget.spend(1, cursor.offset);
    files.push(oldFile(cursor, name));
  }
  return { folders, files };
}

/** A text in the header; undefined for an empty one, which ends a list. */
function lineText(cursor: Cursor): FormValue | undefined {
  const first = cursor.offset;
  cursor.skipText();
  return cursor.offset - first > 1 ? { form: form.string, value: first } : undefined;
}

function oldFile(cursor: Cursor, name: FormValue): FileEntry {
  const folder = cursor.uleb();
  cursor.uleb(); // time
  cursor.uleb(); // size
  return { name, folder };
}

/** Version 5 describes what an entry has, and counts from 0. */
function newFiles(debug: DebugInfo, cursor: Cursor, encoding: Encoding): Pick<Header, "folders" | "files"> {
  const folders = newEntries(debug, cursor, encoding).map(({ name }) => name);
  return { folders, files: newEntries(debug, cursor, encoding) };
}

function newEntries(debug: DebugInfo, cursor: Cursor, encoding: Encoding): FileEntry[] {
  const formats = Array.from({ length: cursor.u8() }, () => [cursor.uleb(), cursor.uleb()]);
  const count = cursor.uleb();
  const entries: FileEntry[] = [];
  // an entry without contents takes no bytes: their number must not come from the file alone
  if (count > cursor.end - cursor.pos) throw new DecodeError("too many files of line numbers", cursor.offset);
  for (let i = 0; i < count; i++) {
    debug.budget.spend(1 + formats.length, cursor.offset);
    const entry: FileEntry = { name: { form: 0, value: 0 }, folder: 0 };
    for (const [content, code] of formats) {
      const value = readForm(cursor, code, encoding);
      if (content === lineContent.path) entry.name = value;
      else if (content === lineContent.folderIndex) entry.folder = value.value;
    }
    entries.push(entry);
  }
  return entries;
}

const isAbsolute = (path: string) => /^([/\\]|[A-Za-z]:[/\\]|\w+:\/\/)/.test(path);

function join(folder: string, path: string): string {
  return folder === "" || isAbsolute(path) ? path : `${folder.replace(/[/\\]$/, "")}/${path}`;
}

function filePath(debug: DebugInfo, unit: Unit, { version, files, folders }: Header, number: number): string {
  // a text in place lies in `.debug_line` here
  const text = (value: FormValue | undefined): string => {
    if (value?.form !== form.string) return debug.text(unit, value) ?? "";
    return debug.section("line").text(value.value);
  };
  const own = () => debug.text(unit, unit.root.folder) ?? "";
  const file = files[version >= 5 ? number : number - 1];
  if (!file) return "";
  const name = text(file.name);
  if (name === "" || isAbsolute(name)) return name;
  if (version < 5 && file.folder === 0) return join(own(), name);
  const folder = folders[version >= 5 ? file.folder : file.folder - 1];
  return join(folder ? join(own(), text(folder)) : own(), name);
}

function runProgram(
  debug: DebugInfo,
  cursor: Cursor,
  header: Header,
  addresses: Float64Array,
  rows: Map<number, LineRow>,
): void {
  const { instructionLength, lineBase, lineRange, operands } = header;
  const opcodeBase = operands.length + 1;
  const tombstone = 2 ** (8 * header.addressSize) - 2;
  const last = addresses[addresses.length - 1] ?? -1;
  let address = 0;
  let file = 1;
  let line = 1;
  let column = 0;
  /** The row before, whose code goes on up to the address of this one. */
  let previous: (LineRow & { address: number }) | undefined;
  // No code begins at address 0: it stands for functions that the linker dropped, as the largest addresses do.
  let dropped = true;

  const emit = (): void => {
    if (previous && previous.address < address && previous.address <= last) {
      for (let i = lowerBound(addresses, previous.address); addresses[i] < address; i++) {
        if (!rows.has(addresses[i])) rows.set(addresses[i], previous);
      }
    }
    previous = dropped ? undefined : { address, file, line, column };
  };
  const advance = (operations: number): void => {
    address += operations * instructionLength;
  };
  const special = (opcode: number): number => {
    if (lineRange === 0) throw new DecodeError("a line program without a range of lines", cursor.offset);
    return Math.floor((opcode - opcodeBase) / lineRange);
  };

  while (!cursor.atEnd()) {
    debug.budget.spend(1, cursor.offset);
    const opcode = cursor.u8();
    if (opcode >= opcodeBase) {
      advance(special(opcode));
      line += lineBase + ((opcode - opcodeBase) % lineRange);
      emit();
      continue;
    }
    switch (opcode) {
      case lineOp.extended: {
        const length = cursor.uleb();
        const next = cursor.pos + length;
        if (length === 0) break;
        const extended = cursor.u8();
        if (extended === extendedLineOp.endSequence) {
          emit();
          previous = undefined;
          dropped = true;
          [address, file, line, column] = [0, 1, 1, 0];
        } else if (extended === extendedLineOp.setAddress) {
          address = cursor.unsigned(length - 1);
          dropped = address === 0 || address >= tombstone;
          if (dropped) previous = undefined;
        } else if (extended === extendedLineOp.defineFile) {
          const name = lineText(cursor);
          if (name) header.files.push(oldFile(cursor, name));
        }
        if (next > cursor.end) throw new DecodeError("a line program ends early", cursor.offset);
        cursor.pos = next;
        break;
      }
      case lineOp.copy:
        emit();
        break;
      case lineOp.advancePc:
        advance(cursor.uleb());
        break;
      case lineOp.advanceLine:
        line += cursor.sleb();
        break;
      case lineOp.setFile:
        file = cursor.uleb();
        break;
      case lineOp.setColumn:
        column = cursor.uleb();
        break;
      case lineOp.constantAddPc:
        advance(special(255));
        break;
      case lineOp.fixedAdvancePc:
        address += cursor.u16();
        break;
      default:
        for (let n = operands[opcode - 1]; n > 0; n--) cursor.uleb();
    }
  }
}

/** Index of the first address that is not below `value`. */
export function lowerBound(addresses: Float64Array, value: number): number {
  let low = 0;
  let high = addresses.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (addresses[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
