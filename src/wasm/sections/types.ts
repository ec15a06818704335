/** Type section: function, struct and array types, flattened from their recursion groups to the index space. */
import { DecodeError } from "../../errors.js";
import { type Reader, Writer } from "../leb128.js";
import { limits } from "../limits.js";
import { type FieldType, packedType, type TypeDefinition, type ValueType } from "../types.js";
import { decodeMutability, decodeValueType, encodeValueType } from "./value-types.js";

const form = {
  recursionGroup: 0x4e,
  subFinal: 0x4f,
  sub: 0x50,
  array: 0x5e,
  struct: 0x5f,
  func: 0x60,
} as const;

/** A recursion group without types adds nothing to the index space and is left out. */
export function decodeTypes(reader: Reader): TypeDefinition[] {
  const start = reader.pos;
  const count = reader.count(2, limits.types, "types");
  const types: TypeDefinition[] = [];
  for (let i = 0; i < count; i++) {
    if (reader.peek() !== form.recursionGroup) {
      types.push(decodeSubtype(reader));
      continue;
    }
    reader.byte();
    const groupSize = reader.count(2, limits.types, "types in a recursion group");
    for (let j = 0; j < groupSize; j++) {
      const type = decodeSubtype(reader);
      if (j === 0) type.groupSize = groupSize;
      types.push(type);
    }
  }
  if (types.length > limits.types) {
    throw new DecodeError(`${types.length} types, more than the limit of ${limits.types}`, start);
  }
  reader.expectEnd("type section");
  return types;
}

function decodeSubtype(reader: Reader): TypeDefinition {
  const byte = reader.peek();
  if (byte !== form.sub && byte !== form.subFinal) return decodeComposite(reader);
  reader.byte();
  const supertypes = readList(reader, 1, limits.supertypes, "supertypes", () => reader.u32());
  const type = decodeComposite(reader);
  type.sub = { final: byte === form.subFinal, supertypes };
  return type;
}

function decodeComposite(reader: Reader): TypeDefinition {
  const start = reader.pos;
  const byte = reader.byte();
  switch (byte) {
    case form.func: {
      const params = readList(reader, 1, limits.parameters, "parameters", decodeValueType);
      const results = readList(reader, 1, limits.results, "results", decodeValueType);
      return { kind: "func", params, results };
    }
    case form.struct:
      return { kind: "struct", fields: readList(reader, 2, limits.structFields, "fields", decodeField) };
    case form.array:
      return { kind: "array", element: decodeField(reader) };
    default:
      throw new DecodeError(`malformed type form 0x${byte.toString(16)}`, start);
  }
}

function readList<T>(
  reader: Reader,
  itemBytes: number,
  maximum: number,
  what: string,
  read: (reader: Reader) => T,
): T[] {
  const items: T[] = [];
  for (let count = reader.count(itemBytes, maximum, what); count > 0; count--) items.push(read(reader));
  return items;
}

function decodeField(reader: Reader): FieldType {
  const byte = reader.peek();
  const packed = byte === packedType.i8 || byte === packedType.i16;
  const type = packed ? reader.byte() : decodeValueType(reader);
  return { type, mutable: decodeMutability(reader) };
}

export function encodeTypes(types: readonly TypeDefinition[]): Uint8Array {
  const writer = new Writer();
  let entries = 0;
  for (let i = 0; i < types.length; i += types[i].groupSize ?? 1) entries++;
  writer.u32(entries);
  appendTypes(writer, types);
  return writer.finish();
}

/** The entries of these types, without their number. */
export function appendTypes(writer: Writer, types: readonly TypeDefinition[]): void {
  for (const type of types) {
    if (type.groupSize !== undefined) {
      writer.byte(form.recursionGroup);
      writer.u32(type.groupSize);
    }
    encodeSubtype(writer, type);
  }
}

function encodeSubtype(writer: Writer, type: TypeDefinition): void {
  if (type.sub) {
    writer.byte(type.sub.final ? form.subFinal : form.sub);
    writer.u32(type.sub.supertypes.length);
    for (const supertype of type.sub.supertypes) writer.u32(supertype);
  }
  writer.byte(form[type.kind]);
  if (type.kind === "func") {
    encodeValueTypes(writer, type.params);
    encodeValueTypes(writer, type.results);
  } else if (type.kind === "struct") {
    writer.u32(type.fields.length);
    for (const field of type.fields) encodeField(writer, field);
  } else {
    encodeField(writer, type.element);
  }
}

function encodeValueTypes(writer: Writer, types: readonly ValueType[]): void {
  writer.u32(types.length);
  for (const type of types) encodeValueType(writer, type);
}

function encodeField(writer: Writer, field: FieldType): void {
  encodeValueType(writer, field.type);
  writer.byte(field.mutable ? 1 : 0);
}
