/**
 * What modules import from a loader or from the script around them: where their data, their stack and the heap begin.
 *
 * Modules that are linked when they are loaded (`-sMAIN_MODULE`, side modules) import from their loader where their data,
 * their stack and the heap begin. With zeros for all of these the stack lies below the memory, the heap over the data, and no
 * allocator works: tree-sitter's was searched for in vain for a second and a half, and is found in a hundredth of that.
 */
import { DecodeError } from "../../errors.js";
import { decodeDylink } from "../../wasm/dylink.js";
import type { Module } from "../../wasm/module.js";
import { lowestAddress } from "./body-facts.js";

const alignment = 1 << 16;
const stackSize = 1 << 16;
/** Where no section tells how much static memory there is, this much for what has no data. */
const unknownZeros = 1 << 18;

export interface FromLoader {
  /** Values by the names of imported globals. */
  globals: ReadonlyMap<string, number>;
  /** Where the script writes the end of the heap before anything runs; undefined where none does. */
  breakAt?: number;
  heapBase: number;
}

/** A loader puts the stack behind the data, and the heap behind the stack. */
export function loaderGlobals(module: Module): FromLoader {
  const stackLow = Math.ceil((lowestAddress + staticSize(module)) / alignment) * alignment;
  const heapBase = stackLow + stackSize;
  const globals = new Map([
    ["__memory_base", lowestAddress],
    ["__stack_low", stackLow],
    ["__stack_high", heapBase],
    ["__stack_pointer", heapBase],
    ["__heap_base", heapBase],
    // before 2020; this stack grows upwards
    ["STACKTOP", stackLow],
    ["STACK_MAX", heapBase],
    ["DYNAMICTOP_PTR", stackLow - 16],
    ["tempDoublePtr", stackLow - 32],
  ]);
  const isOld = module.imports.some(({ name }) => name === "DYNAMICTOP_PTR");
  return { globals, heapBase, ...(isOld && { breakAt: stackLow - 16 }) };
}

function staticSize(module: Module): number {
  for (const name of ["dylink.0", "dylink"] as const) {
    const section = module.custom(name);
    if (!section) continue;
    try {
      const size = decodeDylink(module.reader(section), name).memory?.size;
      if (size !== undefined) return size;
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
    }
  }
  return module.data.reduce((sum, { bytes }) => sum + bytes.length, unknownZeros);
}
