/**
 * What a module says about the addresses of its memory: where its data lies, where its stack, where its heap begins.
 * LLVM's linker puts [stack][data] or [data][stack] below the heap; the data section tells of initialised data only,
 * so between what is known there may be more.
 */
import { constantOf } from "../wasm/constant.js";
import type { InitialData } from "../wasm/initial-data.js";
import type { Module } from "../wasm/module.js";
import { externalKind, type Global, valueType } from "../wasm/types.js";
import { allMemories } from "./plan.js";

const pageBytes = 65_536;
/** Modules of Go have thousands of segments, mostly side by side; of others the first ones do. */
const maximumRanges = 1024;

export interface MemoryLayout {
  /** Active segments of the first memory at constant addresses, ascending; touching ones are one. */
  data: [start: number, end: number][];
  stack?: [start: number, end: number];
  heapBase?: number;
  /** Mutable globals of a pointer's type that are neither exported nor the stack pointer. */
  hiddenGlobals: number;
}

/** @throws DecodeError when a section that says something about it is damaged */
export function memoryLayout(module: Module): MemoryLayout {
  const data = dataRanges(module.initialData.ascending());
  const pointer = stackPointer(module);
  const top = pointer && stackTop(module, pointer.global);
  const dataEnd = data.at(-1)?.[1] ?? 0;
  const stack = top === undefined ? undefined : stackRange(top, data);
  const exported = exportedGlobal(module, "__heap_base") ?? namedGlobal(module, "__heap_base");
  const heapBase =
    (exported && constantOf(exported.global.init)) ?? (top !== undefined && top >= dataEnd ? top : undefined);
  return {
    data,
    ...(stack && { stack }),
    ...(heapBase !== undefined && heapBase > 0 && { heapBase }),
    hiddenGlobals: hiddenGlobals(module, pointer?.index),
  };
}

function dataRanges(initial: InitialData): [start: number, end: number][] {
  const joined: [number, number][] = [];
  let last: [number, number] | undefined;
  for (let segment = 0; segment < initial.count; segment++) {
    const start = initial.starts[segment];
    const end = initial.end(segment);
    // the linker aligns what follows
    if (last && start <= last[1] + 16) last[1] = Math.max(last[1], end);
    else joined.push((last = [start, end]));
  }
  if (joined.length <= maximumRanges) return joined;
  const rest = joined.splice(maximumRanges - 1);
  return [...joined, [rest[0]![0], rest.at(-1)![1]]];
}

export interface FoundGlobal {
  index: number;
  global: Global;
}

/** The global by its name, or the first of all where it looks like LLVM's stack pointer. */
export function stackPointer(module: Module): FoundGlobal | undefined {
  const named = namedGlobal(module, "__stack_pointer") ?? exportedGlobal(module, "__stack_pointer");
  if (named) return named;
  const names = module.names.globals;
  if (names && names.size > 0) return undefined;
  const [global] = module.globals;
  // more mutable globals than a handful are a program's own: AssemblyScript, Go
  if (!global?.mutable || module.globals.filter(({ mutable }) => mutable).length > 4) return undefined;
  return { index: module.importedGlobalCount, global };
}

/** Where the stack begins, at its upper end. */
function stackTop(module: Module, { type, init }: Global): number | undefined {
  if (type !== valueType.i32) return undefined;
  const top = constantOf(init) ?? 0;
  const [memory] = allMemories(module);
  const plausible = top >= 1024 && top % 16 === 0 && memory && top <= memory.min * pageBytes;
  return plausible ? top : undefined;
}

function stackRange(top: number, data: readonly (readonly [number, number])[]): [number, number] {
  const below = data.filter(([start]) => start < top);
  return [below.reduce((end, range) => Math.max(end, Math.min(range[1], top)), 0), top];
}

function hiddenGlobals(module: Module, stackPointerIndex: number | undefined): number {
  const exported = new Set(
    module.exports.filter(({ kind }) => kind === externalKind.global).map(({ index }) => index),
  );
  const first = module.importedGlobalCount;
  return module.globals.filter(
    ({ type, mutable }, i) =>
      mutable &&
      (type === valueType.i32 || type === valueType.i64) &&
      first + i !== stackPointerIndex &&
      !exported.has(first + i),
  ).length;
}

function namedGlobal(module: Module, name: string): FoundGlobal | undefined {
  for (const [index, found] of module.names.globals ?? []) {
    if (found === name) return definedGlobal(module, index);
  }
  return undefined;
}

function exportedGlobal(module: Module, name: string): FoundGlobal | undefined {
  const found = module.exports.find((item) => item.kind === externalKind.global && item.name === name);
  return found && definedGlobal(module, found.index);
}

function definedGlobal(module: Module, index: number): FoundGlobal | undefined {
  const global = module.globals[index - module.importedGlobalCount];
  return global && { index, global };
}
