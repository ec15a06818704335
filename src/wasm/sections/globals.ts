/** Global section. Imported globals have a type of the same form. */
import { type Reader, Writer } from "../leb128.js";
import { limits } from "../limits.js";
import type { Global, GlobalType } from "../types.js";
import {
  decodeConstantExpression,
  decodeMutability,
  decodeValueType,
  encodeValueType,
} from "./value-types.js";

export function decodeGlobals(reader: Reader): Global[] {
  const globals: Global[] = [];
  for (let count = reader.count(3, limits.globals, "globals"); count > 0; count--) {
    const { type, mutable } = decodeGlobalType(reader);
    globals.push({ type, mutable, init: decodeConstantExpression(reader) });
  }
  reader.expectEnd("global section");
  return globals;
}

export function decodeGlobalType(reader: Reader): GlobalType {
  return { type: decodeValueType(reader), mutable: decodeMutability(reader) };
}

export function encodeGlobals(globals: readonly Global[]): Uint8Array {
  const writer = new Writer();
  writer.u32(globals.length);
  for (const global of globals) {
    encodeGlobalType(writer, global);
    writer.bytes(global.init);
  }
  return writer.finish();
}

export function encodeGlobalType(writer: Writer, type: GlobalType): void {
  encodeValueType(writer, type.type);
  writer.byte(type.mutable ? 1 : 0);
}
