// Types with a `Symbol.dispose` method need this library; targets before ESNext don't have it by themselves.
/// <reference lib="esnext.disposable" preserve="true" />

/** The library: `import { … } from "linmem"`. */
export * from "./errors.js";
export type { Allocator, Content } from "./memory/allocator.js";
export { ArrayType, type ArrayView, array } from "./memory/array-type.js";
export type { ArrayBlock, Block, Encoding, OwnedBlock, StringBlock, StructBlock } from "./memory/blocks.js";
export { Budget, type PressureEvent } from "./memory/budget.js";
export {
  allocators,
  type Convention,
  type ExportedFunction,
  type ModuleAllocator,
} from "./memory/conventions.js";
export type { DataSource } from "./memory/data-source.js";
export {
  type AnyType,
  bool,
  type CopyOf,
  DataType,
  enumeration,
  f32,
  f64,
  type InitOf,
  i8,
  i16,
  i32,
  i64,
  NumberType,
  type Pointer,
  pointer,
  ScalarType,
  u8,
  u16,
  u32,
  u64,
  type ValueOf,
} from "./memory/data-types.js";
export {
  type DevelopmentOptions,
  disableDevelopmentMode,
  enableDevelopmentMode,
  type UnreleasedReport,
} from "./memory/development.js";
export type { AddressType } from "./memory/engine.js";
export type { Loads, ScalarName } from "./memory/field-views.js";
export { type BlockOptions, OwningHeap, type StringOptions } from "./memory/heap.js";
export {
  type IsolatedInstance,
  type IsolationOptions,
  instantiateIsolated,
  type RefusedGrowth,
} from "./memory/isolated.js";
export { type GrowthEvent, LinearMemory, type LinearMemoryOptions } from "./memory/linear-memory.js";
export { ModuleHeap, type ModuleHeapOptions } from "./memory/module-heap.js";
export { Owned } from "./memory/owned.js";
export { PAGE_SIZE } from "./memory/pages.js";
export { Region } from "./memory/region.js";
export { type LiveMemory, liveMemories, type ResidentReader, setResidentReader } from "./memory/registry.js";
export { Scope } from "./memory/scope.js";
export {
  type FieldLayout,
  type StructCopy,
  type StructInit,
  type StructType,
  type StructValue,
  struct,
  type Value,
} from "./memory/struct.js";
export type { Subscription } from "./memory/subscription.js";
export type { Address } from "./memory/views.js";
