/**
 * Which accesses need no check, because it would say what is known already.
 *
 * A body is walked once, as an engine validates it, with a value for each local and operand: what it is beyond a constant
 * (its *base*), and the constant. What was checked is a *fact*: so many bytes from a base on may be used. Facts hold until
 * the next call, as only calls can free a block or make one. What several ways lead to knows what all of them know.
 *
 * Facts need no check at all where they come from the module itself: its frame on the stack, from the moment on that
 * the stack pointer is set to it (that is checked), and its static data.
 *
 * A read is let pass where the block ends in the middle of a word (`strlen`), a write is not. So what was read and is written
 * next, with no branch in between, is checked as strictly as a write the first time; else the write is checked again. And
 * of a word that was let pass it is known that its first byte lies in the block, and no more than that.
 *
 * Where anything is met that this walk doesn't know (exceptions, garbage-collected types) all accesses of the body are checked.
 */
import { instructionEnd, op } from "../../wasm/instructions.js";
import { skipLeb, u32At } from "../../wasm/leb128.js";
import type { Module } from "../../wasm/module.js";
import { type AccessFacts, type KnownMemory, none, nothingKnown } from "./access-facts.js";
import { type Access, accessAt } from "./accesses.js";
import { blockType } from "./block-type.js";
import { common, type Fact, type LenientRead, learn } from "./facts.js";
import { goStackPointer, stackLocals } from "./go-stack.js";
import { type AccessGroup, type GroupedAccess, groupsOf } from "./groups.js";
import { type LoopEffects, loopEffects } from "./loop-effects.js";
import { isSpeculated } from "./speculated.js";
import { stackEffect } from "./stack-effects.js";
import { constant, earlierOf, isOnGoStack, low32, onGoStack, type Value } from "./values.js";

/** Bodies with more locals than that are checked as they are: branches would cost too much here. */
const mostLocals = 20_000;

interface Frame {
  opcode: number;
  /** Operands below those of the frame. */
  height: number;
  results: number;
  /** What all branches to its end know; undefined while there is none. */
  atEnd: Fact[] | undefined;
  /** What was known where it began. */
  atStart: readonly Fact[];
  /** Locals that were assigned in it, and what they were before; undefined when there are none. */
  undo: Map<number, Value> | undefined;
  reachable: boolean;
}

export function redundantAccesses(
  module: Module,
  body: number,
  code: { start: number; end: number; locals: number },
  known: KnownMemory,
): AccessFacts {
  if (code.locals > mostLocals) return nothingKnown;
  const effects = loopEffects(module.bytes, code.start, code.end);
  if (!effects) return nothingKnown;
  const walk = new Walk(module, body, code.locals, known, effects);
  return walk.run(code.start, code.end) ? walk : nothingKnown;
}

/** Whether a read of `[low, high)` would be let pass, since others of some of its bytes were. */
function isReadKnown(reads: readonly LenientRead[], low: number, high: number): boolean {
  return (
    reads.some((read) => read.certain && read.low === low && read.high >= high) ||
    reads.every((read) => high <= read.low + 1)
  );
}

class Walk implements AccessFacts {
  readonly redundant = new Set<number>();
  readonly strict = new Set<number>();
  readonly speculated = new Set<number>();
  readonly stackChanges = new Set<number>();
  groups: ReadonlyMap<number, AccessGroup> = new Map();
  readonly #checked: GroupedAccess[] = [];
  #stretch = 0;
  /** Where the instruction before begins. */
  #before = 0;
  readonly #module: Module;
  readonly #known: KnownMemory;
  readonly #effects: ReadonlyMap<number, LoopEffects>;
  readonly #locals: Value[];
  readonly #operands: Value[] = [];
  readonly #frames: Frame[] = [];
  #facts: Fact[] = [];
  #bases = constant;
  /** What the stack pointer is. */
  #stack: Value;
  /** Locals that always hold Go's. */
  #stackLocals = none;

  constructor(
    module: Module,
    body: number,
    locals: number,
    known: KnownMemory,
    effects: ReadonlyMap<number, LoopEffects>,
  ) {
    this.#module = module;
    this.#known = known;
    this.#effects = effects;
    this.#locals = Array.from({ length: locals }, () => this.#unknown());
    this.#stack = this.#unknown();
    const { results } = module.functionType(module.importedFunctionCount + body);
    this.#open(op.block, 0, results.length);
  }

  #unknown(): Value {
    return { base: ++this.#bases, offset: 0 };
  }

  get #frame(): Frame {
    return this.#frames[this.#frames.length - 1];
  }

  /** Returns false when it came to what it doesn't know. */
  run(start: number, end: number): boolean {
    const { bytes } = this.#module;
    if (this.#known.isGo) this.#stackLocals = stackLocals(bytes, start, end);
    for (let pos = start; pos < end; pos = instructionEnd(bytes, pos)) {
      if (!this.#step(pos)) return false;
      this.#before = pos;
    }
    if (this.#frames.length > 0) return false;
    if (this.#checked.length > 0) this.groups = groupsOf(this.#checked, this.#known.gap);
    return true;
  }

  #step(pos: number): boolean {
    const { bytes } = this.#module;
    const opcode = bytes[pos];
    if (opcode <= op.returnCallRef) this.#stretch++;
    switch (opcode) {
      case op.block:
      case op.loop:
      case op.if:
        return this.#begin(opcode, pos);
      case op.else:
        return this.#otherwise();
      case op.end:
        return this.#end();
      case op.br:
        this.#branch(u32At(bytes, pos + 1));
        return this.#leave();
      case op.brIf:
        this.#pop();
        this.#branch(u32At(bytes, pos + 1));
        return true;
      case op.brTable:
        this.#branchTable(pos);
        return this.#leave();
      case op.return:
      case op.unreachable:
      case op.returnCall:
      case op.returnCallIndirect:
      case op.returnCallRef:
        return this.#leave();
      case op.call: {
        const { params, results } = this.#module.functionType(u32At(bytes, pos + 1));
        return this.#call(params.length, results.length);
      }
      case op.callIndirect:
      case op.callRef: {
        const type = this.#module.types[u32At(bytes, pos + 1)];
        if (type?.kind !== "func") return false;
        return this.#call(type.params.length + 1, type.results.length);
      }
      case op.localGet: {
        const local = u32At(bytes, pos + 1);
        this.#operands.push(this.#stackLocals.has(local) ? onGoStack : this.#locals[local]);
        return true;
      }
      case op.localSet:
        this.#assign(u32At(bytes, pos + 1), this.#pop());
        return true;
      case op.localTee: {
        const value = this.#pop();
        this.#assign(u32At(bytes, pos + 1), value);
        this.#operands.push(value);
        return true;
      }
      case op.globalGet:
        this.#operands.push(this.#global(u32At(bytes, pos + 1)));
        return true;
      case op.globalSet:
        this.#setGlobal(pos, u32At(bytes, pos + 1), this.#pop());
        return true;
      case op.i32Const:
      case op.i64Const:
        this.#operands.push({ base: constant, offset: low32(bytes, pos + 1) });
        return true;
      case op.i32Add:
      case op.i64Add:
        this.#add(1);
        return true;
      case op.i32Sub:
      case op.i64Sub:
        this.#add(-1);
        return true;
      case op.i32WrapI64:
      case op.i64ExtendI32S:
      case op.i64ExtendI32U:
        return true;
      default:
        return this.#other(pos);
    }
  }

  #other(pos: number): boolean {
    const { bytes } = this.#module;
    const effect = stackEffect(bytes, pos);
    if (!effect) return false;
    const access = accessAt(bytes, pos);
    if (access?.memory === 0) {
      const address = this.#operands[this.#operands.length - 1 - access.above.length];
      if (address && this.#frame.reachable) this.#access(pos, address, access);
    }
    for (let i = 0; i < effect.pops; i++) this.#pop();
    for (let i = 0; i < effect.pushes; i++) this.#operands.push(this.#unknown());
    if (bytes[pos] === op.memoryGrow) this.#forget();
    return true;
  }

  #pop(): Value {
    return this.#operands.length > this.#frame.height ? this.#operands.pop()! : this.#unknown();
  }

  #assign(local: number, value: Value): void {
    const frame = this.#frame;
    frame.undo ??= new Map();
    if (!frame.undo.has(local)) frame.undo.set(local, this.#locals[local]);
    this.#locals[local] = value;
  }

  #add(sign: 1 | -1): void {
    const right = this.#pop();
    const left = this.#pop();
    let sum = this.#unknown();
    if (right.base === constant) sum = { base: left.base, offset: (left.offset + sign * right.offset) | 0 };
    else if (left.base === constant && sign > 0) {
      sum = { base: right.base, offset: (left.offset + right.offset) | 0 };
    }
    this.#operands.push(sum);
  }

  #global(global: number): Value {
    if (this.#known.isGo && global === goStackPointer) return onGoStack;
    return global === this.#known.stackPointer ? this.#stack : this.#unknown();
  }

  #setGlobal(pos: number, global: number, value: Value): void {
    if (this.#known.isGo && global === goStackPointer && !isOnGoStack(value)) this.stackChanges.add(pos);
    if (global !== this.#known.stackPointer) return;
    const { base, offset } = this.#stack;
    if (value.base === base && value.offset < offset) {
      learn(this.#facts, { base, low: value.offset, high: offset, lasting: true, reads: [], stretch: 0 });
    }
    this.#stack = value;
  }

  #call(pops: number, pushes: number): boolean {
    for (let i = 0; i < pops; i++) this.#pop();
    for (let i = 0; i < pushes; i++) this.#operands.push(this.#unknown());
    this.#forget();
    return true;
  }

  #forget(): void {
    if (this.#known.isConstant) return;
    this.#facts = this.#facts.filter(({ lasting }) => lasting);
  }

  #access(pos: number, { base, offset }: Value, { offset: more, size, write }: Access): void {
    const low = base === constant ? (offset >>> 0) + more : offset + more;
    const high = low + size;
    const [start, end] = this.#known.data;
    if (base === constant && low >= start && high <= end) this.redundant.add(pos);
    else if (isOnGoStack({ base, offset: low })) this.redundant.add(pos);
    else if (this.#isKnown(base, low, high, write)) this.redundant.add(pos);
    // says nothing of what follows: with null it is let pass
    else if (!write && isSpeculated(this.#module.bytes, this.#before, pos)) this.speculated.add(pos);
    else {
      const reads = write || size === 1 ? [] : [{ pos, low, high, certain: true }];
      learn(this.#facts, { base, low, high, lasting: false, reads, stretch: this.#stretch });
      this.#checked.push({ pos, base, offset, low, high, stretch: this.#stretch });
    }
  }

  #isKnown(base: number, low: number, high: number, write: boolean): boolean {
    const at = this.#facts.findIndex((fact) => fact.base === base && fact.low <= low && fact.high >= high);
    if (at < 0) return false;
    const { reads, stretch } = this.#facts[at];
    const needed = reads.filter((read) => read.low < high && read.high > low);
    if (needed.length === 0) return true;
    if (!write) return isReadKnown(needed, low, high);
    // of what is not written a part may still lie behind the block
    if (stretch !== this.#stretch || needed.some((read) => read.low < low || read.high > high)) {
      this.#facts.splice(at, 1);
      return false;
    }
    for (const { pos } of needed) this.strict.add(pos);
    this.#facts[at] = { ...this.#facts[at], reads: reads.filter((read) => !needed.includes(read)) };
    return true;
  }

  #open(opcode: number, params: number, results: number): void {
    this.#frames.push({
      opcode,
      height: this.#operands.length - params,
      results,
      atEnd: undefined,
      atStart: this.#facts.slice(),
      undo: undefined,
      reachable: this.#frames.length === 0 || this.#frame.reachable,
    });
  }

  #begin(opcode: number, pos: number): boolean {
    if (opcode === op.if) this.#pop();
    const counts = blockType(this.#module, pos + 1);
    if (!counts) return false;
    // as deep as they are when it is not reachable
    if (this.#operands.length - counts.params < this.#frame.height) return false;
    this.#open(opcode, counts.params, counts.results);
    if (opcode === op.loop) {
      const { assigned, calls } = this.#effects.get(pos)!;
      for (const local of assigned) this.#assign(local, this.#unknown());
      if (counts.params > 0) {
        for (let i = 1; i <= counts.params; i++) this.#operands[this.#operands.length - i] = this.#unknown();
      }
      if (calls) {
        this.#forget();
        this.#stack = this.#unknown();
      }
    }
    return true;
  }

  /** What is known here is known at the end of a label's block only if all other ways there know it too. */
  #branch(depth: number): void {
    const target = this.#frames[this.#frames.length - 1 - depth];
    if (!target || !this.#frame.reachable) return;
    if (target.opcode !== op.loop)
      target.atEnd = target.atEnd ? common(target.atEnd, this.#facts) : this.#facts.slice();
  }

  #branchTable(pos: number): void {
    const { bytes } = this.#module;
    const count = u32At(bytes, pos + 1);
    let at = skipLeb(bytes, pos + 1);
    for (let i = 0; i <= count; i++) {
      this.#branch(u32At(bytes, at));
      at = skipLeb(bytes, at);
    }
  }

  /** What follows up to the end of the block is never reached. */
  #leave(): boolean {
    const { height } = this.#frame;
    this.#operands.length = height;
    this.#frame.reachable = false;
    return true;
  }

  #otherwise(): boolean {
    const frame = this.#frame;
    if (frame.opcode !== op.if || !this.#isComplete(frame)) return false;
    if (frame.reachable) frame.atEnd = frame.atEnd ? common(frame.atEnd, this.#facts) : this.#facts;
    const around = this.#frames[this.#frames.length - 2];
    frame.reachable = around.reachable;
    frame.opcode = op.else;
    for (const [local, before] of frame.undo ?? []) this.#locals[local] = before;
    this.#facts = frame.atStart.slice();
    this.#operands.length = frame.height;
    return true;
  }

  #isComplete({ height, results, reachable }: Frame): boolean {
    return !reachable || this.#operands.length === height + results;
  }

  #end(): boolean {
    const frame = this.#frames.pop()!;
    if (!this.#isComplete(frame)) return false;
    const around = this.#frames[this.#frames.length - 1];
    // without an `else` the other way leads here as well
    if (frame.opcode === op.if) frame.atEnd = common(frame.atEnd ?? frame.atStart, frame.atStart);
    const joins = frame.atEnd !== undefined;
    if (frame.atEnd) this.#facts = frame.reachable ? common(frame.atEnd, this.#facts) : frame.atEnd;
    if (!around) return true;
    if (!frame.reachable && !joins) around.reachable = false;
    if (frame.undo) {
      if (joins) for (const local of frame.undo.keys()) this.#locals[local] = this.#unknown();
      around.undo = around.undo ? earlierOf(around.undo, frame.undo) : frame.undo;
    }
    if (joins && this.#known.stackPointer !== undefined) this.#stack = this.#unknown();
    this.#operands.length = frame.height;
    for (let i = 0; i < frame.results; i++) this.#operands.push(this.#unknown());
    return true;
  }
}
