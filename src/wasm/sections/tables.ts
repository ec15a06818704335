/** Table section. A table whose elements don't start as null is written with two bytes in front. */
import { DecodeError } from "../../errors.js";
import { type Reader, Writer } from "../leb128.js";
import { limits } from "../limits.js";
import type { Table } from "../types.js";
import { decodeConstantExpression, decodeTableType, encodeTableType } from "./value-types.js";

const withInit = 0x40;

export function decodeTables(reader: Reader): Table[] {
  const tables: Table[] = [];
  for (let count = reader.count(3, limits.tables, "tables"); count > 0; count--)
    tables.push(decodeTable(reader));
  reader.expectEnd("table section");
  return tables;
}

function decodeTable(reader: Reader): Table {
  if (reader.peek() !== withInit) return decodeTableType(reader);
  reader.byte();
  const start = reader.pos;
  const reserved = reader.byte();
  if (reserved !== 0) throw new DecodeError(`malformed table: zero byte expected, not ${reserved}`, start);
  const type = decodeTableType(reader);
  return { ...type, init: decodeConstantExpression(reader) };
}

export function encodeTables(tables: readonly Table[]): Uint8Array {
  const writer = new Writer();
  writer.u32(tables.length);
  for (const table of tables) {
    if (table.init) {
      writer.byte(withInit);
      writer.byte(0);
    }
    encodeTableType(writer, table);
    if (table.init) writer.bytes(table.init);
  }
  return writer.finish();
}
