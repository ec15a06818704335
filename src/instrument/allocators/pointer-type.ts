import type { Module } from "../../wasm/module.js";
import { type ValueType, valueType } from "../../wasm/types.js";

/** Type of addresses in the first memory. */
export function pointerType(module: Module): ValueType {
  const imported = module.imports.flatMap((item) => ("memory" in item ? [item.memory] : []));
  return [...imported, ...module.memories][0]?.index64 ? valueType.i64 : valueType.i32;
}
