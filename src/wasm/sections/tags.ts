/** Tag section: the type index of each defined tag. Imported tags have the same form. */
import { DecodeError } from "../../errors.js";
import { type Reader, Writer } from "../leb128.js";
import { limits } from "../limits.js";

/** The format's only attribute: a tag of an exception. */
const exceptionAttribute = 0;

export function decodeTags(reader: Reader): number[] {
  const tags: number[] = [];
  for (let count = reader.count(2, limits.tags, "tags"); count > 0; count--) tags.push(decodeTag(reader));
  reader.expectEnd("tag section");
  return tags;
}

export function decodeTag(reader: Reader): number {
  const start = reader.pos;
  const attribute = reader.byte();
  if (attribute !== exceptionAttribute) throw new DecodeError(`malformed tag attribute ${attribute}`, start);
  return reader.u32();
}

export function encodeTags(tags: readonly number[]): Uint8Array {
  const writer = new Writer();
  writer.u32(tags.length);
  for (const type of tags) encodeTag(writer, type);
  return writer.finish();
}

export function encodeTag(writer: Writer, type: number): void {
  writer.byte(exceptionAttribute);
  writer.u32(type);
}
