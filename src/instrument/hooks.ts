/**
 * Hooks: what stands in the place of an allocator function. The function's own body moves to a new index and the
 * hook takes its old one, so every way to the function leads through it: calls, tables, references, exports.
 *
 * Allocator functions call each other and only the outermost call counts. That state is the lowest bit of the
 * calling context (context.ts): the hook sets it for the time of the call. A function that runs outside of the
 * allocator has the bit clear in the copy of the context that it took on entry, and writes it back before its
 * next call; so a trap, an exception or a `longjmp` out of the allocator needs no tidying up.
 */
import { op } from "../wasm/instructions.js";
import { type FunctionType, type ValueType, valueType } from "../wasm/types.js";
import { CodeWriter } from "./emit.js";
import { type AllocatorRole, type ArgumentMeaning, allocatorRoles } from "./roles.js";

/** Indices, in the instrumented module, of what hooks use. */
export interface HookTargets {
  context: number;
  pending: number;
  alloc: number;
  free: number;
  realloc: number;
}

/** Whether a function of this type can have this role; hooks rely on it. */
export function fitsRole(role: AllocatorRole, type: FunctionType): boolean {
  const { params, returns } = allocatorRoles[role];
  if (type.params.length < params.length || !type.params.every(isInteger)) return false;
  if (returns === "nothing") return type.results.length <= 1;
  return type.results.length === 1 && isInteger(type.results[0]);
}

function isInteger(type: ValueType): boolean {
  return type === valueType.i32 || type === valueType.i64;
}

/**
 * Body of the hook for an allocator function, its declaration of locals included.
 * @param original index of the function with the original body
 */
export function hookBody(
  role: AllocatorRole,
  type: FunctionType,
  original: number,
  targets: HookTargets,
): Uint8Array {
  const code = new CodeWriter(160);
  const { context, pending } = targets;
  const shape = allocatorRoles[role];
  const parameterCount = type.params.length;
  const saved = parameterCount;
  const result = parameterCount + 1;
  const argument = (meaning: ArgumentMeaning) =>
    (shape.params as readonly ArgumentMeaning[]).indexOf(meaning);
  const isWide = (index: number) => type.params[index] === valueType.i64;

  const address = (index: number, wide: boolean) => {
    code.localGet(index);
    if (!wide) return;
    // an address above 4 GiB keeps its upper part in the low bits, which alignment leaves free
    code.op(op.i32WrapI64).localGet(index).i64Const(32).op(op.i64ShrU, op.i32WrapI64, op.i32Or);
  };
  const size = () => {
    const at = argument("size");
    const count = argument("count");
    const wide = isWide(at);
    code.localGet(at);
    if (count >= 0) code.localGet(count).op(wide ? op.i64Mul : op.i32Mul);
    if (!wide) return;
    // the recorder counts in 32 bits: a larger block is shown as 4 GiB
    code.localSet(result + 1).i32Const(-1).localGet(result + 1).op(op.i32WrapI64);
    code.localGet(result + 1).i64Const(0xffffffff).op(op.i64GtU, op.select);
  };

  const locals: [number, ValueType][] = [[1, valueType.i64]];
  if (shape.returns !== "nothing") {
    locals.push([1, type.results[0]]);
    if (isWide(argument("size"))) locals.push([1, valueType.i64]);
  }
  code.u32(locals.length);
  for (const [count, localType] of locals) {
    code.u32(count);
    code.byte(localType as number);
  }

  code.globalGet(context).localTee(saved).op(op.i32WrapI64).i32Const(1).op(op.i32And);
  code.if().params(parameterCount).returnCall(original).end();

  if (shape.returns === "nothing") {
    const block = argument("block");
    address(block, isWide(block));
    code.call(targets.free).globalSet(pending);
  }
  code.localGet(saved).i64Const(1).op(op.i64Or).globalSet(context);
  code.params(parameterCount).call(original);

  if (shape.returns !== "nothing") {
    code.localSet(result);
    const wideResult = type.results[0] === valueType.i64;
    if (shape.returns === "error") {
      // nothing was allocated unless the call returned 0
      const out = argument("out");
      code.localGet(result);
      code.op(wideResult ? op.i64Eqz : op.i32Eqz).if();
      code.localGet(out);
      if (isWide(out)) {
        code.load(op.i64Load).op(op.i32WrapI64);
        code.localGet(out).load(op.i64Load).i64Const(32).op(op.i64ShrU, op.i32WrapI64, op.i32Or);
      } else {
        code.load(op.i32Load);
      }
      size();
      code.localGet(saved).call(targets.alloc).globalSet(pending).end();
    } else {
      const block = argument("block");
      if (block >= 0) address(block, isWide(block));
      address(result, wideResult);
      size();
      code.localGet(saved).call(block >= 0 ? targets.realloc : targets.alloc).globalSet(pending);
    }
    code.localGet(result);
  }
  code.localGet(saved).globalSet(context).end();
  return code.finish();
}
