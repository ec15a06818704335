/**
 * Hooks: instructions at the beginning and the end of an allocator function, inside its own body, so that every
 * way to it leads through them (calls, tables, references, exports) and no call is added. The body becomes a
 * block, and every `return` in it a branch to the end of that block.
 *
 * Allocator functions call each other and only the outermost call counts. That state is the lowest bit of the
 * calling context (context.ts): a hook sets it for the time of the call. A function that runs outside of the
 * allocator has the bit clear in the context that it was called in. One that catches exceptions, or calls imports that
 * may, writes it back to the global before each of its calls; and who calls one of those, or such an import, does so when
 * it has returned. So a trap, an exception or a `longjmp` out of the allocator needs no tidying up.
 */
import { op } from "../wasm/instructions.js";
import { type FunctionType, type ValueType, valueType } from "../wasm/types.js";
import type { CodeWriter } from "./emit.js";
import {
  enterAllocator,
  type Hook,
  type HookRelations,
  type HookTargets,
  ifOutermost,
  leaveAllocator,
  type RecorderPair,
  saveContext,
} from "./hook-state.js";
import { goAllocationHook, goCollectionHook, isGoFunction } from "./hooks-go.js";
import { type AllocatorRole, type ArgumentMeaning, allocatorRoles, kindOfRole } from "./roles.js";

export type { Hook, HookRelations, HookTargets, RecorderPair } from "./hook-state.js";

/** Whether a function of this type can have this role; hooks rely on it. */
export function fitsRole(role: AllocatorRole, type: FunctionType): boolean {
  const { params, returns } = allocatorRoles[role];
  if (returns === "unwinds") return isGoFunction(type);
  if (type.params.length < params.length || !type.params.every(isInteger)) return false;
  const meanings: readonly ArgumentMeaning[] = params;
  const count = meanings.indexOf("count");
  if (count >= 0 && type.params[count] !== type.params[meanings.indexOf("size")]) return false;
  if (returns === "nothing")
    return type.results.length <= 1 && type.results.every((it) => typeof it === "number");
  return type.results.length === 1 && isInteger(type.results[0]);
}

function isInteger(type: ValueType): boolean {
  return type === valueType.i32 || type === valueType.i64;
}

export function makeHook(
  role: AllocatorRole,
  type: FunctionType,
  targets: HookTargets,
  relations: HookRelations,
): Hook {
  const argument = (meaning: ArgumentMeaning) => {
    const index = (allocatorRoles[role].params as readonly ArgumentMeaning[]).indexOf(meaning);
    return { index, wide: type.params[index] === valueType.i64 };
  };
  if (role === "go_alloc") return goAllocationHook(targets, relations);
  if (role === "go_collect") return goCollectionHook(targets);
  if (role === "collect") return collectionHook(targets);
  if (kindOfRole(role) === "counted") return countingHook(argument("size"), type, targets, relations);
  return allocatorRoles[role].returns === "nothing"
    ? releaseHook(argument("block"), targets, relations)
    : allocationHook(role, type, argument, targets, relations);
}

interface Argument {
  index: number;
  /** It is an i64. */
  wide: boolean;
}

/** Releases are recorded on the way in: the address is still good for something. */
function releaseHook(block: Argument, targets: HookTargets, relations: HookRelations): Hook {
  const [answer, saved] = [0, 1];
  return {
    locals: needsSaved(relations) ? [valueType.i32, valueType.i64] : [valueType.i32],
    before(code, first) {
      if (needsSaved(relations)) saveContext(code, first + saved, targets, relations);
      ifOutermost(code, first + saved, relations, () =>
        record(code, targets.free, first + answer, targets.pending, () => address(code, block)),
      );
      enterAllocator(code, first + saved, targets, relations);
    },
    after: (code, first) => leaveAllocator(code, first + saved, targets, relations),
  };
}

function allocationHook(
  role: AllocatorRole,
  type: FunctionType,
  argument: (meaning: ArgumentMeaning) => Argument,
  targets: HookTargets,
  relations: HookRelations,
): Hook {
  const returnsError = allocatorRoles[role].returns === "error";
  // where the result is not the block, or the block was one before
  const subject = argument(returnsError ? "out" : "block");
  const result: Argument = { index: 3, wide: type.results[0] === valueType.i64 };
  const [size, saved, block, , answer] = [0, 1, 2, 3, 4];
  const outIsWide = returnsError && subject.wide;
  return {
    locals: [
      valueType.i32,
      valueType.i64,
      outIsWide ? valueType.i64 : valueType.i32,
      type.results[0],
      valueType.i32,
    ],

    before(code, first) {
      // parameters are variables of the body: keep what is needed at the end
      sizeInBytes(code, argument("size"), argument("count"));
      code.localSet(first + size);
      if (subject.index >= 0) {
        if (returnsError) code.localGet(subject.index);
        else address(code, subject);
        code.localSet(first + block);
      }
      saveContext(code, first + saved, targets, relations);
      enterAllocator(code, first + saved, targets, relations);
    },

    after(code, first) {
      code.localSet(first + result.index);
      ifOutermost(code, first + saved, relations, () => {
        if (returnsError)
          code
            .localGet(first + result.index)
            .op(result.wide ? op.i64Eqz : op.i32Eqz)
            .if();
        const called = subject.index >= 0 && !returnsError ? targets.realloc : targets.alloc;
        record(code, called, first + answer, targets.pending, () => {
          if (returnsError) {
            loadAddress(code, first + block, outIsWide);
          } else {
            if (subject.index >= 0) code.localGet(first + block);
            address(code, { index: first + result.index, wide: result.wide });
          }
          code.localGet(first + size).localGet(first + saved);
        });
        if (returnsError) code.end();
      });
      leaveAllocator(code, first + saved, targets, relations);
      code.localGet(first + result.index);
    },
  };
}

/** Blocks of a collected heap are counted: which of them still live only the guest's collector finds out. */
function countingHook(
  argument: Argument,
  type: FunctionType,
  targets: HookTargets,
  relations: HookRelations,
): Hook {
  const [size, saved, result] = [0, 1, 2];
  return {
    locals: [valueType.i32, valueType.i64, type.results[0]],
    before(code, first) {
      sizeInBytes(code, argument, { index: -1, wide: false });
      code.localSet(first + size);
      saveContext(code, first + saved, targets, relations);
      enterAllocator(code, first + saved, targets, relations);
    },
    after(code, first) {
      code.localSet(first + result);
      ifOutermost(code, first + saved, relations, () => {
        code
          .localGet(first + size)
          .localGet(first + saved)
          .call(targets.counted)
          .globalSet(targets.pending);
      });
      leaveAllocator(code, first + saved, targets, relations);
      code.localGet(first + result);
    },
  };
}

function collectionHook(targets: HookTargets): Hook {
  return {
    locals: [],
    before: (code) => code.call(targets.collected),
    after: () => {},
  };
}

/** Calls the recorder: for what is usual, and where that did nothing for the rest. */
export function record(
  code: CodeWriter,
  { quick, slow }: RecorderPair,
  answer: number,
  pending: number,
  operands: () => void,
): void {
  operands();
  code.call(quick).localTee(answer).i32Const(0).op(op.i32LtS).if();
  operands();
  code.call(slow).localSet(answer).end();
  code.localGet(answer).globalSet(pending);
}

function needsSaved({ callsAllocator, calledByAllocator }: HookRelations): boolean {
  return callsAllocator || calledByAllocator;
}

/** An address in 32 bits. Above 4 GiB its upper part goes into the low bits, which alignment leaves free. */
export function address(code: CodeWriter, { index, wide }: Argument): void {
  code.localGet(index);
  if (wide) code.op(op.i32WrapI64).localGet(index).i64Const(32).op(op.i64ShrU, op.i32WrapI64, op.i32Or);
}

/** The address stored at the address in a local. */
export function loadAddress(code: CodeWriter, out: number, wide: boolean): void {
  code.localGet(out);
  if (!wide) {
    code.load(op.i32Load);
    return;
  }
  code.load(op.i64Load).op(op.i32WrapI64);
  code.localGet(out).load(op.i64Load).i64Const(32).op(op.i64ShrU, op.i32WrapI64, op.i32Or);
}

/** A size in 32 bits: the recorder shows a larger block as one of 4 GiB. */
function sizeInBytes(code: CodeWriter, size: Argument, count: Argument): void {
  const product = () => {
    code.localGet(size.index);
    if (count.index >= 0) code.localGet(count.index).op(size.wide ? op.i64Mul : op.i32Mul);
  };
  if (!size.wide) {
    product();
    return;
  }
  code.i32Const(-1);
  product();
  code.op(op.i32WrapI64);
  product();
  code.i64Const(0xffffffff).op(op.i64GtU, op.select);
}
