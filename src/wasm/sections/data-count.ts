/** Data count section: how many segments the data section has, for checking code that names them. */
import { type Reader, Writer } from "../leb128.js";

export function decodeDataCount(reader: Reader): number {
  const count = reader.u32();
  reader.expectEnd("data count section");
  return count;
}

export function encodeDataCount(count: number): Uint8Array {
  const writer = new Writer(5);
  writer.u32(count);
  return writer.finish();
}
