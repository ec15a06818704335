/**
 * Modules that are linked at run time (Emscripten's side modules): they share a memory and use another module's
 * allocator, each with a calling context of its own. A side module hands its context over for the time of a
 * call that may allocate, so that an allocation knows both chains.
 */
import { op } from "../wasm/instructions.js";
import type { Module } from "../wasm/module.js";
import { externalKind, type FunctionType, valueType } from "../wasm/types.js";
import { CodeWriter } from "./emit.js";

/** Functions of the C library that never allocate; lexers call them for every character. */
const plainLibraryFunctions =
  /^_?_?(is(w?)(alpha|alnum|digit|xdigit|space|upper|lower|punct|print|cntrl|blank|graph)|tow?(upper|lower)|mem(cpy|move|set|cmp|chr)|str(len|n?cmp|n?cpy|r?chr|n?cat|str)|abort|assert_fail|stack_chk_fail)$/;

/** Whether a module is linked at run time into a program that another module began. */
export function isSideModule(module: Module): boolean {
  const linked = module.custom("dylink.0") ?? module.custom("dylink");
  return linked !== undefined && module.importedMemoryCount > 0;
}

/** Function indices of the imports through which a side module may allocate; none for other modules. */
export function allocatingImports(module: Module): number[] {
  if (!isSideModule(module)) return [];
  const found: number[] = [];
  let index = -1;
  for (const item of module.imports) {
    if (item.kind !== externalKind.function) continue;
    index++;
    if (!plainLibraryFunctions.test(item.name)) found.push(index);
  }
  return found;
}

/**
 * Body of the function that stands in for such an import where it is called.
 * @param context global with this module's context
 * @param carry the recorder's function that takes a context and returns the one it had
 */
export function carrierBody(type: FunctionType, target: number, context: number, carry: number): Uint8Array {
  const code = new CodeWriter(32);
  const previous = type.params.length;
  code.u32(1);
  code.op(1, valueType.i64);
  code.globalGet(context).call(carry).localSet(previous);
  code.params(type.params.length).call(target);
  code.localGet(previous).call(carry).op(op.drop).end();
  return code.finish();
}
