/**
 * A file with debug information for a module: the module itself, one with the same code that was not stripped, or
 * one that has nothing but custom sections. Only headers are read to open it.
 */
import { DecodeError } from "../../errors.js";
import { limits } from "../limits.js";
import { sectionId } from "../types.js";
import { type ByteSource, Cursor, Section } from "./byte-source.js";
import type { DebugSections } from "./units.js";

/** A range of a file, in bytes. */
export interface FileRange {
  start: number;
  end: number;
}

export interface DebugFile {
  source: ByteSource;
  /** Sections of DWARF, by the part of their name behind `.debug_`. */
  debug: DebugSections;
  /** Contents of the code section; absent from files that have only debug information. */
  code?: FileRange;
  /** Contents of the name section. */
  names?: FileRange;
  /** URL of a file with DWARF, as the module gives it. */
  external?: string;
  /** URL of a source map, as the module gives it. */
  sourceMap?: string;
}

const longestHeader = 16;
const longestName = 1 << 10;
/** Source maps may be in the URL itself. */
const longestUrl = 1 << 28;

/**
 * Opens a file; of a damaged one what comes before the damage.
 * @throws DecodeError when it is no WebAssembly file
 */
export function openDebugFile(source: ByteSource): DebugFile {
  const magic = source.read(0, Math.min(8, source.size));
  if (magic.length < 8 || magic[0] !== 0 || magic[1] !== 0x61 || magic[2] !== 0x73 || magic[3] !== 0x6d) {
    throw new DecodeError("magic header not detected", 0);
  }
  const debug = new Map<string, Section>();
  const file: DebugFile = { source, debug };
  try {
    for (let at = 8; at < source.size; ) at = takeSection(file, debug, at);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
  }
  return file;
}

function cursorAt({ source }: DebugFile, start: number, length: number): Cursor {
  return new Cursor(source.read(start, Math.min(source.size, start + length)), start);
}

/** Notes the section at an offset and returns the offset of the next. */
function takeSection(file: DebugFile, debug: Map<string, Section>, at: number): number {
  const header = cursorAt(file, at, longestHeader);
  const id = header.u8();
  const size = header.uleb();
  const start = header.offset;
  const end = start + size;
  if (end > file.source.size) throw new DecodeError("length out of bounds", at);
  if (id === sectionId.code) file.code = { start, end };
  if (id !== sectionId.custom) return end;
  const inner = cursorAt(file, start, Math.min(size, longestName));
  const length = inner.uleb();
  const first = inner.skip(length);
  const name = text(inner.bytes.subarray(first, inner.pos));
  const contents = { start: inner.offset, end };
  if (name.startsWith(".debug_")) {
    debug.set(name.slice(".debug_".length), new Section(file.source, contents.start, end - contents.start));
  } else if (name === "name") {
    file.names = contents;
  } else if (name === "external_debug_info") {
    file.external = url(file, contents);
  } else if (name === "sourceMappingURL") {
    file.sourceMap = url(file, contents);
  }
  return end;
}

const utf8 = new TextDecoder();
const text = (bytes: Uint8Array) => utf8.decode(bytes);

function url(file: DebugFile, { start, end }: FileRange): string | undefined {
  try {
    const cursor = cursorAt(file, start, Math.min(end - start, longestUrl));
    const length = cursor.uleb();
    const first = cursor.skip(length);
    return text(cursor.bytes.subarray(first, cursor.pos));
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

/** Bytes of the code section that are read at a time. */
const pieceOfCode = 1 << 16;

/**
 * The function bodies that have the code at these offsets of the file, by offset: in one walk over the sizes of all bodies.
 * Of a damaged section those before the damage.
 */
export function bodiesAt(file: DebugFile, offsets: readonly number[]): Map<number, FileRange> {
  const found = new Map<number, FileRange>();
  if (!file.code) return found;
  const { start, end } = file.code;
  const wanted = [...new Set(offsets)].filter((at) => at >= start && at < end).sort((a, b) => a - b);
  let piece = cursorAt(file, start, Math.min(end - start, pieceOfCode));
  const number = (at: number) => {
    const inside = at - piece.origin;
    if (inside < 0 || inside + longestHeader > piece.bytes.length)
      piece = cursorAt(file, at, Math.min(end - at, pieceOfCode));
    piece.pos = at - piece.origin;
    return piece.uleb();
  };
  try {
    let count = number(start);
    let at = piece.offset;
    for (let next = 0; next < wanted.length && count > 0 && at < end; count--) {
      const size = number(at);
      const body = { start: piece.offset, end: Math.min(end, piece.offset + size) };
      for (; next < wanted.length && wanted[next] < body.end; next++) {
        if (wanted[next] >= body.start) found.set(wanted[next], body);
      }
      at = body.end;
    }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
  }
  return found;
}

const functionNames = 1;

/** Names of functions by index; only those that are wanted. Never throws: of a damaged section what can be read. */
export function findFunctionNames(file: DebugFile, wanted: ReadonlySet<number>): Map<number, string> {
  const found = new Map<number, string>();
  if (!file.names || wanted.size === 0) return found;
  try {
    const { start, end } = file.names;
    const cursor = cursorAt(file, start, end - start);
    while (!cursor.atEnd()) {
      const id = cursor.u8();
      const size = cursor.uleb();
      const next = cursor.pos + size;
      if (id === functionNames) {
        for (let count = Math.min(cursor.uleb(), limits.names); count > 0; count--) {
          const index = cursor.uleb();
          const length = cursor.uleb();
          const first = cursor.skip(length);
          if (wanted.has(index)) found.set(index, text(cursor.bytes.subarray(first, cursor.pos)));
        }
      }
      cursor.pos = next;
      cursor.skip(0);
    }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
  }
  return found;
}
