/**
 * The `dylink.0` section of modules that are linked dynamically (Emscripten's side modules), and the older
 * `dylink`, which has no subsections. It passes through instrumentation as it is; this is for showing it.
 */
import { Reader } from "./leb128.js";
import { limits } from "./limits.js";

export interface Dylink {
  /** What the loader must set aside. */
  memory?: {
    /** Bytes. */
    size: number;
    /** log2 of the alignment in bytes. */
    alignmentLog2: number;
    tableSize: number;
    tableAlignmentLog2: number;
  };
  /** File names of the modules that this one needs. */
  needed: string[];
}

const subsectionId = { memory: 1, needed: 2 } as const;

/** @throws DecodeError when the section is damaged */
export function decodeDylink(reader: Reader, name: "dylink" | "dylink.0"): Dylink {
  if (name === "dylink") return { memory: decodeMemory(reader), needed: decodeNeeded(reader) };
  const dylink: Dylink = { needed: [] };
  while (!reader.atEnd()) {
    const id = reader.byte();
    const size = reader.u32();
    const start = reader.skip(size);
    const inner = new Reader(reader.bytes, start, start + size);
    if (id === subsectionId.memory) dylink.memory = decodeMemory(inner);
    else if (id === subsectionId.needed) dylink.needed = decodeNeeded(inner);
  }
  return dylink;
}

function decodeMemory(reader: Reader): Dylink["memory"] {
  return {
    size: reader.u32(),
    alignmentLog2: reader.u32(),
    tableSize: reader.u32(),
    tableAlignmentLog2: reader.u32(),
  };
}

function decodeNeeded(reader: Reader): string[] {
  const needed: string[] = [];
  for (let count = reader.count(1, limits.names, "needed modules"); count > 0; count--) {
    needed.push(reader.displayName());
  }
  return needed;
}
