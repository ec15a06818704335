/** Import section. */
import { DecodeError } from "../../errors.js";
import { type Reader, Writer } from "../leb128.js";
import { limits } from "../limits.js";
import { externalKind, type Import, type ImportType } from "../types.js";
import { decodeGlobalType, encodeGlobalType } from "./globals.js";
import { decodeTag, encodeTag } from "./tags.js";
import { decodeLimits, decodeTableType, encodeLimits, encodeTableType } from "./value-types.js";

export function decodeImports(reader: Reader): Import[] {
  const imports: Import[] = [];
  for (let count = reader.count(4, limits.imports, "imports"); count > 0; count--) {
    const module = reader.name();
    const name = reader.name();
    imports.push({ module, name, ...decodeImportType(reader) });
  }
  reader.expectEnd("import section");
  return imports;
}

function decodeImportType(reader: Reader): ImportType {
  const start = reader.pos;
  const kind = reader.byte();
  switch (kind) {
    case externalKind.function:
      return { kind, type: reader.u32() };
    case externalKind.table:
      return { kind, table: decodeTableType(reader) };
    case externalKind.memory:
      return { kind, memory: decodeLimits(reader, "memory") };
    case externalKind.global:
      return { kind, global: decodeGlobalType(reader) };
    case externalKind.tag:
      return { kind, type: decodeTag(reader) };
    default:
      throw new DecodeError(`malformed import kind 0x${kind.toString(16)}`, start);
  }
}

export function encodeImports(imports: readonly Import[]): Uint8Array {
  const writer = new Writer();
  writer.u32(imports.length);
  for (const item of imports) {
    writer.name(item.module);
    writer.name(item.name);
    writer.byte(item.kind);
    if (item.kind === externalKind.function) writer.u32(item.type);
    else if (item.kind === externalKind.table) encodeTableType(writer, item.table);
    else if (item.kind === externalKind.memory) encodeLimits(writer, item.memory);
    else if (item.kind === externalKind.global) encodeGlobalType(writer, item.global);
    else encodeTag(writer, item.type);
  }
  return writer.finish();
}
