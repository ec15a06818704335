/**
 * Code section. Only the ranges of the bodies are found here, in a few steps per body; passes walk the
 * instructions themselves, straight in the module's bytes.
 */
import { DecodeError } from "../../errors.js";
import { Reader, skipLeb, u32At, Writer } from "../leb128.js";
import { limits } from "../limits.js";
import type { FunctionBodies, LocalGroup } from "../types.js";
import { decodeValueType, encodeValueType } from "./value-types.js";

export function decodeBodies(reader: Reader): FunctionBodies {
  const count = reader.count(2, limits.functions, "function bodies");
  const { bytes, end: sectionEnd } = reader;
  const sizeStart = new Uint32Array(count);
  const start = new Uint32Array(count);
  const end = new Uint32Array(count);
  let pos = reader.pos;
  for (let i = 0; i < count; i++) {
    if (pos >= sectionEnd) throw new DecodeError("unexpected end of section or function", sectionEnd);
    let size = bytes[pos];
    let first = pos + 1;
    if (size >= 0x80) {
      const next = bytes[first];
      // most sizes have two bytes: no calls for those, as this runs before it is compiled
      if (next < 0x80) {
        size += (next - 1) << 7;
        first++;
      } else {
        size = u32At(bytes, pos);
        first = skipLeb(bytes, pos);
      }
    }
    if (first + size > sectionEnd) throw new DecodeError("length out of bounds", pos);
    if (size > limits.bodySize) {
      throw new DecodeError(`function body of ${size} bytes, more than the limit of ${limits.bodySize}`, pos);
    }
    sizeStart[i] = pos;
    start[i] = first;
    pos = end[i] = first + size;
  }
  reader.pos = pos;
  reader.expectEnd("code section");
  return { count, sizeStart, start, end };
}

/** The payload for bodies that lie in `bytes`, with sizes in their shortest form. */
export function encodeBodies(bytes: Uint8Array, bodies: FunctionBodies): Uint8Array {
  const { count, start, end } = bodies;
  const writer = new Writer(count > 0 ? end[count - 1] - start[0] + 16 : 16);
  writer.u32(count);
  for (let i = 0; i < count; i++) {
    writer.u32(end[i] - start[i]);
    writer.copy(bytes, start[i], end[i]);
  }
  return writer.finish();
}

/** Locals that a function body declares, and where its instructions begin. */
export interface Locals {
  groups: LocalGroup[];
  /** Number of locals, without parameters. */
  count: number;
  /** Offset of the first instruction. */
  end: number;
}

/** The locals of the body at `bytes[start..end)`. */
export function decodeLocals(bytes: Uint8Array, start: number, end: number): Locals {
  const reader = new Reader(bytes, start, end);
  const groups: LocalGroup[] = [];
  let total = 0;
  for (let left = reader.count(2, limits.locals, "groups of locals"); left > 0; left--) {
    const first = reader.pos;
    const count = reader.u32();
    total += count;
    if (total > limits.locals) throw new DecodeError(`too many locals: more than ${limits.locals}`, first);
    groups.push({ count, type: decodeValueType(reader) });
  }
  return { groups, count: total, end: reader.pos };
}

/** How many locals a function body declares, without their types. */
export interface LocalCounts {
  groups: number;
  /** Number of locals, without parameters. */
  count: number;
  /** Offset of the first instruction. */
  end: number;
}

/** What `decodeLocals` finds, for walks over all bodies: it makes no object for each group. */
export function countLocals(bytes: Uint8Array, start: number, end: number): LocalCounts {
  const groups = bytes[start];
  let count = 0;
  let pos = start + 1;
  for (let left = groups; left > 0; left--) {
    count += bytes[pos];
    // numbers of more than a byte, and types of more than a byte, are for the other one
    if (bytes[pos] >= 0x80 || !isPlainType(bytes[pos + 1])) return countSlowly(bytes, start, end);
    pos += 2;
  }
  return groups < 0x80 && pos <= end ? { groups, count, end: pos } : countSlowly(bytes, start, end);
}

function countSlowly(bytes: Uint8Array, start: number, end: number): LocalCounts {
  const { groups, count, end: first } = decodeLocals(bytes, start, end);
  return { groups: groups.length, count, end: first };
}

/** `i32`, `i64`, `f32`, `f64`, `v128` */
function isPlainType(byte: number): boolean {
  return byte >= 0x7b && byte <= 0x7f;
}

/** The declaration of locals with which a function body begins. */
export function encodeLocals(writer: Writer, groups: readonly LocalGroup[]): void {
  writer.u32(groups.length);
  for (const { count, type } of groups) {
    writer.u32(count);
    encodeValueType(writer, type);
  }
}
