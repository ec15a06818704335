/** Allocator functions that go by a name, in the name section or among the exports. */
import type { Module } from "../../wasm/module.js";
import { externalKind, type FunctionType, type ValueType, valueType } from "../../wasm/types.js";
import type { AllocatorFunction } from "../roles.js";
import {
  type Convention,
  conventionsOf,
  type Family,
  fitsConvention,
  numberedBindgenExport,
  readableName,
} from "./conventions.js";
import { pointerType } from "./pointer-type.js";

export interface NamedFunction extends AllocatorFunction {
  family: Family;
  /** Only the script that came with the module calls it so. */
  byScript?: boolean;
}

export interface NamedFunctions {
  /** Functions that a module's own code calls to allocate and release. */
  functions: NamedFunction[];
  /** Exports through which the host allocates: the calls inside the module go elsewhere. */
  boundary: NamedFunction[];
  /** Functions of runtimes that collect, by name: the first of each. */
  runtime: ReadonlyMap<string, number>;
  notes: string[];
}

/** @param glue names of exports in C, by their minified ones */
export function findNamed(module: Module, glue: ReadonlyMap<string, string> = new Map()): NamedFunctions {
  const pointer = pointerType(module);
  const found = new Map<number, NamedFunction>();
  const notes: string[] = [];
  const consider = (name: string, index: number, evidence: string, byScript = false) => {
    const conventions = conventionsOf(name);
    if (conventions.length === 0 || found.has(index)) return;
    if (index < module.importedFunctionCount || index >= module.functionCount) return;
    const type = module.functionType(index);
    const fitting = conventions.find((convention) => fitsConvention(convention, type, pointer));
    if (fitting) {
      // of several exports the one that says what it is: functions with equal bodies are often merged into one
      const label = byScript || !module.functionName(index) ? name : functionLabel(module, index);
      const { role, family } = fitting;
      found.set(index, { role, index, name: label, evidence, confidence: "named", family, byScript });
    } else {
      notes.push(misfit(name, index, type, conventions));
    }
  };
  const runtime = new Map<string, number>();
  // one pass over all names: there may be a hundred thousand
  module.names.functions?.forEach((name, index) => {
    consider(name, index, "name section");
    if (isRuntimeName(name) && !runtime.has(name)) runtime.set(name, index);
  });
  for (const { name, kind, index } of module.exports) {
    if (kind !== externalKind.function) continue;
    const real = glue.get(name);
    if (real === undefined) consider(name, index, `export "${name}"`);
    else consider(real, index, `export "${name}", which the script calls "_${real}"`, true);
  }
  for (const { module: from, name, kind } of module.imports) {
    if (kind !== externalKind.function || conventionsOf(name).length === 0) continue;
    notes.push(`imports "${name}" of "${from}": its blocks are those of the module that provides it`);
  }
  const all = [...found.values()];
  return {
    functions: all.filter(({ family }) => family !== "boundary"),
    boundary: [...all.filter(({ family }) => family === "boundary"), ...numberedExports(module, pointer)],
    runtime,
    notes,
  };
}

/** Of the names that are looked for, in TinyGo's and AssemblyScript's runtimes: nearly all others are left out by their first letter. */
function isRuntimeName(name: string): boolean {
  const letter = name.charCodeAt(0);
  if (letter === letterR) return name.startsWith("runtime.");
  return letter === tilde && name.startsWith("~lib/rt/");
}

const [letterR, tilde] = ["r".charCodeAt(0), "~".charCodeAt(0)];

function misfit(name: string, index: number, type: FunctionType, conventions: readonly Convention[]): string {
  const role = conventions[0].role;
  return `"${name}" (function ${index}) has type ${typeText(type)}, which does not fit the role ${role}: not hooked`;
}

/** `__wbindgen_export_0` and so on: what they are shows only in their types, and in that the others exist. */
function numberedExports(module: Module, pointer: ValueType): NamedFunction[] {
  const roles = [
    ["alloc_aligned", 2, 1],
    ["wbindgen_realloc", 4, 1],
    ["free", 3, 0],
  ] as const;
  const candidates = module.exports.flatMap(({ name, kind, index }): NamedFunction[] => {
    if (kind !== externalKind.function || !numberedBindgenExport.test(name)) return [];
    if (index < module.importedFunctionCount || index >= module.functionCount) return [];
    const { params, results } = module.functionType(index);
    if (![...params, ...results].every((type) => type === pointer)) return [];
    const fit = roles.find(([, count, returned]) => params.length === count && results.length === returned);
    if (!fit) return [];
    return [
      { role: fit[0], index, name, evidence: `export "${name}"`, confidence: "named", family: "boundary" },
    ];
  });
  // closures and table helpers have these types too: only one of each kind is sure
  const single = roles.flatMap(([role]) => {
    const same = candidates.filter((candidate) => candidate.role === role);
    return same.length === 1 ? same : [];
  });
  return single.some(({ role }) => role === "alloc_aligned") ? single : [];
}

/** A function's name for people. */
export function functionLabel(module: Module, index: number): string {
  const name = module.functionName(index);
  if (name) return readableName(name);
  const exported = module.exports.find((item) => item.kind === externalKind.function && item.index === index);
  return exported?.name ?? `wasm-function[${index}]`;
}

const typeNames = new Map<ValueType, string>(Object.entries(valueType).map(([name, type]) => [type, name]));

/** `i32`; `ref` for reference types other than `funcref` and `externref`. */
export function valueTypeText(type: ValueType): string {
  return typeNames.get(type) ?? "ref";
}

/** `(i32, i32) → i32` */
export function typeText({ params, results }: FunctionType): string {
  const list = (types: readonly ValueType[]) => types.map(valueTypeText).join(", ");
  const returned =
    results.length === 0 ? "nothing" : results.length === 1 ? list(results) : `(${list(results)})`;
  return `(${list(params)}) → ${returned}`;
}
