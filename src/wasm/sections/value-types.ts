/** Value types, reference types, limits and constant expressions: what several sections are made of. */
import { DecodeError } from "../../errors.js";
import { instructionEnd } from "../instructions.js";
import type { Reader, Writer } from "../leb128.js";
import { limits as bounds } from "../limits.js";
import type { ConstantExpression, Limits, TableType, ValueType } from "../types.js";

/** Bytes that introduce a reference type with a heap type of its own. */
const nullableReference = 0x63;
const nonNullReference = 0x64;

/** Abstract heap types: noexn, nofunc, noextern, none, func, extern, any, eq, i31, struct, array, exn. */
const firstHeapType = 0x69;
const lastHeapType = 0x74;

/** f64, f32, i64, i32 and v128. */
const firstNumberType = 0x7b;
const lastNumberType = 0x7f;

const endOpcode = 0x0b;

const limitFlag = { max: 1, shared: 2, index64: 4, pageSize: 8 } as const;

export function decodeValueType(reader: Reader): ValueType {
  const byte = reader.peek();
  if (byte >= firstNumberType && byte <= lastNumberType) return reader.byte();
  return decodeReference(reader, "value");
}

export function decodeReferenceType(reader: Reader): ValueType {
  return decodeReference(reader, "reference");
}

function decodeReference(reader: Reader, what: "value" | "reference"): ValueType {
  const start = reader.pos;
  const byte = reader.byte();
  if (byte >= firstHeapType && byte <= lastHeapType) return byte;
  if (byte !== nullableReference && byte !== nonNullReference) {
    throw new DecodeError(`malformed ${what} type 0x${byte.toString(16)}`, start);
  }
  const heapStart = reader.pos;
  const heap = reader.s33();
  // Abstract heap types are their byte, read as a signed number.
  if (heap < 0 && (heap + 0x80 < firstHeapType || heap + 0x80 > lastHeapType)) {
    throw new DecodeError(`malformed heap type ${heap}`, heapStart);
  }
  return { nullable: byte === nullableReference, heap };
}

export function encodeValueType(writer: Writer, type: ValueType): void {
  if (typeof type === "number") {
    writer.byte(type);
  } else {
    writer.byte(type.nullable ? nullableReference : nonNullReference);
    writer.s33(type.heap);
  }
}

export function decodeMutability(reader: Reader): boolean {
  const start = reader.pos;
  const byte = reader.byte();
  if (byte > 1) throw new DecodeError(`malformed mutability 0x${byte.toString(16)}`, start);
  return byte === 1;
}

/** Limits of a table or memory; `pageSize` only where custom page sizes make sense. */
export function decodeLimits(reader: Reader, of: "table" | "memory"): Limits {
  const start = reader.pos;
  const flags = reader.byte();
  const allowed = limitFlag.max | limitFlag.shared | limitFlag.index64 | limitFlag.pageSize;
  if (flags & ~(of === "memory" ? allowed : allowed & ~limitFlag.pageSize)) {
    throw new DecodeError(`malformed limits flags 0x${flags.toString(16)}`, start);
  }
  const index64 = (flags & limitFlag.index64) !== 0;
  const result: Limits = {
    min: decodeLimit(reader, index64),
    shared: (flags & limitFlag.shared) !== 0,
    index64,
  };
  if (flags & limitFlag.max) result.max = decodeLimit(reader, index64);
  if (flags & limitFlag.pageSize) {
    const sizeStart = reader.pos;
    const log2 = reader.u32();
    if (log2 > bounds.pageSizeLog2) throw new DecodeError(`invalid custom page size 2^${log2}`, sizeStart);
    result.pageSizeLog2 = log2;
  }
  return result;
}

function decodeLimit(reader: Reader, index64: boolean): number {
  if (!index64) return reader.u32();
  const start = reader.pos;
  const value = reader.u64();
  if (value > Number.MAX_SAFE_INTEGER) {
    throw new DecodeError(`limit ${value} is larger than 2^53 and not supported`, start);
  }
  return Number(value);
}

export function encodeLimits(writer: Writer, limits: Limits): void {
  const { min, max, pageSizeLog2 } = limits;
  writer.byte(
    (max !== undefined ? limitFlag.max : 0) |
      (limits.shared ? limitFlag.shared : 0) |
      (limits.index64 ? limitFlag.index64 : 0) |
      (pageSizeLog2 !== undefined ? limitFlag.pageSize : 0),
  );
  writer.u64(BigInt(min));
  if (max !== undefined) writer.u64(BigInt(max));
  if (pageSizeLog2 !== undefined) writer.u32(pageSizeLog2);
}

export function decodeTableType(reader: Reader): TableType {
  return { element: decodeReferenceType(reader), limits: decodeLimits(reader, "table") };
}

export function encodeTableType(writer: Writer, type: TableType): void {
  encodeValueType(writer, type.element);
  encodeLimits(writer, type.limits);
}

export function decodeConstantExpression(reader: Reader): ConstantExpression {
  const start = reader.pos;
  skipConstantExpression(reader);
  return reader.bytes.subarray(start, reader.pos);
}

/**
 * Up to the first `end`: no instruction that opens a block is constant, and the engine refuses a module that
 * has one here.
 */
export function skipConstantExpression(reader: Reader): void {
  const { bytes, end, pos: start } = reader;
  for (let pos = start; pos < end; ) {
    const opcode = bytes[pos];
    pos = instructionEnd(bytes, pos);
    if (opcode !== endOpcode) continue;
    reader.skip(pos - start);
    return;
  }
  throw new DecodeError("unexpected end: a constant expression without end", end);
}
