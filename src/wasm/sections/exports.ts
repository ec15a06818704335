/** Export section. */
import { DecodeError } from "../../errors.js";
import { type Reader, Writer } from "../leb128.js";
import { limits } from "../limits.js";
import { type Export, externalKind } from "../types.js";

export function decodeExports(reader: Reader): Export[] {
  const exports: Export[] = [];
  for (let count = reader.count(3, limits.exports, "exports"); count > 0; count--) {
    const name = reader.name();
    const start = reader.pos;
    const kind = reader.byte();
    if (kind > externalKind.tag) throw new DecodeError(`malformed export kind 0x${kind.toString(16)}`, start);
    exports.push({ name, kind, index: reader.u32() });
  }
  reader.expectEnd("export section");
  return exports;
}

export function encodeExports(exports: readonly Export[]): Uint8Array {
  const writer = new Writer();
  writer.u32(exports.length);
  for (const item of exports) {
    writer.name(item.name);
    writer.byte(item.kind);
    writer.u32(item.index);
  }
  return writer.finish();
}
