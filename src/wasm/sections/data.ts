/** Data section. Segments keep a view of the module's bytes: nothing is copied. */
import { DecodeError } from "../../errors.js";
import { type Reader, Writer } from "../leb128.js";
import { limits } from "../limits.js";
import type { DataSegment } from "../types.js";
import { decodeConstantExpression } from "./value-types.js";

const passive = 1;
const explicit = 2;

export function decodeData(reader: Reader): DataSegment[] {
  const segments: DataSegment[] = [];
  for (let count = reader.count(2, limits.dataSegments, "data segments"); count > 0; count--) {
    segments.push(decodeSegment(reader));
  }
  reader.expectEnd("data section");
  return segments;
}

function decodeSegment(reader: Reader): DataSegment {
  const start = reader.pos;
  const flags = reader.u32();
  if (flags > explicit) throw new DecodeError(`malformed data segment flags ${flags}`, start);
  const memory = flags === explicit ? reader.u32() : 0;
  const offset = flags === passive ? undefined : decodeConstantExpression(reader);
  const bytes = reader.take(reader.u32());
  return offset ? { flags, memory, offset, bytes } : { flags, memory, bytes };
}

export function encodeData(segments: readonly DataSegment[]): Uint8Array {
  const writer = new Writer();
  writer.u32(segments.length);
  for (const { flags, memory, offset, bytes } of segments) {
    writer.u32(flags);
    if (flags === explicit) writer.u32(memory);
    if (offset) writer.bytes(offset);
    writer.u32(bytes.length);
    writer.bytes(bytes);
  }
  return writer.finish();
}
