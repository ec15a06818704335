/**
 * A module as its sections, with typed parts that are decoded when first asked for. Splitting costs a few steps
 * per section whatever its size, so a pass that needs only some of them doesn't pay for the rest.
 *
 * Splitting is strict: order, duplicates, sizes, and counts that must agree. What is inside a section is
 * checked when it is decoded; types, index ranges and instructions stay the engine's business.
 */
import { DecodeError } from "../errors.js";
import { InitialData } from "./initial-data.js";
import { Reader, Writer } from "./leb128.js";
import { limits } from "./limits.js";
import { lazyNames } from "./names.js";
import { decodeBodies } from "./sections/code.js";
import { decodeData } from "./sections/data.js";
import { decodeDataCount } from "./sections/data-count.js";
import { decodeElements } from "./sections/elements.js";
import { decodeExports } from "./sections/exports.js";
import { decodeFunctions } from "./sections/functions.js";
import { decodeGlobals } from "./sections/globals.js";
import { decodeImports } from "./sections/imports.js";
import { decodeMemories } from "./sections/memories.js";
import { decodeStart } from "./sections/start.js";
import { decodeTables } from "./sections/tables.js";
import { decodeTags } from "./sections/tags.js";
import { decodeTypes } from "./sections/types.js";
import {
  type DataSegment,
  type ElementSegment,
  type Export,
  externalKind,
  type FunctionBodies,
  type FunctionType,
  type Global,
  type Import,
  type Limits,
  type Names,
  type RawSection,
  sectionId,
  type Table,
  type TypeDefinition,
} from "./types.js";

const headerSize = 8;
const magic = [0x00, 0x61, 0x73, 0x6d];
const version = [0x01, 0x00, 0x00, 0x00];
const componentLayer = 1;

/** Section ids in the order in which a module has them. Custom sections may be anywhere. */
const sectionOrder: readonly number[] = [
  sectionId.type,
  sectionId.import,
  sectionId.function,
  sectionId.table,
  sectionId.memory,
  sectionId.tag,
  sectionId.global,
  sectionId.export,
  sectionId.start,
  sectionId.element,
  sectionId.dataCount,
  sectionId.code,
  sectionId.data,
];

/**
 * Splits a module into its sections.
 * @throws DecodeError when the bytes are no module, or its sections don't fit together
 */
export function decodeModule(bytes: Uint8Array): Module {
  if (bytes.length > limits.moduleSize) {
    throw new DecodeError(`module of ${bytes.length} bytes, more than the limit of ${limits.moduleSize}`, 0);
  }
  const reader = new Reader(bytes);
  decodeHeader(reader);
  const sections: RawSection[] = [];
  let rank = -1;
  while (!reader.atEnd()) {
    const section = decodeSection(reader);
    sections.push(section);
    if (section.id === sectionId.custom) continue;
    const next = sectionOrder.indexOf(section.id);
    if (next <= rank) {
      const what = next === rank ? "duplicate section" : "section out of order";
      throw new DecodeError(`unexpected content after last section: ${what} ${section.id}`, section.offset);
    }
    rank = next;
  }
  const module = new Module(bytes, sections);
  checkCounts(module);
  return module;
}

function decodeHeader(reader: Reader): void {
  const { bytes } = reader;
  if (!magic.every((byte, i) => bytes[i] === byte)) throw new DecodeError("magic header not detected", 0);
  if (!version.every((byte, i) => bytes[4 + i] === byte)) {
    if (bytes[6] === componentLayer && bytes[7] === 0) {
      throw new DecodeError("a component of the component model, not a core module: extract its modules", 4);
    }
    throw new DecodeError("unknown binary version", 4);
  }
  reader.pos = headerSize;
}

function decodeSection(reader: Reader): RawSection {
  const { bytes, pos: offset } = reader;
  const id = reader.byte();
  if (id !== sectionId.custom && !sectionOrder.includes(id)) {
    throw new DecodeError(`malformed section id ${id}`, offset);
  }
  const size = reader.u32();
  const payload = reader.skip(size);
  const section: RawSection = {
    id,
    offset,
    bytes: bytes.subarray(offset, reader.pos),
    payloadStart: payload - offset,
  };
  if (id === sectionId.custom) {
    const inner = new Reader(bytes, payload, reader.pos);
    section.name = inner.name();
    section.payloadStart = inner.pos - offset;
  }
  return section;
}

/** Counts that two sections must agree on, read without decoding either. */
function checkCounts(module: Module): void {
  const count = (id: number) => {
    const section = module.section(id);
    if (!section) return { value: 0, offset: module.bytes.length };
    const offset = section.offset + section.payloadStart;
    return { value: new Reader(module.bytes, offset, section.offset + section.bytes.length).u32(), offset };
  };
  const functions = count(sectionId.function);
  const bodies = count(sectionId.code);
  if (functions.value !== bodies.value) {
    throw new DecodeError("function and code section have inconsistent lengths", bodies.offset);
  }
  if (!module.section(sectionId.dataCount)) return;
  const data = count(sectionId.data);
  if (count(sectionId.dataCount).value !== data.value) {
    throw new DecodeError("data count and data section have inconsistent lengths", data.offset);
  }
}

/** Typed parts throw DecodeError on access when their section is damaged, each time they are asked for. */
export class Module {
  readonly bytes: Uint8Array;
  readonly sections: readonly RawSection[];
  readonly #decoded = new Map<number, unknown>();
  // asked for once for each function
  #types?: readonly TypeDefinition[];
  #functions?: readonly number[];
  #names?: Names;
  #importedCounts?: Uint32Array;
  #importedFunctionTypes?: number[];
  #bodies?: FunctionBodies;
  #initialData?: InitialData;

  /** Use `decodeModule`. */
  constructor(bytes: Uint8Array, sections: readonly RawSection[]) {
    this.bytes = bytes;
    this.sections = sections;
  }

  /** The section with this id, of which there is at most one; for custom sections `custom()`. */
  section(id: number): RawSection | undefined {
    return this.sections.find((section) => section.id === id);
  }

  get customs(): RawSection[] {
    return this.sections.filter(({ id }) => id === sectionId.custom);
  }

  /** The first custom section of this name. */
  custom(name: string): RawSection | undefined {
    return this.sections.find((section) => section.id === sectionId.custom && section.name === name);
  }

  /** Reads the payload of one of this module's sections, with offsets in the module. */
  reader(section: RawSection): Reader {
    const { offset, payloadStart, bytes } = section;
    return new Reader(this.bytes, offset + payloadStart, offset + bytes.length);
  }

  #decode<T>(id: number, decode: (reader: Reader) => T, absent: () => T): T {
    const known = this.#decoded.get(id);
    if (known !== undefined || this.#decoded.has(id)) return known as T;
    const section = this.section(id);
    const decoded = section ? decode(this.reader(section)) : absent();
    this.#decoded.set(id, decoded);
    return decoded;
  }

  #list<T>(id: number, decode: (reader: Reader) => T[]): readonly T[] {
    return this.#decode(id, decode, () => []);
  }

  /** The type index space: recursion groups are flattened. */
  get types(): readonly TypeDefinition[] {
    return (this.#types ??= this.#list(sectionId.type, decodeTypes));
  }

  get imports(): readonly Import[] {
    return this.#list(sectionId.import, decodeImports);
  }

  /** Type index of each defined function. */
  get functions(): readonly number[] {
    return (this.#functions ??= this.#list(sectionId.function, decodeFunctions));
  }

  /** Defined tables. */
  get tables(): readonly Table[] {
    return this.#list(sectionId.table, decodeTables);
  }

  /** Limits of the defined memories, in pages. */
  get memories(): readonly Limits[] {
    return this.#list(sectionId.memory, decodeMemories);
  }

  /** Type index of each defined tag. */
  get tags(): readonly number[] {
    return this.#list(sectionId.tag, decodeTags);
  }

  /** Defined globals. */
  get globals(): readonly Global[] {
    return this.#list(sectionId.global, decodeGlobals);
  }

  get exports(): readonly Export[] {
    return this.#list(sectionId.export, decodeExports);
  }

  /** Index of the start function. */
  get start(): number | undefined {
    return this.#decode<number | undefined>(sectionId.start, decodeStart, () => undefined);
  }

  get elements(): readonly ElementSegment[] {
    return this.#list(sectionId.element, decodeElements);
  }

  get dataCount(): number | undefined {
    return this.#decode<number | undefined>(sectionId.dataCount, decodeDataCount, () => undefined);
  }

  get bodies(): FunctionBodies {
    this.#bodies ??= this.#decode(sectionId.code, decodeBodies, () => {
      const none = new Uint32Array(0);
      return { count: 0, sizeStart: none, start: none, end: none };
    });
    return this.#bodies;
  }

  get data(): readonly DataSegment[] {
    return this.#list(sectionId.data, decodeData);
  }

  /** Active segments of the first memory at constant addresses. */
  get initialData(): InitialData {
    const section = this.section(sectionId.data);
    this.#initialData ??= section ? InitialData.read(this.reader(section)) : InitialData.none;
    return this.#initialData;
  }

  /** The name section; of a damaged one what can be read. Never throws. */
  get names(): Names {
    if (!this.#names) {
      const section = this.custom("name");
      this.#names = section ? lazyNames(this.reader(section)) : {};
    }
    return this.#names;
  }

  /** Imports by kind: their number is the index of the first defined item of that kind. */
  #imported(kind: number): number {
    if (!this.#importedCounts) {
      this.#importedCounts = new Uint32Array(externalKind.tag + 1);
      for (const item of this.imports) this.#importedCounts[item.kind]++;
    }
    return this.#importedCounts[kind];
  }

  get importedFunctionCount(): number {
    return this.#imported(externalKind.function);
  }

  get importedTableCount(): number {
    return this.#imported(externalKind.table);
  }

  get importedMemoryCount(): number {
    return this.#imported(externalKind.memory);
  }

  get importedGlobalCount(): number {
    return this.#imported(externalKind.global);
  }

  get importedTagCount(): number {
    return this.#imported(externalKind.tag);
  }

  /** Imported and defined functions. */
  get functionCount(): number {
    return this.importedFunctionCount + this.functions.length;
  }

  /** Type index of a function, imported or defined. */
  functionTypeIndex(index: number): number {
    this.#importedFunctionTypes ??= this.imports.flatMap((item) =>
      item.kind === externalKind.function ? [item.type] : [],
    );
    const imported = this.#importedFunctionTypes;
    const type = index < imported.length ? imported[index] : this.functions[index - imported.length];
    if (type === undefined) {
      throw new DecodeError(`unknown function ${index}`, this.#offsetOf(sectionId.function));
    }
    return type;
  }

  /** Type of a function, imported or defined. */
  functionType(index: number): FunctionType {
    const typeIndex = this.functionTypeIndex(index);
    const type = this.types[typeIndex];
    if (type?.kind !== "func") {
      throw new DecodeError(
        `type ${typeIndex} of function ${index} is no function type`,
        this.#offsetOf(sectionId.type),
      );
    }
    return type;
  }

  /** Name of a function, from the name section. */
  functionName(index: number): string | undefined {
    return this.names.functions?.get(index);
  }

  #offsetOf(id: number): number {
    return this.section(id)?.offset ?? this.bytes.length;
  }
}

/** The module of these sections, each written as it is: padded numbers stay padded. */
export function encodeModule(sections: readonly RawSection[]): Uint8Array<ArrayBuffer> {
  const size = sections.reduce((sum, section) => sum + section.bytes.length, headerSize);
  const module = new Uint8Array(size);
  module.set(magic, 0);
  module.set(version, 4);
  let pos = headerSize;
  for (const { bytes } of sections) {
    module.set(bytes, pos);
    pos += bytes.length;
  }
  return module;
}

/** A section of its own, with its size in the shortest form. `name` is for custom sections. */
export function makeSection(id: number, payload: Uint8Array, name?: string): RawSection {
  const writer = new Writer(payload.length + 16);
  const prefix = new Writer(16);
  if (id === sectionId.custom) prefix.name(name ?? "");
  writer.byte(id);
  writer.u32(prefix.length + payload.length);
  writer.bytes(prefix.finish());
  const payloadStart = writer.length;
  writer.bytes(payload);
  const section: RawSection = { id, offset: 0, bytes: writer.finish(), payloadStart };
  if (id === sectionId.custom) section.name = name ?? "";
  return section;
}

/**
 * The sections with some of them replaced, or added where the format wants them: `changed` has at most one of
 * each id, and of custom sections one of each name. A custom section that is new comes last.
 */
export function replaceSections(
  sections: readonly RawSection[],
  changed: readonly RawSection[],
): RawSection[] {
  const result = [...sections];
  for (const section of changed) {
    const custom = section.id === sectionId.custom;
    const same = result.findIndex(({ id, name }) => id === section.id && (!custom || name === section.name));
    if (same >= 0) {
      result[same] = section;
      continue;
    }
    const rank = sectionOrder.indexOf(section.id);
    const next = custom ? -1 : result.findIndex(({ id }) => sectionOrder.indexOf(id) > rank);
    result.splice(next >= 0 ? next : lastKnown(result, custom), 0, section);
  }
  return result;
}

/** Where to insert behind all others: custom sections at the very end, known ones behind the last known one. */
function lastKnown(sections: readonly RawSection[], custom: boolean): number {
  if (custom) return sections.length;
  return sections.findLastIndex(({ id }) => id !== sectionId.custom) + 1;
}
