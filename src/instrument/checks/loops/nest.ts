/**
 * What a loop and the loops in it do with the memory, as far as it can be said before the outermost begins: at which
 * addresses, and how often they come round. The walk follows additions and multiplications of locals; what else a local
 * may be is not known, and neither are accesses through it.
 */
import { instructionEnd, op } from "../../../wasm/instructions.js";
import { Reader, u32At } from "../../../wasm/leb128.js";
import type { Module } from "../../../wasm/module.js";
import { valueType } from "../../../wasm/types.js";
import { accessAt } from "../accesses.js";
import { blockType } from "../block-type.js";
import { stackEffect } from "../stack-effects.js";
import { type Affine, add, constantOf, localAtEntry, multiply, scale, times } from "./affine.js";
import { asSum, comparisonOf, type LoopTest, negated, testOf, type Value } from "./conditions.js";
import { type Loop, labels } from "./tree.js";

export interface NestAccess {
  pos: number;
  /** The operand. */
  address: Affine;
  /** Added to it. */
  offset: number;
  size: number;
  /** Numbers of the loops around it, the outermost first. */
  loops: readonly number[];
  /** The tests that each iteration makes before it comes to it. */
  behind: ReadonlySet<LoopTest>;
}

export interface NestLoop {
  id: number;
  /** Each of them is made in every iteration. */
  tests: LoopTest[];
  /** It may end in other ways too. */
  mayEndEarly: boolean;
}

export interface Nest {
  /** By number, those around others before them. */
  loops: Map<number, NestLoop>;
  accesses: NestAccess[];
  /** Sums of locals that have to be multiples of a power of two: else the rest is wrong. */
  multiples: { sum: Affine; of: number }[];
}

interface Frame {
  opcode: number;
  loop?: Loop;
  height: number;
  results: number;
  /** Something branches to its end. */
  isTarget: boolean;
  isReachable: boolean;
  undo: { local: number; before: Affine | undefined }[];
}

/** Nests with more than this are not looked at. */
const mostInstructions = 20_000;

/** Undefined when the loop does something that the walk doesn't know. */
export function nestOf(module: Module, loop: Loop, localTypes: readonly number[]): Nest | undefined {
  if (loop.end - loop.start > 2 * mostInstructions) return undefined;
  const walk = new NestWalk(module, localTypes);
  return walk.run(loop) ? walk.nest : undefined;
}

class NestWalk {
  readonly nest: Nest = { loops: new Map(), accesses: [], multiples: [] };
  readonly #module: Module;
  readonly #localCount: number;
  #locals: (Affine | undefined)[];
  #operands: Value[] = [];
  #frames: Frame[] = [];
  /** Whether accesses and tests are written down, and the loops within are looked at. */
  #records = true;

  constructor(module: Module, localTypes: readonly number[]) {
    this.#module = module;
    this.#localCount = localTypes.length;
    this.#locals = localTypes.map((type, local) =>
      type === valueType.i32 ? localAtEntry(local) : undefined,
    );
  }

  run(loop: Loop): boolean {
    return this.#loop(loop);
  }

  get #frame(): Frame {
    return this.#frames[this.#frames.length - 1];
  }

  get #isReachable(): boolean {
    return this.#frames.length === 0 || this.#frame.isReachable;
  }

  /** A loop of the nest: first what it adds to its locals each time, then all that it does. */
  #loop(loop: Loop): boolean {
    const results = this.#resultsOf(loop.pos + 1);
    if (results === undefined) return false;
    const { loops } = this.nest;
    const known: NestLoop = { id: loop.id, tests: [], mayEndEarly: false };
    loops.set(loop.id, known);
    const entry = new Map([...loop.assigned].map((local) => [local, this.#locals[local]]));
    const steps = loop.isRegular ? this.#stepsOf(loop, results) : new Map<number, Affine>();
    if (!steps) return false;
    for (const [local, value] of entry) {
      const step = steps.get(local);
      this.#assign(local, step && add(value, times(step, loop.id)));
    }
    if (!this.#body(loop, results)) return false;
    for (const local of loop.assigned) this.#assign(local, undefined);
    return true;
  }

  /** What each iteration adds to locals. */
  #stepsOf(loop: Loop, results: number): Map<number, Affine> | undefined {
    const [locals, operands, frames, records] = [
      this.#locals.slice(),
      this.#operands.slice(),
      this.#frames,
      this.#records,
    ];
    this.#frames = [];
    this.#records = false;
    const fresh = new Map<number, Affine>();
    for (const local of loop.assigned) {
      const symbol = localAtEntry(this.#localCount + local);
      fresh.set(local, symbol);
      this.#locals[local] = symbol;
    }
    const done = this.#body(loop, results);
    const steps = new Map<number, Affine>();
    for (const [local, symbol] of fresh) {
      const step = add(this.#locals[local], symbol, -1);
      if (step?.terms.every((term) => term.locals.every((it) => it < this.#localCount)))
        steps.set(local, step);
    }
    this.#locals = locals;
    this.#operands = operands;
    this.#frames = frames;
    this.#records = records;
    return done ? steps : undefined;
  }

  #body(loop: Loop, results: number): boolean {
    const { bytes } = this.#module;
    this.#open(op.loop, results, loop);
    const height = this.#frames.length;
    for (let pos = loop.start; pos < loop.end; ) {
      const opcode = bytes[pos];
      if (opcode === op.loop) {
        const inner = loop.children.find((it) => it.pos === pos);
        if (!inner || !this.#innerLoop(inner)) return false;
        pos = inner.end + 1;
        continue;
      }
      if (!this.#step(pos, loop)) return false;
      pos = instructionEnd(bytes, pos);
    }
    if (this.#frames.length !== height) return false;
    const { height: operands } = this.#frames.pop()!;
    this.#operands.length = operands;
    for (let i = 0; i < results; i++) this.#operands.push(undefined);
    return true;
  }

  #innerLoop(inner: Loop): boolean {
    if (this.#records) return this.#loop(inner);
    const results = this.#resultsOf(inner.pos + 1);
    if (results === undefined) return false;
    for (const local of inner.assigned) this.#assign(local, undefined);
    for (let i = 0; i < results; i++) this.#operands.push(undefined);
    for (const depth of inner.exits) {
      const target = this.#frames[this.#frames.length - 1 - depth];
      if (target) target.isTarget = true;
    }
    return true;
  }

  #step(pos: number, loop: Loop): boolean {
    const { bytes } = this.#module;
    const opcode = bytes[pos];
    const comparison = comparisonOf(opcode);
    if (comparison) {
      const [right, left] = [asSum(this.#pop()), asSum(this.#pop())];
      this.#operands.push(left && right && comparison(left, right));
      return true;
    }
    switch (opcode) {
      case op.block:
      case op.if: {
        if (opcode === op.if) this.#pop();
        const results = this.#resultsOf(pos + 1);
        if (results === undefined) return false;
        this.#open(opcode, results);
        return true;
      }
      case op.else:
        return this.#otherwise();
      case op.end:
        return this.#end();
      case op.br:
      case op.brTable:
        for (const depth of labels(bytes, pos)) this.#branch(depth, undefined);
        if (opcode === op.brTable || instructionEnd(bytes, pos) !== loop.end) this.#leave();
        return true;
      case op.brIf:
        this.#branch(u32At(bytes, pos + 1), { condition: this.#pop() });
        return true;
      case op.return:
      case op.unreachable:
        if (opcode === op.return) this.#endsEarly(-1);
        this.#leave();
        return true;
      case op.localGet:
        this.#operands.push(this.#locals[u32At(bytes, pos + 1)]);
        return true;
      case op.localSet:
        this.#assign(u32At(bytes, pos + 1), asSum(this.#pop()));
        return true;
      case op.localTee: {
        const value = this.#pop();
        this.#assign(u32At(bytes, pos + 1), asSum(value));
        this.#operands.push(value);
        return true;
      }
      case op.globalGet:
        this.#operands.push(undefined);
        return true;
      case op.globalSet:
        this.#pop();
        return true;
      case op.i32Const:
        this.#operands.push(constantOf(new Reader(bytes, pos + 1, bytes.length).s33()));
        return true;
      case op.i32Eqz:
        this.#operands.push(negated(this.#pop()));
        return true;
      case op.i32Add:
      case op.i32Sub:
      case op.i32Mul:
      case op.i32Shl:
      case op.i32Or: {
        const [right, left] = [asSum(this.#pop()), asSum(this.#pop())];
        this.#operands.push(this.#compute(opcode, left, right));
        return true;
      }
      default:
        return this.#other(pos);
    }
  }

  #compute(opcode: number, left: Affine | undefined, right: Affine | undefined): Affine | undefined {
    if (opcode === op.i32Add) return add(left, right);
    if (opcode === op.i32Sub) return add(left, right, -1);
    if (opcode === op.i32Mul) return multiply(left, right);
    const by = right?.terms.length === 0 ? right.constant : undefined;
    if (by === undefined) return undefined;
    return opcode === op.i32Shl ? scale(left, 2 ** (by & 31)) : this.#or(left, by);
  }

  /** Bits that are added to those above them. */
  #or(left: Affine | undefined, bits: number): Affine | undefined {
    if (!left || bits < 0 || bits > 0xff) return undefined;
    const of = 2 ** (32 - Math.clz32(bits));
    const counted = left.terms.filter(({ counter }) => counter !== undefined);
    if (counted.some(({ factor }) => factor % of !== 0)) return undefined;
    const sum = { ...left, terms: left.terms.filter(({ counter }) => counter === undefined) };
    if (sum.terms.every(({ factor }) => factor % of === 0)) {
      if ((sum.constant & (of - 1)) !== 0) return undefined;
    } else if (this.#records) this.nest.multiples.push({ sum, of });
    return add(left, constantOf(bits));
  }

  #other(pos: number): boolean {
    const { bytes } = this.#module;
    const effect = stackEffect(bytes, pos);
    if (!effect) return false;
    const access = accessAt(bytes, pos);
    if (access?.memory === 0 && this.#records && this.#isReachable) {
      const address = asSum(this.#operands[this.#operands.length - 1 - access.above.length]);
      const loops = this.#frames.flatMap(({ loop }) => (loop ? [loop.id] : []));
      const { offset, size } = access;
      const behind = new Set(loops.flatMap((id) => this.nest.loops.get(id)!.tests));
      if (address) this.nest.accesses.push({ pos, address, offset, size, loops, behind });
    }
    for (let i = 0; i < effect.pops; i++) this.#pop();
    for (let i = 0; i < effect.pushes; i++) this.#operands.push(undefined);
    return true;
  }

  #pop(): Value {
    return this.#operands.length > this.#frame.height ? this.#operands.pop() : undefined;
  }

  #assign(local: number, value: Affine | undefined): void {
    if (this.#frames.length > 0) this.#frame.undo.push({ local, before: this.#locals[local] });
    this.#locals[local] = value;
  }

  #open(opcode: number, results: number, loop?: Loop): void {
    this.#frames.push({
      opcode,
      ...(loop && { loop }),
      height: this.#operands.length,
      results,
      isTarget: false,
      isReachable: this.#isReachable,
      undo: [],
    });
  }

  /** How many results a block has; undefined when it has parameters, which are not followed. */
  #resultsOf(pos: number): number | undefined {
    const counts = blockType(this.#module, pos);
    return counts?.params === 0 ? counts.results : undefined;
  }

  /** @param when the condition of a branch that has one */
  #branch(depth: number, when: { condition: Value } | undefined): void {
    const at = this.#frames.length - 1 - depth;
    const target = this.#frames[at];
    if (!this.#isReachable) return;
    const innermost = this.#frames.findLastIndex(({ loop }) => loop !== undefined);
    if (target) target.isTarget = true;
    if (at > innermost) return;
    const { loop } = this.#frames[innermost];
    if (!this.#records || !loop) return;
    const comesRound = at === innermost;
    const test = when && testOf(when.condition, comesRound);
    if (comesRound) {
      if (test) this.nest.loops.get(loop.id)!.tests.push(test);
      return;
    }
    const always = this.#frames
      .slice(innermost + 1)
      .every(({ opcode, isTarget }) => opcode === op.block && !isTarget);
    if (test && always) {
      this.nest.loops.get(loop.id)!.tests.push(test);
      this.#endsEarly(at, innermost);
    } else this.#endsEarly(at);
  }

  /** The loops between a frame and the current one, or another one, may be left. */
  #endsEarly(target: number, until = this.#frames.length): void {
    if (!this.#records || !this.#isReachable) return;
    for (const { loop } of this.#frames.slice(Math.max(0, target), until)) {
      if (loop) this.nest.loops.get(loop.id)!.mayEndEarly = true;
    }
  }

  #leave(): void {
    this.#operands.length = this.#frame.height;
    this.#frame.isReachable = false;
  }

  #undo({ undo }: Frame): void {
    for (const { local, before } of undo.toReversed()) this.#locals[local] = before;
  }

  #otherwise(): boolean {
    const frame = this.#frame;
    if (frame.opcode !== op.if) return false;
    this.#undo(frame);
    frame.opcode = op.else;
    frame.isReachable = this.#frames.length < 2 || this.#frames[this.#frames.length - 2].isReachable;
    this.#operands.length = frame.height;
    return true;
  }

  #end(): boolean {
    const frame = this.#frames.pop()!;
    if (frame.opcode === op.loop) return false;
    const around = this.#frames[this.#frames.length - 1];
    const isOnlyWay = !frame.isTarget && frame.opcode === op.block;
    if (isOnlyWay && !frame.isReachable) around.isReachable = false;
    // of an `if` that always leaves only the other way leads here
    const isPassedBy = frame.opcode === op.if && !frame.isReachable && !frame.isTarget;
    if (isPassedBy) this.#undo(frame);
    else {
      for (const { local, before } of frame.undo) {
        around.undo.push({ local, before });
        if (!isOnlyWay) this.#locals[local] = undefined;
      }
    }
    this.#operands.length = frame.height;
    for (let i = 0; i < frame.results; i++) this.#operands.push(undefined);
    return true;
  }
}
