/** Writing of instructions, for the few functions that linmem adds and the few instructions it inserts. */
import { op } from "../wasm/instructions.js";
import { Writer } from "../wasm/leb128.js";

/** Block type of a block without parameters and results. */
export const noResult = 0x40;

/** A `Writer` that knows the instructions which hooks and entries are made of. */
export class CodeWriter extends Writer {
  op(...opcodes: number[]): this {
    for (const opcode of opcodes) this.byte(opcode);
    return this;
  }

  #indexed(opcode: number, index: number): this {
    this.byte(opcode);
    this.u32(index);
    return this;
  }

  localGet(index: number): this {
    return this.#indexed(op.localGet, index);
  }

  localSet(index: number): this {
    return this.#indexed(op.localSet, index);
  }

  localTee(index: number): this {
    return this.#indexed(op.localTee, index);
  }

  globalGet(index: number): this {
    return this.#indexed(op.globalGet, index);
  }

  globalSet(index: number): this {
    return this.#indexed(op.globalSet, index);
  }

  call(index: number): this {
    return this.#indexed(op.call, index);
  }

  returnCall(index: number): this {
    return this.#indexed(op.returnCall, index);
  }

  i32Const(value: number): this {
    this.byte(op.i32Const);
    this.s33(value);
    return this;
  }

  /** A constant of at most 53 bits. */
  i64Const(value: number): this {
    this.byte(op.i64Const);
    this.s33(value);
    return this;
  }

  if(): this {
    return this.op(op.if, noResult);
  }

  end(): this {
    return this.op(op.end);
  }

  /** Loads from memory 0 at the address on the stack, alignment 1. */
  load(opcode: number, offset = 0): this {
    return this.#indexed(opcode, 0).#immediate(offset);
  }

  #immediate(value: number): this {
    this.u32(value);
    return this;
  }

  /** All parameters of a function with `count` of them. */
  params(count: number): this {
    for (let i = 0; i < count; i++) this.localGet(i);
    return this;
  }
}
