/**
 * Every bound of the decoder. Counts are the ones that engines agreed on in the WebAssembly JavaScript interface
 * ("Implementation-defined limits"); where one of the engines allows more, its number. A module beyond them
 * compiles nowhere, so that nothing is lost by refusing it; the two exceptions say so. Besides, no count may be larger than the bytes
 * that follow it could hold (`Reader.count`): nothing is ever allocated for elements that aren't there.
 */
export const limits = {
  /** Bytes of a module. */
  moduleSize: 1 << 30,
  types: 1_000_000,
  imports: 1_000_000,
  functions: 1_000_000,
  tables: 100_000,
  memories: 100_000,
  tags: 1_000_000,
  globals: 1_000_000,
  exports: 1_000_000,
  /** Engines take 10,000,000, which would be a gigabyte of objects here and is in no real module. */
  elementSegments: 100_000,
  /** Elements of one segment, as function indices. */
  elements: 10_000_000,
  /** Elements of a module, as expressions. Fewer than engines take, for the same reason. */
  elementExpressions: 1_000_000,
  dataSegments: 100_000,
  parameters: 1_000,
  results: 1_000,
  /** Supertypes of a type: the format has a list, the specification allows one. */
  supertypes: 1,
  structFields: 10_000,
  /** Bytes of a function body. */
  bodySize: 7_654_321,
  /** Locals of a function, without its parameters. */
  locals: 50_000,
  /** log2 of the largest custom page size that the binary format takes. */
  pageSizeLog2: 64,
  /** Entries of one map of the name section, and of lists in other small custom sections. */
  names: 10_000_000,
  /** Steps of reading debug information: entries, rows, ranges. A hundred megabytes of it take some ten million. */
  dwarfSteps: 100_000_000,
  /** Calls inlined into one another, at one address. */
  inlinedCalls: 200,
} as const;
