/**
 * What has to be known of a module before it is instrumented, read from its section headers alone: has it a
 * memory, and where do its function bodies lie. Takes under a millisecond, since most of what a program
 * compiles (Emscripten's `addFunction` makes hundreds of modules) needs nothing more. Anything unexpected
 * means "unknown", never an error: the engine judges the bytes.
 */
export interface MemoryFacts {
  /** Present when the memory is imported. */
  import?: { module: string; name: string };
  initialPages: number;
  maximumPages: number | null;
  shared: boolean;
}

export interface ModuleFacts {
  memories: MemoryFacts[];
  /** Number of imports. */
  imports: number;
  /** Functions that the module imports; the first body belongs to the function of this index. */
  importedFunctions: number;
  /** What it imports under `recorderModuleName`. */
  recorderImports: string[];
  /** Byte offsets at which function bodies begin, and the end of the last. */
  bodies: Uint32Array;
  /** The name that the module's name section gives it, or "". */
  name: string;
  /** Offsets at which the contents of the code section begin and end. */
  code: { start: number; end: number };
  /** Whether it has debug information, or something like it, or says where to find some. */
  debug: boolean;
}

export const emptyFacts: Readonly<ModuleFacts> = {
  memories: [],
  imports: 0,
  importedFunctions: 0,
  recorderImports: [],
  bodies: new Uint32Array(),
  name: "",
  code: { start: 0, end: 0 },
  debug: false,
};

const longestProducers = 4096;
const debugSections = new Set([".debug_info", ".debug_line", "external_debug_info", "sourceMappingURL"]);

const utf8 = new TextDecoder();

class Cursor {
  constructor(
    readonly bytes: Uint8Array,
    public at: number,
    readonly end: number,
  ) {}

  byte(): number {
    if (this.at >= this.end) throw new RangeError("past the end");
    return this.bytes[this.at++];
  }

  /** An unsigned LEB128; exact up to 2^53. */
  number(): number {
    let result = 0;
    let scale = 1;
    for (;;) {
      const byte = this.byte();
      result += (byte & 0x7f) * scale;
      if (byte < 0x80) return result;
      scale *= 128;
      if (scale > 2 ** 63) throw new RangeError("a number is too long");
    }
  }

  bytesOf(length: number): Uint8Array {
    const from = this.at;
    if (length > this.end - from) throw new RangeError("past the end");
    this.at += length;
    return this.bytes.subarray(from, this.at);
  }

  text(): string {
    return utf8.decode(this.bytesOf(this.number()));
  }
}

/** Facts of a module, or undefined when the bytes are not laid out as one. */
export function moduleFacts(bytes: Uint8Array, recorderModule: string): ModuleFacts | undefined {
  const facts: ModuleFacts = { ...emptyFacts, memories: [], recorderImports: [] };
  const all = new Cursor(bytes, 8, bytes.length);
  try {
    if (bytes.length < 8 || bytes[0] !== 0 || bytes[1] !== 0x61 || bytes[2] !== 0x73 || bytes[3] !== 0x6d) {
      return undefined;
    }
    while (all.at < all.end) {
      const id = all.byte();
      const size = all.number();
      const start = all.at;
      all.bytesOf(size);
      const section = new Cursor(bytes, start, start + size);
      if (id === 2) readImports(section, facts, recorderModule);
      else if (id === 5) for (let n = section.number(); n > 0; n--) facts.memories.push(readMemory(section));
      else if (id === 10) {
        facts.code = { start, end: start + size };
        facts.bodies = readBodies(section);
      } else if (id === 0) readCustom(section, facts);
    }
    return facts;
  } catch {
    return undefined;
  }
}

function readImports(section: Cursor, facts: ModuleFacts, recorderModule: string): void {
  facts.imports = section.number();
  for (let n = facts.imports; n > 0; n--) {
    const module = section.text();
    const name = section.text();
    const kind = section.byte();
    if (module === "gojs") facts.debug = true;
    if (module === recorderModule && kind === 0) facts.recorderImports.push(name);
    if (kind === 0) {
      section.number();
      facts.importedFunctions++;
    } else if (kind === 1) {
      skipValueType(section);
      skipLimits(section);
    } else if (kind === 2) {
      facts.memories.push({ import: { module, name }, ...readMemory(section) });
    } else if (kind === 3) {
      skipValueType(section);
      section.byte();
    } else if (kind === 4) {
      section.byte();
      section.number();
    } else {
      throw new RangeError("an import of an unknown kind");
    }
  }
}

/** Limits of a memory: flags 1 maximum, 2 shared, 4 64-bit, 8 page size. */
function readMemory(section: Cursor): MemoryFacts {
  const flags = section.byte();
  const initialPages = section.number();
  const maximumPages = flags & 1 ? section.number() : null;
  if (flags & 8) section.number();
  return { initialPages, maximumPages, shared: (flags & 2) !== 0 };
}

function skipLimits(section: Cursor): void {
  const flags = section.byte();
  section.number();
  if (flags & 1) section.number();
}

function skipValueType(section: Cursor): void {
  // `ref` and `ref null` are followed by a heap type, a signed LEB128.
  const type = section.byte();
  if (type === 0x63 || type === 0x64) while (section.byte() >= 0x80);
}

function readBodies(section: Cursor): Uint32Array {
  const count = section.number();
  if (count > section.end - section.at) throw new RangeError("more bodies than bytes");
  const bodies = new Uint32Array(count + 1);
  for (let i = 0; i < count; i++) {
    const size = section.number();
    bodies[i] = section.at;
    section.bytesOf(size);
  }
  bodies[count] = section.at;
  return bodies;
}

function readCustom(section: Cursor, facts: ModuleFacts): void {
  try {
    const name = section.text();
    facts.debug ||= debugSections.has(name) || (name === "producers" && madeByGo(section));
    if (name !== "name") return;
    while (section.at < section.end) {
      const id = section.byte();
      const part = section.bytesOf(section.number());
      if (id === 0) {
        facts.name = new Cursor(part, 0, part.length).text();
        return;
      }
    }
  } catch {
    // Names are for people only; the engine accepts a damaged name section too.
  }
}

/** Go has what others have in DWARF in its data. */
function madeByGo({ bytes, at, end }: Cursor): boolean {
  return end - at < longestProducers && utf8.decode(bytes.subarray(at, end)).includes("Go cmd/compile");
}

/** Whether `offset` lies in the body of the function. */
export function bodyHolds(facts: ModuleFacts, functionIndex: number, offset: number): boolean {
  const body = functionIndex - facts.importedFunctions;
  const { bodies } = facts;
  return body >= 0 && body + 1 < bodies.length && bodies[body] <= offset && offset < bodies[body + 1];
}
