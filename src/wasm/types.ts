/**
 * The types of the binary format, used by decoder and encoder alike. Numbers that the format writes as one
 * byte keep that byte as their value, so that neither side converts anything.
 */

/** A section as it lies in the module. `bytes` covers header and payload, and is written back as it was. */
export interface RawSection {
  id: number;
  /** Name of a custom section. */
  name?: string;
  /** Offset of the section's first byte (its id) in the module. */
  offset: number;
  /** The whole section: id, size, payload. */
  bytes: Uint8Array;
  /** Where in `bytes` the payload begins; for custom sections after the name. */
  payloadStart: number;
}

export const sectionId = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
  tag: 13,
} as const;

/** Byte of a number or vector type, or of a shorthand reference type; other reference types in full. */
export type ValueType = number | ReferenceType;

export const valueType = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b, funcref: 0x70, externref: 0x6f } as const;

export interface ReferenceType {
  nullable: boolean;
  /** Index of a type when ≥ 0, otherwise an abstract heap type as the format's signed number (func: -16). */
  heap: number;
}

export interface FunctionType {
  kind: "func";
  params: ValueType[];
  results: ValueType[];
}

export interface Limits {
  /** Pages of a memory, elements of a table. bigint-free: 64-bit limits above 2^53 are refused. */
  min: number;
  max?: number;
  shared: boolean;
  /** Addresses are 64 bits wide. */
  index64: boolean;
  /** log2 of the page size, where the module gives one (custom page sizes). */
  pageSizeLog2?: number;
}

/** External kinds as the format numbers them. */
export const externalKind = { function: 0, table: 1, memory: 2, global: 3, tag: 4 } as const;
