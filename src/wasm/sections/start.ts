/** Start section: the index of the function that runs when the module is instantiated. */
import { type Reader, Writer } from "../leb128.js";

export function decodeStart(reader: Reader): number {
  const index = reader.u32();
  reader.expectEnd("start section");
  return index;
}

export function encodeStart(index: number): Uint8Array {
  const writer = new Writer(5);
  writer.u32(index);
  return writer.finish();
}
