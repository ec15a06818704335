/**
 * Which imports may call back into the module. Calls of those need a calling context, and so does every call
 * that leads there; on a JavaScript interpreter the imports that can't are the difference between instrumenting
 * 64 % and 90 % of the calls, because an assertion or a bounds check that ends in `abort` is everywhere.
 */
import type { Module } from "../wasm/module.js";
import { externalKind } from "../wasm/types.js";
import type { Callers } from "./reachability.js";

/** Host functions of Emscripten that only compute or do input and output. */
const plainHostFunctions =
  /^(_?_?emscripten_(memcpy|date_now|get_now|resize_heap)|__syscall_|_(tzset|gmtime|localtime|mktime)_js)/;

/** Function indices of the imports that may call back. */
export function importsThatCallBack(module: Module, callers: Callers): number[] {
  // one whose every call is followed by `unreachable` doesn't return: it aborts or throws
  const returns = callers.importsThatReturn();
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
