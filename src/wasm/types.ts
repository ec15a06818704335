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

export const valueType = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
  funcref: 0x70,
  externref: 0x6f,
} as const;

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

/** Packed types of fields: i8 and i16. */
export const packedType = { i8: 0x78, i16: 0x77 } as const;

export interface FieldType {
  /** A value type or, as its byte, a packed type. */
  type: ValueType;
  mutable: boolean;
}

interface StructType {
  kind: "struct";
  fields: FieldType[];
}

interface ArrayType {
  kind: "array";
  element: FieldType;
}

/** What the GC proposal adds around a type. A plain function type has neither. */
interface Subtyping {
  /** Absent for the short form, which means final and without supertypes. */
  sub?: { final: boolean; supertypes: number[] };
  /** On the first type of a recursion group: how many types the group has. Absent outside of groups. */
  groupSize?: number;
}

/** One entry of the type index space. */
export type TypeDefinition = (FunctionType | StructType | ArrayType) & Subtyping;

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

/** Instructions of a constant expression, the final `end` included. */
export type ConstantExpression = Uint8Array;

export interface TableType {
  /** A reference type. */
  element: ValueType;
  limits: Limits;
}

/** A defined table. */
export interface Table extends TableType {
  /** First value of its elements, when it is not null. */
  init?: ConstantExpression;
}

export interface GlobalType {
  type: ValueType;
  mutable: boolean;
}

/** A defined global. */
export interface Global extends GlobalType {
  init: ConstantExpression;
}

/** What an import provides; functions and tags by type index. */
export type ImportType =
  | { kind: typeof externalKind.function; type: number }
  | { kind: typeof externalKind.table; table: TableType }
  | { kind: typeof externalKind.memory; memory: Limits }
  | { kind: typeof externalKind.global; global: GlobalType }
  | { kind: typeof externalKind.tag; type: number };

export type Import = { module: string; name: string } & ImportType;

export interface Export {
  name: string;
  /** One of `externalKind`. */
  kind: number;
  index: number;
}

/** Bits of an element segment's `flags`. */
export const elementFlag = {
  /** Passive; together with `explicit` declarative. */
  passive: 1,
  /** A segment that is not passive names its table. */
  explicit: 2,
  /** Elements are constant expressions, not function indices. */
  expressions: 4,
} as const;

export interface ElementSegment {
  /** As in the format: 0 to 7, `elementFlag` added up. */
  flags: number;
  /** Table of an active segment; 0 in others. */
  table: number;
  /** Only of an active segment. */
  offset?: ConstantExpression;
  /** Type of the elements; funcref where the format leaves it out. */
  type: ValueType;
  /** The elements, without `elementFlag.expressions`. */
  functions?: number[];
  /** The elements, with `elementFlag.expressions`. */
  expressions?: ConstantExpression[];
}

export interface DataSegment {
  /** As in the format: 0 active in memory 0, 1 passive, 2 active in `memory`. */
  flags: number;
  memory: number;
  /** Only of an active segment. */
  offset?: ConstantExpression;
  bytes: Uint8Array;
}

/**
 * Where function bodies lie in the module: entry i of each array is the i-th defined function. Columns instead
 * of objects, since a module may have a hundred thousand of them.
 */
export interface FunctionBodies {
  count: number;
  /** Offset of the body's size. */
  sizeStart: Uint32Array;
  /** Offset of the body itself: its locals, then its instructions. */
  start: Uint32Array;
  /** Offset behind the body. */
  end: Uint32Array;
}

/** `count` locals of one type, as function bodies declare them. */
export interface LocalGroup {
  count: number;
  type: ValueType;
}

/** Names by index. */
export type NameMap = Map<number, string>;

/** Names by two indices, such as function and local. */
export type IndirectNameMap = Map<number, NameMap>;

/** The name section. Names are for people: malformed UTF-8 reads as U+FFFD. */
export interface Names {
  /** Not all of those that were asked for could be read. */
  damaged?: true;
  module?: string;
  functions?: NameMap;
  locals?: IndirectNameMap;
  labels?: IndirectNameMap;
  types?: NameMap;
  tables?: NameMap;
  memories?: NameMap;
  globals?: NameMap;
  elements?: NameMap;
  data?: NameMap;
  /** Fields by type and field index. */
  fields?: IndirectNameMap;
  tags?: NameMap;
}
