/** The instructions that check one access. */
import { op } from "../../wasm/instructions.js";
import { valueType } from "../../wasm/types.js";
import type { CodeWriter } from "../emit.js";
import type { Access, BulkAccess } from "./accesses.js";
import type { CheckerFunction } from "./functions.js";
import type { AccessGroup } from "./groups.js";

/** What the checker is told: mirror of src/check/assembly/layout.ts. */
export const accessKind = { read: 0, write: 1, strictRead: 4 } as const;

const full = 8;
const fullTwice = 0x0808;

export interface AccessCheckOptions {
  /** Whether the module gets the shadow memory as its second one. */
  inline: boolean;
  /** Index of an imported function of the checker. */
  checker(name: CheckerFunction): number;
  /** Global with the calling context; undefined when there is none. */
  context?: number;
}

export interface StackBounds {
  global: number;
  /** `[start, end)`: they begin with the last ones of all, and go round, as a large frame takes the pointer there. */
  below: [start: number, end: number];
}

export interface CheckedAccess extends Access {
  /** One of `accessKind`. */
  how: number;
  pos: number;
  group: AccessGroup | undefined;
}

/** Locals that a body gets, in the order of their first use. */
export class Locals {
  readonly types: number[] = [];
  readonly #first: number;
  readonly #named = new Map<string, number>();

  constructor(first: number) {
    this.#first = first;
  }

  of(type: number, purpose: string): number {
    const key = `${type} ${purpose}`;
    let index = this.#named.get(key);
    if (index === undefined) {
      index = this.#first + this.types.push(type) - 1;
      this.#named.set(key, index);
    }
    return index;
  }
}

/** Writes the checks of a module, body by body. */
export class AccessChecks {
  readonly #options: AccessCheckOptions;
  /** Checks so far. */
  sites = 0;
  /** Offsets in the code, of branches that are hardly ever taken; of one body. */
  branches: number[] = [];

  constructor(options: AccessCheckOptions) {
    this.#options = options;
  }

  #ifUnlikely(code: CodeWriter): void {
    this.branches.push(code.length);
    code.if();
  }

  #context(code: CodeWriter): CodeWriter {
    const { context } = this.#options;
    return context === undefined ? code.i64Const(0) : code.globalGet(context);
  }

  access(code: CodeWriter, access: CheckedAccess, locals: Locals): void {
    const { above, group, pos } = access;
    const values = above.map((type, i) => locals.of(type, `${i}`));
    for (let i = values.length - 1; i >= 0; i--) code.localSet(values[i]);
    const address = locals.of(valueType.i32, "address");
    code.localTee(address);
    if (group) {
      const failed = locals.of(valueType.i32, `group ${group.number}`);
      if (pos === group.first) {
        this.#checkPoints(code, address, group.points);
        code.localTee(failed);
      } else code.localGet(failed);
      this.#ifUnlikely(code);
    }
    this.#checkAlone(code, access, address, locals);
    if (group) code.end();
    for (const value of values) code.localGet(value);
  }

  /** Whether one of the bytes at these distances is in 8 bytes that may not all be used. */
  #checkPoints(code: CodeWriter, address: number, points: readonly number[]): void {
    points.forEach((point, i) => {
      code.localGet(address);
      if (point !== 0) code.i32Const(point | 0).op(op.i32Add);
      this.#loadShadow(code, op.i32Load8U, 0);
      if (i > 0) code.op(op.i32Add);
    });
    // no other values have this sum
    code.i32Const(full * points.length).op(op.i32Ne);
  }

  /** Where the 8 bytes that an access begins in may be used only in part, that part may suffice. */
  #checkAlone(code: CodeWriter, access: CheckedAccess, address: number, locals: Locals): void {
    const { size, aligned, offset, how } = access;
    // one that is not aligned may reach into the next 8 bytes
    const twice = size === 16 || (!aligned && size > 1);
    code.localGet(address);
    this.#loadShadow(code, twice ? op.i32Load16U : op.i32Load8S, offset);
    // the engine would read it twice if it were not kept
    const shadow = locals.of(valueType.i32, "shadow");
    code.localTee(shadow).i32Const(twice ? fullTwice : full);
    code.op(op.i32Ne);
    this.#ifUnlikely(code);
    const inPart = size < full && !twice;
    if (inPart) {
      code.localGet(address);
      addOffset(code, offset);
      code.i32Const(full - 1).op(op.i32And);
      code.i32Const(size).op(op.i32Add).localGet(shadow).op(op.i32GtS).if();
    }
    code.localGet(address);
    addOffset(code, offset);
    code
      .i32Const(size)
      .i32Const(how)
      .i32Const(this.sites++);
    this.#context(code).call(this.#options.checker("checkAccess")).end();
    if (inPart) code.end();
  }

  /** The shadow at an address on the stack plus an offset: of 8 bytes, or as a 16-bit number of 16. */
  #loadShadow(code: CodeWriter, load: number, offset: number): void {
    if (this.#options.inline) {
      const granules = offset % 8 === 0 ? offset / 8 : 0;
      if (granules === 0) addOffset(code, offset);
      code.i32Const(3).op(op.i32ShrU);
      code.op(load, 0x40, 1);
      code.u32(granules);
      return;
    }
    addOffset(code, offset);
    code.call(this.#options.checker(load === op.i32Load16U ? "checkPeek2" : "checkPeek"));
    if (load === op.i32Load8S) code.op(op.i32Extend8S);
  }

  stack(code: CodeWriter, { below: [start, end] }: StackBounds, locals: Locals): void {
    const pointer = locals.of(valueType.i32, "address");
    code.localTee(pointer).localGet(pointer);
    if (start > 0) code.i32Const(start | 0).op(op.i32Sub);
    code.i32Const((end - start) | 0).op(op.i32LtU);
    this.#ifUnlikely(code);
    code.localGet(pointer).i32Const(this.sites++);
    this.#context(code).call(this.#options.checker("checkStack")).end();
  }

  bulk(code: CodeWriter, ranges: readonly BulkAccess[], locals: Locals): void {
    const operands = ["address", "b", "c"].map((purpose) => locals.of(valueType.i32, purpose));
    for (const operand of operands.toReversed()) code.localSet(operand);
    for (const { operand, write } of ranges) {
      code.localGet(operands[operand]).localGet(operands[2]);
      code.i32Const(write ? accessKind.write : accessKind.read).i32Const(this.sites++);
      this.#context(code).call(this.#options.checker("checkAccess"));
    }
    for (const operand of operands) code.localGet(operand);
  }
}

function addOffset(code: CodeWriter, offset: number): void {
  if (offset > 0) code.i32Const(offset | 0).op(op.i32Add);
}
