/** What hooks have in common: what they call, and the state that says whether the allocator is running (hooks.ts). */
import { op } from "../wasm/instructions.js";
import type { ValueType } from "../wasm/types.js";
import type { CodeWriter } from "./emit.js";

/** Indices, in the instrumented module, of what hooks use. */
export interface HookTargets {
  context: number;
  pending: number;
  alloc: RecorderPair;
  free: RecorderPair;
  realloc: RecorderPair;
  /** Counts a block that the guest's collector will release. */
  counted: number;
  /** Counts a collection. */
  collected: number;
}

/** What takes a few instructions is done by one function, without a call; it returns less than 0 when it did nothing. */
export interface RecorderPair {
  quick: number;
  /** Takes the same operands and does it in any case. */
  slow: number;
}

/** How an allocator function stands to the others. What isn't so costs nothing. */
export interface HookRelations {
  /** It can lead to a call of another allocator function, or of itself. */
  callsAllocator: boolean;
  /** It can be called by another allocator function. */
  calledByAllocator: boolean;
  /** Index of the parameter in which it is called with its context; undefined where that is in the global alone. */
  contextParameter?: number;
}

/** What is put around the body of an allocator function. */
export interface Hook {
  /** Locals that it needs, the first of which has the index given to `before` and `after`. */
  locals: ValueType[];
  before(code: CodeWriter, firstLocal: number): void;
  /** The function's result, if any, is on the stack, and has to be there afterwards. */
  after(code: CodeWriter, firstLocal: number): void;
}

/** Keeps the context in which an allocator function was called in a local. */
export function saveContext(
  code: CodeWriter,
  saved: number,
  targets: HookTargets,
  { contextParameter }: HookRelations,
): void {
  if (contextParameter === undefined) code.globalGet(targets.context);
  else code.localGet(contextParameter);
  code.localSet(saved);
}

export function ifOutermost(
  code: CodeWriter,
  saved: number,
  relations: HookRelations,
  record: () => void,
): void {
  if (relations.calledByAllocator) {
    code.localGet(saved).op(op.i32WrapI64).i32Const(1).op(op.i32And, op.i32Eqz).if();
    record();
    code.end();
  } else {
    record();
  }
}

export function enterAllocator(
  code: CodeWriter,
  saved: number,
  targets: HookTargets,
  relations: HookRelations,
): void {
  if (relations.callsAllocator) code.localGet(saved).i64Const(1).op(op.i64Or).globalSet(targets.context);
}

export function leaveAllocator(
  code: CodeWriter,
  saved: number,
  targets: HookTargets,
  relations: HookRelations,
): void {
  if (relations.callsAllocator) code.localGet(saved).globalSet(targets.context);
}
