/**
 * The calling context: a hash of the chain of call sites that leads to where the program is (Bond and McKinley,
 * Probabilistic Calling Context, OOPSLA 2007). A function that makes calls computes `base = factor × context` once
 * on entry, and makes each call in the context `base + site`. Functions that are called directly get it as one more
 * parameter, which stays in a register; for all others one mutable i64 global holds it (context-sites.ts).
 *
 * ```
 *  f(a, b)                     f(a, b, context)
 *    local x: i32, y: i64        local y: i64, x: i32      the first local, whose index the parameter has, comes last
 *    …                           context = factor × context
 *    call g(x)                   call g(x, context + site 1)
 *    call imported(y)            global = context + site 2; call imported(y)
 * ```
 *
 * The factor is odd and site numbers are even, so the lowest bit passes from caller to callee unchanged: hooks
 * keep the in-allocator state there. Sites are small numbers and the factor a large one (Bond and McKinley have
 * it the other way round: factor 3, large site numbers), because sites are many and every byte of them counts;
 * as a polynomial in an arbitrary odd number, modulo 2^64, it tells chains apart as well.
 */
import { op } from "../wasm/instructions.js";
import { Writer } from "../wasm/leb128.js";
import type { Module } from "../wasm/module.js";
import { type FunctionType, valueType } from "../wasm/types.js";
import { CodeWriter, noResult } from "./emit.js";
import type { CodeChanges } from "./walker.js";

/** 2^31 divided by the golden ratio, odd: processors multiply by 31 bits without loading the number first. */
const contextFactor = 0x4f1bbcdd;

/** Times the factor it is 1, modulo 2^64: the factor is odd. */
const inverseFactor = BigInt.asIntN(64, 0xaa94f06e315efb75n);

/** What is added to the context for a site or an entry. Numbers begin at 0. */
export function siteValue(number: number): number {
  return 2 * number + 2;
}

/**
 * What the walker inserts at the beginning of functions that make calls, and before calls. `context` is the index of
 * the global.
 */
export function contextInstructions(
  context: number,
): Pick<CodeChanges, "getContext" | "makeBase" | "setContext" | "keepContext"> {
  const getContext = new CodeWriter(8);
  getContext.globalGet(context);
  const makeBase = new CodeWriter(16);
  makeBase.i64Const(contextFactor).op(op.i64Mul, op.localSet);
  const setContext = new CodeWriter(8);
  setContext.globalSet(context);
  const keepContext = new CodeWriter(16);
  keepContext.op(op.i64Const).s64(inverseFactor);
  keepContext.op(op.i64Mul);
  return {
    getContext: getContext.finish(),
    makeBase: makeBase.finish(),
    setContext: setContext.finish(),
    keepContext: keepContext.finish(),
  };
}

/** How a function is reached that JavaScript may call, or that takes its context from a parameter. */
export type ReachedBy =
  /** By JavaScript, under its name. */
  | "name"
  /** By JavaScript, through a table, and by wasm through the same. */
  | "table"
  /** The same, and nothing calls it directly: it looks itself whether an entry runs, and goes to its own only where none does. */
  | "look"
  /** By wasm alone, through a table. */
  | "wasm";

/** A function that stands in for another one where JavaScript or a table can reach it. */
export interface Entry {
  /** Index in the original module. */
  target: number;
  /** Index in the instrumented module. */
  index: number;
  /** What it adds to the context. */
  value: number;
  reachedBy: ReachedBy;
  /** The function has a parameter for its context. */
  passed: boolean;
}

/** Indices, in the instrumented module, of what entries use. */
export interface EntryTargets {
  context: number;
  pending: number;
  looked: number;
  leave: number;
  abandon: number;
  nested: number;
}

/** The functions that stand in for others. What those of one type have in common is written once. */
export class EntryTemplates {
  /** Bytes that the index of an entry's function takes, and what the entry adds to the context. */
  readonly widths: readonly [target: number, value: number];
  readonly #targets: EntryTargets;
  readonly #tailCalls: boolean;
  readonly #templates = new Writer(1024);
  readonly #places = new Map<number, Place>();

  /**
   * @param tailCalls whether the module has tail calls through tables or references
   * @param functions in the instrumented module, and the largest `siteValue` in it
   */
  constructor(targets: EntryTargets, tailCalls: boolean, functions: number, largestValue: number) {
    this.#targets = targets;
    this.#tailCalls = tailCalls;
    // a signed number has a bit more
    this.widths = [widthOf(functions), widthOf(2 * largestValue)];
  }

  /** Templates as assembly/copies.ts has them, one behind the other: for the index of a function, and what its entry adds. */
  get bytes(): Uint8Array {
    return this.#templates.finish();
  }

  of(module: Module, entry: Entry): Place {
    const key =
      8 * module.functionTypeIndex(entry.target) + 2 * kindNumbers[entry.reachedBy] + (entry.passed ? 1 : 0);
    let place = this.#places.get(key);
    if (!place) this.#places.set(key, (place = this.#template(module.functionType(entry.target), entry)));
    return place;
  }

  #template({ params }: FunctionType, { reachedBy, passed }: Entry): Place {
    const targets = this.#targets;
    const call = { params: params.length, context: passed ? targets.context : undefined };
    const code = new TemplateWriter(this.widths);
    if (reachedBy === "wasm") innerEntry(code, call);
    else entry(code, call, targets, { reachedBy, tailCalls: this.#tailCalls });
    return code.appendTo(this.#templates);
  }
}

const kindNumbers: Record<ReachedBy, number> = { name: 0, table: 1, wasm: 2, look: 3 };

function widthOf(largest: number): number {
  let width = 1;
  for (let limit = 0x80; largest >= limit; limit *= 0x80) width++;
  return width;
}

/** Where a template begins, and how long its copies are. */
interface Place {
  start: number;
  length: number;
}

/** How an entry calls what it stands in for. */
interface TargetCall {
  /** The entry's own. */
  params: number;
  /** Global with the context, if the function has a parameter for it. */
  context: number | undefined;
}

/** Writes a template, with room for what is to be filled in. */
class TemplateWriter extends CodeWriter {
  readonly #widths: readonly [target: number, value: number];
  readonly #targets: number[] = [];
  readonly #values: number[] = [];

  constructor(widths: readonly [target: number, value: number]) {
    super(128);
    this.#widths = widths;
  }

  #room(places: number[], width: number): this {
    places.push(this.length);
    for (let i = 0; i < width; i++) this.byte(0);
    return this;
  }

  callTarget(call: TargetCall): this {
    return this.#operands(call).op(op.call).#room(this.#targets, this.#widths[0]);
  }

  /** @param local one that has the context as it is */
  returnCallTarget(call: TargetCall, local?: number): this {
    return this.#operands(call, local).op(op.returnCall).#room(this.#targets, this.#widths[0]);
  }

  #operands({ params, context }: TargetCall, local?: number): this {
    this.params(params);
    if (context === undefined) return this;
    return local === undefined ? this.globalGet(context) : this.localGet(local);
  }

  entryValue(): this {
    return this.op(op.i64Const).#room(this.#values, this.#widths[1]);
  }

  /** Appends the body with its size, and in front of it where in it the two numbers go. */
  appendTo(templates: Writer): Place {
    const size = new CodeWriter(8);
    size.u32(this.length);
    const length = size.length + this.length;
    // what lies in front is words
    while (templates.length % 4 !== 0) templates.byte(0);
    const start = templates.length;
    const places = [...this.#targets, ...this.#values].map((at) => at + size.length);
    const head = Uint32Array.of(length, this.#targets.length, this.#values.length, ...places);
    templates.bytes(new Uint8Array(head.buffer));
    templates.bytes(size.finish());
    templates.bytes(this.finish());
    return { start, length };
  }
}

/**
 * An entry stands in for an exported function, so that a call from JavaScript begins a context of its own. When
 * it returns and blocks of it are still live, the recorder has the JavaScript caller captured while it is still
 * on the stack. `context` is 0 between entries; if it isn't on the way in, either JavaScript was called by wasm
 * and calls back, or a trap ended an entry early: the recorder tells.
 *
 * In a module that has tail calls through tables or references an entry that is called by wasm leaves no frame
 * behind, or a loop of tail calls would use up the stack. It can't restore the context then; wasm that calls
 * sets it again, and only JavaScript between two such entries makes contexts that differ by what came before.
 *
 * Where JavaScript can reach a function only through a table, calls inside the module go there too and are many: they cost
 * no more than a look at the context. The recorder is asked only when that says that the allocator is running: left so
 * by an exception, it would keep everything from being counted.
 */
function entry(
  code: TemplateWriter,
  call: TargetCall,
  { context, pending, looked, nested, abandon, leave }: EntryTargets,
  { reachedBy, tailCalls }: { reachedBy: Exclude<ReachedBy, "wasm">; tailCalls: boolean },
): void {
  /** The context that it was called in; 0 where it is an outermost one. */
  const saved = call.params;
  const extended = () => {
    code.localGet(saved);
    if (reachedBy === "name") code.i64Const(contextFactor).op(op.i64Mul).entryValue().op(op.i64Add);
    return code;
  };
  code.u32(1);
  code.u32(1);
  code.byte(valueType.i64);
  code.globalGet(context).localTee(saved);
  if (reachedBy === "table") {
    turned(code).op(op.i64GtS).if();
    code.returnCallTarget(call, saved).end().localGet(saved);
  }
  code.globalGet(pending).op(op.i64ExtendI32U, op.i64Or, op.i64Eqz).if();
  code.entryValue().globalSet(context).op(op.else, op.block, noResult);
  code.localGet(saved).op(op.i64Eqz, op.brIf, 0);
  extended().call(nested).op(op.i32Eqz, op.brIf, 0);
  if (reachedBy === "look") code.i32Const(1).globalSet(looked);
  if (reachedBy === "name") extended().globalSet(context);
  if (reachedBy !== "name" || tailCalls) code.returnCallTarget(call);
  else code.op(op.br, 1);
  code.end();
  // an entry that ended early left them behind
  code.globalGet(pending).if().call(abandon).i32Const(0).globalSet(pending).end();
  code.entryValue().globalSet(context).i64Const(0).localSet(saved).end();
  code.callTarget(call);
  code.globalGet(pending).if().localGet(saved).op(op.i64Eqz).if();
  code.call(leave).i32Const(0).globalSet(pending).end().end();
  code.localGet(saved).globalSet(context).end();
}

/** Turns the context on the stack so that it is greater than 0 if it is neither 0 nor odd: that of no entry, or the allocator's. */
function turned<T extends CodeWriter>(code: T): T {
  return code.i64Const(1).op(op.i64Rotr).i64Const(0);
}

/**
 * What a function does first that only tables and JavaScript lead to: where no entry runs it calls its own, which calls it
 * again. Behind it come the function's parameters, a `return_call` of the entry, and the ends of two blocks. An entry
 * that finds the allocator running sends it on with `looked`.
 */
export function lookInstructions(context: number, looked: number): Uint8Array {
  const code = new CodeWriter(32);
  turned(code.globalGet(context)).op(op.i64LeS).if();
  code.globalGet(looked).if().i32Const(0).globalSet(looked).op(op.else);
  return code.finish();
}

/** What a table has in place of a function that takes its context in a parameter, where JavaScript can't reach it. */
function innerEntry(code: TemplateWriter, call: TargetCall): void {
  code.u32(0);
  code.returnCallTarget(call).end();
}
