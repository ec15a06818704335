/**
 * Tells the checker which addresses JavaScript knows: what it gives to exported functions and gets from them, and what imported
 * functions get. Blocks that nothing in the memory leads to may be held there (the object that wasm-bindgen makes for a pointer,
 * a handle of a library in C), and are no leaks then. Numbers that are no addresses are told too: which is which nobody knows.
 *
 * A function is put in front of each of those, and of its entry. It does nothing else, and stands for it wherever JavaScript can
 * see it.
 */
import { op } from "../../wasm/instructions.js";
import type { Module } from "../../wasm/module.js";
import { externalKind, type FunctionType, type ValueType, valueType } from "../../wasm/types.js";
import { allocatingImports, isSideModule } from "../dynamic-linking.js";
import { CodeWriter } from "../emit.js";

export interface Exposer {
  /** Index in the original module. */
  target: number;
  /** Index in the instrumented module. */
  index: number;
  /** What it calls, in the instrumented module. */
  inner: number;
  /** Calls from wasm arrive too, through tables. */
  inTable: boolean;
  /** Those are so many that only what JavaScript itself calls is told. */
  outermostOnly: boolean;
}

/** Hosts of these copy what they are given. `invoke_…` of Emscripten hands its arguments straight back to the module. */
const keepsNothing = (module: string, name: string) => /^wasi[_:]/.test(module) || /^invoke_/.test(name);

/** Imports through which JavaScript may get an address, by their index. */
export function exposingImports(module: Module): number[] {
  const own = isSideModule(module) ? new Set(allocatingImports(module)) : undefined;
  const found: number[] = [];
  let index = -1;
  for (const item of module.imports) {
    if (item.kind !== externalKind.function) continue;
    index++;
    if (own ? !own.has(index) : keepsNothing(item.module, item.name)) continue;
    if (module.functionType(index).params.includes(valueType.i32)) found.push(index);
  }
  return found;
}

/** Functions of the module that JavaScript can call by their names and that take or give what may be an address. */
export function exposingExports(module: Module): Set<number> {
  const found = new Set<number>();
  for (const { kind, index } of module.exports) {
    if (kind === externalKind.function && index >= module.importedFunctionCount && mayExpose(module, index)) {
      found.add(index);
    }
  }
  return found;
}

export function mayExpose(module: Module, index: number): boolean {
  const { params, results } = module.functionType(index);
  return params.includes(valueType.i32) || results.includes(valueType.i32);
}

export interface ExposerTargets {
  /** The checker's function. */
  expose: number;
  /** Global with the context; undefined where there is none. */
  context: number | undefined;
  /** Whether the module has tail calls through tables, which must not use up the stack here. */
  tailCalls: boolean;
}

/** Without its size. */
export function exposerBody(
  type: FunctionType,
  { inner, inTable, outermostOnly }: Exposer,
  { expose, context, tailCalls }: ExposerTargets,
): Uint8Array {
  const { params, results } = type;
  const code = new CodeWriter(64);
  const held = results.includes(valueType.i32) && results.every(isNumber) ? results : [];
  code.u32(held.length);
  for (const result of held) code.op(1, result);
  const passOn = () => code.params(params.length).returnCall(inner);
  if (outermostOnly && context !== undefined) {
    code.globalGet(context).i64Const(0).op(op.i64Ne).if();
    passOn().end();
  }
  exposeAll(code, params, 0, expose);
  if (tailCalls && inTable && !outermostOnly) {
    if (context === undefined) return passOn().end().finish();
    code.globalGet(context).i64Const(0).op(op.i64Ne).if();
    passOn().end();
  }
  code.params(params.length).call(inner);
  for (let i = held.length - 1; i >= 0; i--) code.localSet(params.length + i);
  exposeAll(code, held, params.length, expose);
  held.forEach((_, i) => {
    code.localGet(params.length + i);
  });
  return code.end().finish();
}

function exposeAll(code: CodeWriter, types: readonly ValueType[], first: number, expose: number): void {
  types.forEach((type, i) => {
    if (type === valueType.i32) code.localGet(first + i).call(expose);
  });
}

function isNumber(type: ValueType): type is number {
  return typeof type === "number" && type >= valueType.v128;
}
