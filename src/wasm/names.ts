/**
 * The name section. It is for people and engines ignore what is wrong in it, so a damaged one must not stop
 * anything: decoding keeps what was read before the damage, and goes on with the next subsection.
 *
 * `renumberNames` rewrites indices straight in the bytes: debug builds carry tens of megabytes of names, and
 * making strings of them only to encode them again would take longer than instrumenting the code.
 */
import { DecodeError } from "../errors.js";
import { Reader, skipLeb, u32At, Writer } from "./leb128.js";
import { limits } from "./limits.js";
import type { IndirectNameMap, NameMap, Names } from "./types.js";

const nameId = {
  module: 0,
  functions: 1,
  locals: 2,
  labels: 3,
  types: 4,
  tables: 5,
  memories: 6,
  globals: 7,
  elements: 8,
  data: 9,
  fields: 10,
  tags: 11,
} as const;

type Kind = keyof typeof nameId;
const kinds = Object.keys(nameId) as Kind[];

/** Subsections of names by two indices. */
const indirect: ReadonlySet<Kind> = new Set<Kind>(["locals", "labels", "fields"]);

/**
 * The names in a section, each kind decoded when it is first asked for: debug builds have tens of megabytes of
 * them, most for locals, which nobody here asks for.
 */
export function lazyNames({ bytes, pos, end }: Reader): Names {
  const names: Names = {};
  for (const kind of kinds) {
    Object.defineProperty(names, kind, {
      configurable: true,
      enumerable: true,
      get() {
        const decoded = decodeNames(new Reader(bytes, pos, end), kind);
        const value = decoded[kind];
        Object.defineProperty(names, kind, { value });
        if (decoded.damaged) names.damaged = true;
        return value;
      },
    });
  }
  return names;
}

/** Never throws; of a damaged section what can be read. `only` leaves out all other kinds. */
export function decodeNames(reader: Reader, only?: Kind): Names {
  const names: Names = {};
  const whole = tolerate(() => {
    while (!reader.atEnd()) {
      const kind = kinds[reader.byte()];
      const said = reader.u32();
      const size = Math.min(said, reader.remaining);
      const start = reader.skip(size);
      let complete = size === said;
      if (kind !== undefined && (only === undefined || kind === only)) {
        const part = new Reader(reader.bytes, start, start + size);
        complete = tolerate(() => decodeSubsection(names, kind, part)) && complete;
      }
      if (!complete) names.damaged = true;
    }
  });
  if (!whole) names.damaged = true;
  return names;
}

/** Whether it could be decoded. */
function tolerate(decode: () => void): boolean {
  try {
    decode();
    return true;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return false;
  }
}

function decodeSubsection(names: Names, kind: Kind, reader: Reader): void {
  if (kind === "module") {
    names.module = reader.displayName();
  } else if (kind === "locals" || kind === "labels" || kind === "fields") {
    const map: IndirectNameMap = (names[kind] ??= new Map());
    for (let count = reader.count(2, limits.names, "names"); count > 0; count--) {
      const inner: NameMap = new Map();
      map.set(reader.u32(), inner);
      decodeNameMap(inner, reader);
    }
  } else {
    decodeNameMap((names[kind] ??= new Map()), reader);
  }
}

function decodeNameMap(map: NameMap, reader: Reader): void {
  for (let count = reader.count(2, limits.names, "names"); count > 0; count--) {
    map.set(reader.u32(), reader.displayName());
  }
}

/** The section's payload behind its name. Indices are written in the order of the maps. */
export function encodeNames(names: Names): Uint8Array {
  const writer = new Writer();
  for (const kind of kinds) {
    if (names[kind] === undefined) continue;
    const inner = new Writer();
    if (kind === "module") {
      inner.name(names.module ?? "");
    } else if (kind === "locals" || kind === "labels" || kind === "fields") {
      const map = names[kind] ?? new Map();
      inner.u32(map.size);
      for (const [index, nested] of map) {
        inner.u32(index);
        encodeNameMap(inner, nested);
      }
    } else {
      encodeNameMap(inner, names[kind] ?? new Map());
    }
    writer.byte(nameId[kind]);
    writer.u32(inner.length);
    writer.bytes(inner.finish());
  }
  return writer.finish();
}

function encodeNameMap(writer: Writer, map: NameMap): void {
  writer.u32(map.size);
  for (const [index, name] of map) {
    writer.u32(index);
    writer.name(name);
  }
}

/** How a pass moved the items of a module; kinds that are left out stay where they were. */
export interface Renumbering {
  functions?: (index: number) => number;
  types?: (index: number) => number;
  tables?: (index: number) => number;
  memories?: (index: number) => number;
  globals?: (index: number) => number;
  tags?: (index: number) => number;
  /** By function, as it was numbered: a local that became the last one, behind all that have a name. */
  lastLocal?: (index: number) => { from: number; to: number } | undefined;
}

/** Whose index comes first in each subsection. */
const indexedBy: Partial<Record<Kind, Exclude<keyof Renumbering, "lastLocal">>> = {
  functions: "functions",
  locals: "functions",
  labels: "functions",
  types: "types",
  fields: "types",
  tables: "tables",
  memories: "memories",
  globals: "globals",
  tags: "tags",
};

/**
 * The name section's payload with new indices, and `added` function names at the end. Renumbering keeps the
 * order when `(index) => number` grows with its argument, and added functions come last; that is how engines
 * want it. A damaged subsection stays as it is.
 */
export function renumberNames(reader: Reader, moved: Renumbering, added: NameMap = new Map()): Uint8Array {
  const { bytes } = reader;
  const writer = new Writer(reader.remaining + 1024);
  let functionsSeen = false;
  const addFunctions = () => {
    if (functionsSeen || added.size === 0) return;
    functionsSeen = true;
    const inner = new Writer();
    encodeNameMap(inner, added);
    writer.byte(nameId.functions);
    writer.u32(inner.length);
    writer.bytes(inner.finish());
  };
  while (!reader.atEnd()) {
    const first = reader.pos;
    const kind = kinds[bytes[first]];
    // A size that leads out of the section, or none at all: nothing behind it can be found.
    const size = subsectionSize(bytes, first + 1, reader.end);
    if (size === undefined) break;
    const start = size.start;
    const end = start + size.value;
    if (bytes[first] > nameId.functions) addFunctions();
    const names = kind === "functions" && !functionsSeen ? added : new Map();
    if (kind === "functions") functionsSeen = true;
    const move = (kind && indexedBy[kind] && moved[indexedBy[kind]]) || undefined;
    const lastLocal = kind === "locals" ? moved.lastLocal : undefined;
    const changed =
      move || names.size > 0
        ? renumberMap({ bytes, start, end, kind }, { move, lastLocal, added: names })
        : undefined;
    if (changed) {
      writer.byte(bytes[first]);
      writer.u32(changed.length);
      writer.bytes(changed);
    } else {
      writer.copy(bytes, first, end);
    }
    reader.pos = end;
  }
  addFunctions();
  writer.copy(bytes, reader.pos, reader.end);
  return writer.finish();
}

function subsectionSize(bytes: Uint8Array, pos: number, sectionEnd: number) {
  const reader = new Reader(bytes, pos, sectionEnd);
  let size: { value: number; start: number } | undefined;
  tolerate(() => {
    const value = reader.u32();
    if (value <= reader.remaining) size = { value, start: reader.pos };
  });
  return size;
}

/** A subsection with its first indices moved, or undefined when it is damaged. */
function renumberMap(
  { bytes, start, end, kind }: { bytes: Uint8Array; start: number; end: number; kind: Kind },
  {
    move,
    lastLocal,
    added,
  }: Pick<Renumbering, "lastLocal"> & { move: ((index: number) => number) | undefined; added: NameMap },
): Uint8Array | undefined {
  const writer = new Writer(end - start + 64);
  let complete = false;
  tolerate(() => {
    const count = u32At(bytes, start);
    let pos = skipLeb(bytes, start);
    writer.u32(count + added.size);
    for (let i = 0; i < count; i++) {
      if (pos >= end) return;
      const index = u32At(bytes, pos);
      const from = skipLeb(bytes, pos);
      pos = indirect.has(kind) ? nameMapEnd(bytes, from, end) : nameEnd(bytes, from);
      if (pos > end) return;
      writer.u32(move ? move(index) : index);
      const local = lastLocal?.(index);
      if (local) copyWithLast(writer, bytes, from, pos, local);
      else writer.copy(bytes, from, pos);
    }
    complete = pos === end;
  });
  if (!complete) return undefined;
  for (const [index, name] of added) {
    writer.u32(index);
    writer.name(name);
  }
  return writer.finish();
}

/** Names of locals, of which one comes last under its new index. */
function copyWithLast(
  writer: Writer,
  bytes: Uint8Array,
  start: number,
  end: number,
  { from, to }: { from: number; to: number },
): void {
  let found: [start: number, end: number] | undefined;
  for (let pos = skipLeb(bytes, start); pos < end; ) {
    const name = skipLeb(bytes, pos);
    const next = nameEnd(bytes, name);
    if (u32At(bytes, pos) === from) {
      writer.copy(bytes, start, pos);
      found = [name, next];
      start = next;
    }
    pos = next;
  }
  writer.copy(bytes, start, end);
  if (!found) return;
  writer.u32(to);
  writer.copy(bytes, ...found);
}

function nameEnd(bytes: Uint8Array, pos: number): number {
  return skipLeb(bytes, pos) + u32At(bytes, pos);
}

function nameMapEnd(bytes: Uint8Array, pos: number, end: number): number {
  const count = u32At(bytes, pos);
  pos = skipLeb(bytes, pos);
  for (let i = 0; i < count && pos <= end; i++) pos = nameEnd(bytes, skipLeb(bytes, pos));
  return pos;
}
