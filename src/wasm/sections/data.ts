/** Data section. Segments keep a view of the module's bytes: nothing is copied. */
import { DecodeError } from "../../errors.js";
import { type Reader, Writer } from "../leb128.js";
import { limits } from "../limits.js";
import type { DataSegment } from "../types.js";
import { skipConstantExpression } from "./value-types.js";

const passive = 1;
const explicit = 2;

/** Where the parts of a segment are in the module. */
interface SegmentPlace {
  flags: number;
  memory: number;
  /** Its constant expression; -1 where it has none. */
  offset: number;
  /** Behind that. */
  offsetEnd: number;
  /** Its bytes. */
  position: number;
  length: number;
}

export function decodeData(reader: Reader): DataSegment[] {
  const { bytes: source } = reader;
  const segments: DataSegment[] = [];
  eachSegment(
    reader,
    () => {},
    ({ flags, memory, offset, offsetEnd, position, length }) => {
      const bytes = source.subarray(position, position + length);
      segments.push(
        offset < 0
          ? { flags, memory, bytes }
          : { flags, memory, offset: source.subarray(offset, offsetEnd), bytes },
      );
    },
  );
  return segments;
}

/**
 * Calls back with the number of segments, then for each where its parts are: always with the same object.
 * @throws DecodeError when the section is damaged
 */
export function eachSegment(
  reader: Reader,
  counted: (count: number) => void,
  segment: (place: Readonly<SegmentPlace>) => void,
): void {
  const count = reader.count(2, limits.dataSegments, "data segments");
  counted(count);
  const place: SegmentPlace = { flags: 0, memory: 0, offset: -1, offsetEnd: -1, position: 0, length: 0 };
  for (let left = count; left > 0; left--) {
    const start = reader.pos;
    place.flags = reader.u32();
    if (place.flags > explicit) throw new DecodeError(`malformed data segment flags ${place.flags}`, start);
    place.memory = place.flags === explicit ? reader.u32() : 0;
    place.offset = -1;
    if (place.flags !== passive) {
      place.offset = reader.pos;
      skipConstantExpression(reader);
      place.offsetEnd = reader.pos;
    }
    place.length = reader.u32();
    place.position = reader.skip(place.length);
    segment(place);
  }
  reader.expectEnd("data section");
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
