/**
 * Hooks at functions of Go, whose code runs on stacks of its own in linear memory. To the engine every function is
 * `(block) → unwinds`: it begins at its beginning when `block` is 0, and goes on inside of its body otherwise; it returns
 * 1 to have the engine's stack unwound, because another goroutine is to run or the stack in memory has to grow, and is
 * called again later. So a call of Go has happened when its function returns 0, once, however often it was entered.
 *
 * ```
 *  on the way in            after it returned 0
 *  SP → | return address |  SP → | size | type | zeroed | result |
 *       | size | type …
 * ```
 *
 * A hook only reads what lies at the stack pointer, from where the function itself reads its arguments.
 */
import { op } from "../wasm/instructions.js";
import { type FunctionType, valueType } from "../wasm/types.js";
import type { CodeWriter } from "./emit.js";
import {
  enterAllocator,
  type Hook,
  type HookRelations,
  type HookTargets,
  ifOutermost,
  leaveAllocator,
  saveContext,
} from "./hook-state.js";

/** Go's stack pointer: the linker writes it first. */
const goStackPointer = 0;
const wordSize = 8;

export function isGoFunction({ params, results }: FunctionType): boolean {
  const only = (types: FunctionType["params"]) => types.length === 1 && types[0] === valueType.i32;
  return only(params) && only(results);
}

/** `mallocgc(size uintptr, typ *_type, needzero bool) unsafe.Pointer`: it never fails. */
export function goAllocationHook(targets: HookTargets, relations: HookRelations): Hook {
  const [size, resumed, result, saved] = [0, 1, 2, 3];
  return {
    locals: [valueType.i32, valueType.i32, valueType.i32, valueType.i64],
    before(code, first) {
      // the body uses its parameter as a variable, and the place of an argument as well
      code.localGet(0).localSet(first + resumed);
      sizeAt(code, wordSize);
      code.localSet(first + size);
      saveContext(code, first + saved, targets, relations);
      enterAllocator(code, first + saved, targets, relations);
    },
    after(code, first) {
      code
        .localTee(first + result)
        .op(op.i32Eqz)
        .if();
      ifOutermost(code, first + saved, relations, () => {
        code.localGet(first + resumed).if();
        sizeAt(code, 0);
        code.localSet(first + size).end();
        code
          .localGet(first + size)
          .localGet(first + saved)
          .call(targets.counted)
          .globalSet(targets.pending);
      });
      code.end();
      leaveAllocator(code, first + saved, targets, relations);
      code.localGet(first + result);
    },
  };
}

/** A function that is called once for each collection. */
export function goCollectionHook(targets: HookTargets): Hook {
  return {
    locals: [valueType.i32],
    before: () => {},
    after(code, first) {
      code.localTee(first).op(op.i32Eqz).if().call(targets.collected).end().localGet(first);
    },
  };
}

/** A size of 64 bits in the stack in memory, in 32 bits: larger ones can't be had. */
function sizeAt(code: CodeWriter, offset: number): void {
  code.globalGet(goStackPointer).load(op.i32Load, offset);
}
