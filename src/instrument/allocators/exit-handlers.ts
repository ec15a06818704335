import { instructionEnd, op } from "../../wasm/instructions.js";
import { u32At } from "../../wasm/leb128.js";
import type { Module } from "../../wasm/module.js";
import { countLocals } from "../../wasm/sections/code.js";

/**
 * Whether a function is what clang makes of a destructor to be called at exit: it takes an address that it does not look at,
 * and calls one function that takes and gives nothing. What runs when a program ends tears down what the allocator
 * itself holds, often by copies of its own parts.
 */
export function isExitHandler(module: Module, index: number): boolean {
  const { bytes, bodies, importedFunctionCount } = module;
  const body = index - importedFunctionCount;
  const { params, results } = module.functionType(index);
  if (body < 0 || params.length !== 1 || results.length > 0) return false;
  const end = bodies.end[body]!;
  const call = countLocals(bytes, bodies.start[body]!, end).end;
  if (bytes[call] !== op.call) return false;
  const callee = module.functionType(u32At(bytes, call + 1));
  const next = instructionEnd(bytes, call);
  const last = bytes[next] === op.return ? next + 1 : next;
  return callee.params.length === 0 && callee.results.length === 0 && last === end - 1;
}
