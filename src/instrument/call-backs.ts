/**
 * Which imports may call back into the module. Calls of those need a calling context, and so does every call
 * that leads there; on a JavaScript interpreter the imports that can't are the difference between instrumenting
 * 64 % and 90 % of the calls, because an assertion or a bounds check that ends in `abort` is everywhere.
 */
import { op } from "../wasm/instructions.js";
import { skipLeb } from "../wasm/leb128.js";
import type { Module } from "../wasm/module.js";
import { externalKind } from "../wasm/types.js";
import type { Sites } from "./walker.js";

/** Host functions of Emscripten that only compute or do input and output. */
const plainHostFunctions =
  /^(_?_?emscripten_(memcpy|date_now|get_now|resize_heap)|__syscall_|_(tzset|gmtime|localtime|mktime)_js)/;

/** Function indices of the imports that may call back. */
export function importsThatCallBack(module: Module, sites: Sites): number[] {
  const returns = importsThatReturn(module, sites);
  const found: number[] = [];
  let index = -1;
  for (const item of module.imports) {
    if (item.kind !== externalKind.function) continue;
    index++;
    if (item.module.startsWith("wasi_") || plainHostFunctions.test(item.name)) continue;
    if (returns[index]) found.push(index);
  }
  return found;
}

/** An import whose every call is followed by `unreachable` doesn't return: it aborts or throws. */
function importsThatReturn(module: Module, sites: Sites): Uint8Array {
  const imported = module.importedFunctionCount;
  const called = new Uint8Array(imported);
  const returns = new Uint8Array(imported);
  for (let site = 0; site < sites.count; site++) {
    const target = sites.target[site];
    if (sites.opcode[site] !== op.call || target >= imported) continue;
    called[target] = 1;
    if (module.bytes[skipLeb(module.bytes, sites.position[site] + 1)] !== op.unreachable) returns[target] = 1;
  }
  // one that is never called directly is reached through a table
  return returns.map((value, index) => (called[index] ? value : 1));
}
