// Resident bytes of linear memories, from Linux: /proc/self/smaps lists the mappings of the process, but not which of
// them is which memory, and JavaScript knows no addresses. A memory is the writable mapping of exactly its size that
// has its bytes, which /proc/self/mem shows. Node only; `linmem` reads this file under the export condition "node".
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { isShared } from "./engine.js";

interface Mapping {
  start: number;
  end: number;
  resident: number;
}

/** Bytes that are compared at one place, and the number of places. */
const SAMPLE = 64;
const PLACES = 16;

/** Resident bytes of each buffer; undefined where the system does not tell, or tells nothing that is certain. */
export function readResident(buffers: readonly ArrayBufferLike[]): (number | undefined)[] {
  const unknown = buffers.map(() => undefined);
  let memory: number;
  let mappings: Mapping[];
  try {
    mappings = parseMappings(readFileSync("/proc/self/smaps", "latin1"));
    memory = openSync("/proc/self/mem", "r");
  } catch {
    return unknown;
  }
  try {
    return buffers.map((buffer) => residentOf(new Uint8Array(buffer), mappings, memory));
  } finally {
    closeSync(memory);
  }
}

/** The writable mappings; neighbours count as one, because the system splits and joins them as it likes. */
export function parseMappings(smaps: string): Mapping[] {
  const mappings: Mapping[] = [];
  let current: Mapping | undefined;
  for (const line of smaps.split("\n")) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (....) /.exec(line);
    if (head !== null) {
      const [, from = "", to = "", mode = ""] = head;
      const start = Number.parseInt(from, 16);
      const end = Number.parseInt(to, 16);
      if (!mode.startsWith("rw")) {
        current = undefined;
      } else if (current?.end === start) {
        current.end = end;
      } else {
        current = { start, end, resident: 0 };
        mappings.push(current);
      }
    } else if (current !== undefined && line.startsWith("Rss:")) {
      current.resident += Number.parseInt(line.slice(4), 10) * 1024;
    }
  }
  return mappings;
}

function residentOf(bytes: Uint8Array, mappings: readonly Mapping[], memory: number): number | undefined {
  if (bytes.length === 0) return 0;
  const sized = mappings.filter(({ start, end }) => end - start === bytes.length);
  const alike = sized.filter((mapping) => looksLike(mapping, bytes, memory));
  if (alike.length < 2) return alike[0]?.resident;
  // Memories of the same size with the same bytes. A byte that only one of them has tells; nobody sees it there,
  // because nothing else runs meanwhile, unless other threads share the memory. It may make its page resident.
  if (isShared(bytes.buffer)) return undefined;
  const marked = alike.filter((mapping) => isMarked(mapping, bytes, memory));
  return marked.length === 1 ? marked[0]?.resident : undefined;
}

function looksLike(mapping: Mapping, bytes: Uint8Array, memory: number): boolean {
  const sample = new Uint8Array(SAMPLE);
  for (let place = 0; place < PLACES; place++) {
    const offset = Math.floor(((bytes.length - SAMPLE) * place) / (PLACES - 1));
    if (!read(memory, mapping.start + offset, sample)) return false;
    if (sample.some((byte, index) => byte !== bytes[offset + index])) return false;
  }
  return true;
}

function isMarked(mapping: Mapping, bytes: Uint8Array, memory: number): boolean {
  const before = bytes[0] ?? 0;
  const sample = new Uint8Array(1);
  try {
    bytes[0] = before ^ 0xff;
    return read(memory, mapping.start, sample) && sample[0] === (before ^ 0xff);
  } finally {
    bytes[0] = before;
  }
}

function read(memory: number, address: number, target: Uint8Array): boolean {
  try {
    return readSync(memory, target, 0, target.length, address) === target.length;
  } catch {
    return false;
  }
}
