// Types with a `Symbol.dispose` method need this library; targets before ESNext don't have it by themselves.
/// <reference lib="esnext.disposable" preserve="true" />

/** The library: `import { … } from "linmem"`. */
export * from "./errors.js";
export type { Allocator, Content, LiveBlocks } from "./memory/allocator.js";
export { Arena, ArenaMark, type ArenaOptions } from "./memory/arena.js";
export { type ArrayCopy, ArrayType, type ArrayView, array, type TypedArrayOf } from "./memory/array-type.js";
export type { ArrayBlock, Block, Encoding, OwnedBlock, StringBlock, StructBlock } from "./memory/blocks.js";
export { Budget, type Budgeted, type BudgetOptions, type PressureEvent } from "./memory/budget.js";
export { BufferMemory } from "./memory/buffer-memory.js";
export {
  type AnyFunction,
  allocators,
  type BindgenFunctions,
  type CFunctions,
  type ComponentFunctions,
  type Convention,
  type ExportedFunction,
  type FunctionFinder,
  type ModuleAllocator,
  type NamedFunctions,
} from "./memory/conventions.js";
export type { DataSource } from "./memory/data-source.js";
export {
  type AnyType,
  bool,
  type CopyOf,
  DataType,
  type EnumBase,
  enumeration,
  f32,
  f64,
  type InitOf,
  i8,
  i16,
  i32,
  i64,
  type MemberName,
  type NumberOf,
  NumberType,
  type Pointer,
  type PointsTo,
  pointer,
  ScalarType,
  type TypedArrays,
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
export type { HeapOptions, HeapTarget, OpenOptions } from "./memory/heap/arguments.js";
export type { HeapBlock } from "./memory/heap/check.js";
export type { CompactionStep } from "./memory/heap/compact.js";
export { Heap } from "./memory/heap/heap.js";
export { MovableBlock, Pin } from "./memory/heap/movable.js";
export type { HeapStats } from "./memory/heap/stats.js";
export {
  type ImportValue,
  type IsolatedInstance,
  type IsolationOptions,
  instantiateIsolated,
  type PluginExports,
  type RefusedGrowth,
} from "./memory/isolated.js";
export { type GrowthEvent, LinearMemory, type LinearMemoryOptions } from "./memory/linear-memory.js";
export { ModuleHeap, type ModuleHeapOptions } from "./memory/module-heap.js";
export { Owned } from "./memory/owned.js";
export {
  type BlockOptions,
  type ElementType,
  OwningHeap,
  type StringOptions,
  type TypeNamed,
} from "./memory/owning-heap.js";
export { PAGE_SIZE } from "./memory/pages.js";
export { Region } from "./memory/region.js";
export { type LiveMemory, liveMemories, type ResidentReader, setResidentReader } from "./memory/registry.js";
export { type MarkedMemory, Scope } from "./memory/scope.js";
export {
  type FieldLayout,
  type ScalarFields,
  type StructCopy,
  type StructFields,
  type StructInit,
  type StructType,
  type StructValue,
  struct,
  type Value,
} from "./memory/struct.js";
export type { Subscription } from "./memory/subscription.js";
export type { Address } from "./memory/views.js";
