/**
 * Element section. The eight forms of a segment differ in three bits (`elementFlag`):
 *
 *     flags  mode         table   type       elements
 *     0, 4   active       0       –          indices, expressions
 *     1, 5   passive      –       given      indices, expressions
 *     2, 6   active       given   given      indices, expressions
 *     3, 7   declarative  –       given      indices, expressions
 *
 * With indices the type is one byte, 0 for functions; with expressions a reference type.
 */
import { DecodeError } from "../../errors.js";
import { type Reader, Writer } from "../leb128.js";
import { limits } from "../limits.js";
import { type ConstantExpression, type ElementSegment, elementFlag, valueType } from "../types.js";
import { decodeConstantExpression, decodeReferenceType, encodeValueType } from "./value-types.js";

const { passive, explicit, expressions } = elementFlag;
const functionKind = 0;

export function decodeElements(reader: Reader): ElementSegment[] {
  const segments: ElementSegment[] = [];
  let expressionsLeft: number = limits.elementExpressions;
  for (let count = reader.count(3, limits.elementSegments, "element segments"); count > 0; count--) {
    const segment = decodeSegment(reader, expressionsLeft);
    expressionsLeft -= segment.expressions?.length ?? 0;
    segments.push(segment);
  }
  reader.expectEnd("element section");
  return segments;
}

function decodeSegment(reader: Reader, expressionsLeft: number): ElementSegment {
  const start = reader.pos;
  const flags = reader.u32();
  if (flags > (passive | explicit | expressions)) {
    throw new DecodeError(`malformed element segment flags ${flags}`, start);
  }
  const segment: ElementSegment = { flags, table: 0, type: valueType.funcref };
  if (!(flags & passive)) {
    if (flags & explicit) segment.table = reader.u32();
    segment.offset = decodeConstantExpression(reader);
  }
  if (flags & (passive | explicit)) {
    if (flags & expressions) segment.type = decodeReferenceType(reader);
    else decodeFunctionKind(reader);
  }
  if (flags & expressions) {
    // The shortest constant that leaves a value takes 3 bytes.
    const count = reader.count(3, expressionsLeft, "element expressions");
    const items: ConstantExpression[] = [];
    for (let i = 0; i < count; i++) items.push(decodeConstantExpression(reader));
    segment.expressions = items;
  } else {
    const count = reader.count(1, limits.elements, "elements");
    segment.functions = reader.u32s(count);
  }
  return segment;
}

function decodeFunctionKind(reader: Reader): void {
  const start = reader.pos;
  const kind = reader.byte();
  if (kind !== functionKind) throw new DecodeError(`malformed element kind 0x${kind.toString(16)}`, start);
}

export function encodeElements(segments: readonly ElementSegment[]): Uint8Array {
  const writer = new Writer();
  writer.u32(segments.length);
  for (const { flags, table, offset, type, functions = [], expressions: items = [] } of segments) {
    writer.u32(flags);
    if (!(flags & passive)) {
      if (flags & explicit) writer.u32(table);
      if (offset) writer.bytes(offset);
    }
    if (flags & (passive | explicit)) {
      if (flags & expressions) encodeValueType(writer, type);
      else writer.byte(functionKind);
    }
    if (flags & expressions) {
      writer.u32(items.length);
      for (const item of items) writer.bytes(item);
    } else {
      writer.u32(functions.length);
      // no call for each: there may be thousands, and engines have not compiled this when it runs
      writer.reserve(5 * functions.length);
      const { buffer } = writer;
      let at = writer.length;
      for (let i = 0; i < functions.length; i++) {
        let index = functions[i];
        for (; index >= 0x80; index >>>= 7) buffer[at++] = index | 0x80;
        buffer[at++] = index;
      }
      writer.length = at;
    }
  }
  return writer.finish();
}
