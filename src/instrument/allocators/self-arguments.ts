/** What a module's code passes as `self`: the address of an allocator's state, where it isn't known inside. */
import { instructionEnd, op } from "../../wasm/instructions.js";
import { u32At } from "../../wasm/leb128.js";
import type { Module } from "../../wasm/module.js";
import { countLocals } from "../../wasm/sections/code.js";
import type { CallGraph } from "../call-graph.js";
import { lowestAddress, signedAt } from "./body-facts.js";
import { pointerType } from "./pointer-type.js";

/** Callers that are looked at. */
const mostCallers = 40;

/** Values that calls of `callee` pass first, as far as the code shows them: addresses of an allocator's state. */
export function firstArguments(module: Module, graph: CallGraph, callee: number): SelfArgument[] {
  const count = new Map<string, { value: SelfArgument; seen: number }>();
  const parameters = module.functionType(callee).params.length;
  for (const caller of graph.callers(callee).slice(0, mostCallers)) {
    const { bytes, bodies } = module;
    const body = caller - module.importedFunctionCount;
    const recent: (SelfArgument | undefined)[] = [];
    for (let pos = countLocals(bytes, bodies.start[body], bodies.end[body]).end; pos < bodies.end[body]; ) {
      const opcode = bytes[pos];
      if (opcode === op.call && u32At(bytes, pos + 1) === callee) {
        // the nearest constants first: arguments may be made by several instructions
        for (const value of recent.slice(-parameters - 6)) {
          if (!value) continue;
          const key = `${value.kind} ${value.value}`;
          const entry = count.get(key) ?? { value, seen: 0 };
          entry.seen++;
          count.set(key, entry);
        }
      }
      const constant = opcode === op.i32Const ? signedAt(bytes, pos + 1) : 0;
      if (constant >= lowestAddress) recent.push({ kind: "constant", value: constant });
      else if (opcode === op.globalGet) recent.push({ kind: "global", value: u32At(bytes, pos + 1) });
      else if (opcode === op.call && givesPointer(module, u32At(bytes, pos + 1)))
        recent.push({ kind: "call", value: u32At(bytes, pos + 1) });
      else recent.push(undefined);
      pos = instructionEnd(bytes, pos);
    }
  }
  return [...count.values()].sort((a, b) => b.seen - a.seen).map(({ value }) => value);
}

/** A function of the module's own that takes nothing: it may set the state up when it is first asked for. */
function givesPointer(module: Module, index: number): boolean {
  if (index < module.importedFunctionCount) return false;
  const { params, results } = module.functionType(index);
  return params.length === 0 && results.length === 1 && results[0] === pointerType(module);
}

export interface SelfArgument {
  kind: "constant" | "global" | "call";
  /** The constant, the global's index, or that of a function that returns it. */
  value: number;
}
