/** The instructions that check one access. */
import { op } from "../../wasm/instructions.js";
import { valueType } from "../../wasm/types.js";
import type { CodeWriter } from "../emit.js";
import type { Access, BulkAccess } from "./accesses.js";
import type { CheckerFunction } from "./functions.js";
import type { AccessGroup } from "./groups.js";

/** What the checker is told: mirror of src/check/assembly/layout.ts. */
export const accessKind = { read: 0, write: 1, strictRead: 4, speculatedRead: 8 } as const;

const full = 8;
const fullTwice = 0x0808;
/** Greater offsets could lead beyond what is kept free behind the shadow: see src/check/assembly/layout.ts. */
const mostOffset = 2 ** 27;

export interface AccessCheckOptions {
  /** Whether the module gets the shadow memory as its second one. */
  inline: boolean;
  /** No block is watched in the memory: what may be used is all from `nullEnd` to its end, and no shadow is read. */
  boundsOnly: boolean;
  /** Below it lies no object; 0 when unknown. */
  nullEnd: number;
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
  /** Whether the body has to begin with `prologue`. */
  needsLimit = false;

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
        if (this.#options.boundsOnly) {
          const [low, high] = [group.points[0], group.points[group.points.length - 1] + 1];
          this.#isOutside(code, address, low, high - low, locals);
        } else this.#checkPoints(code, address, group.points);
        code.localTee(failed);
      } else code.localGet(failed);
      this.#ifUnlikely(code);
    }
    if (this.#options.boundsOnly) this.#checkBounds(code, access, address, locals);
    else this.#checkAlone(code, access, address, locals);
    if (group) code.end();
    for (const value of values) code.localGet(value);
  }

  /** Whether one of the bytes at these distances is in 8 bytes that may not all be used. */
  #checkPoints(code: CodeWriter, address: number, points: readonly number[]): void {
    points.forEach((point, i) => {
      code.localGet(address);
      if (point < 0) code.i32Const(point | 0).op(op.i32Add);
      this.#loadShadow(code, op.i32Load8U, Math.max(0, point));
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
    this.#lookCloser(code, address, { offset, size, how });
    code.end();
    if (inPart) code.end();
  }

  #lookCloser(
    code: CodeWriter,
    address: number,
    { offset, size, how }: Pick<CheckedAccess, "offset" | "size" | "how">,
  ): void {
    code
      .localGet(address)
      .i32Const(offset | 0)
      .i32Const(size)
      .i32Const(how)
      .i32Const(this.sites++);
    this.#context(code).call(this.#options.checker("checkAccess"));
  }

  /**
   * The shadow at an address on the stack plus an offset: of 8 bytes, or as a 16-bit number of 16. If the sum is beyond
   * 4 GiB, where the access traps, what is read says that nothing there may be used.
   */
  #loadShadow(code: CodeWriter, load: number, offset: number): void {
    const { inline, nullEnd, checker } = this.#options;
    if (!inline) {
      code.i32Const(offset | 0).call(checker(load === op.i32Load16U ? "checkPeek2" : "checkPeek"));
      if (load === op.i32Load8S) code.op(op.i32Extend8S);
      return;
    }
    if (offset >= mostOffset) {
      code.op(op.drop).i32Const(0);
      return;
    }
    const rest = offset % 8;
    if (rest === 0) code.i32Const(3).op(op.i32ShrU);
    else if (offset + 8 < nullEnd) {
      // a sum of more than 32 bits leads to where no object lies
      code.i32Const(rest).op(op.i32Add).i32Const(3).op(op.i32ShrU);
    } else {
      code.op(op.i64ExtendI32U).i64Const(rest).op(op.i64Add);
      code.i64Const(3).op(op.i64ShrU, op.i32WrapI64);
    }
    code.op(load, 0x40, 1);
    code.u32((offset - rest) / 8);
  }

  /** Where no blocks are watched: compares with the end of the memory, and with the beginning of what lies in it. */
  #checkBounds(code: CodeWriter, access: CheckedAccess, address: number, locals: Locals): void {
    this.#isOutside(code, address, access.offset, access.size, locals);
    this.#ifUnlikely(code);
    this.#lookCloser(code, address, access);
    // the memory may be larger now
    this.prologue(code, locals);
    code.end();
  }

  /** Whether bytes at a distance from an address lie outside of what may be used. */
  #isOutside(code: CodeWriter, address: number, distance: number, size: number, locals: Locals): void {
    const { nullEnd } = this.#options;
    this.needsLimit = true;
    code.localGet(address).op(op.i64ExtendI32U);
    // what is negative then is a large number too
    if (distance !== nullEnd) code.i64Const(distance - nullEnd).op(op.i64Add);
    code.localGet(limitOf(locals)).i64Const(size).op(op.i64Sub, op.i64GtU);
  }

  /** Finds out how large the memory is; it is never smaller later. */
  prologue(code: CodeWriter, locals: Locals): void {
    const { nullEnd } = this.#options;
    code.op(op.memorySize, 0, op.i64ExtendI32U).i64Const(16).op(op.i64Shl);
    if (nullEnd > 0) code.i64Const(nullEnd).op(op.i64Sub);
    code.localSet(limitOf(locals));
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

  /** Go's stack pointer, on the stack: it has to lie in the memory, or be its end. */
  goStack(code: CodeWriter, locals: Locals): void {
    const pointer = locals.of(valueType.i32, "address");
    code.localTee(pointer).localGet(pointer).i32Const(16).op(op.i32ShrU, op.memorySize, 0, op.i32GeU);
    this.#ifUnlikely(code);
    this.#lookCloser(code, pointer, { offset: 0, size: 0, how: accessKind.write });
    code.end();
  }

  bulk(code: CodeWriter, ranges: readonly BulkAccess[], locals: Locals): void {
    const operands = ["address", "b", "c"].map((purpose) => locals.of(valueType.i32, purpose));
    for (const operand of operands.toReversed()) code.localSet(operand);
    for (const { operand, write } of ranges) {
      code.localGet(operands[operand]).i32Const(0).localGet(operands[2]);
      code.i32Const(write ? accessKind.write : accessKind.read).i32Const(this.sites++);
      this.#context(code).call(this.#options.checker("checkAccess"));
    }
    for (const operand of operands) code.localGet(operand);
  }
}

/** How many bytes may be used, from `nullEnd` on. */
const limitOf = (locals: Locals) => locals.of(valueType.i64, "limit");

function addOffset(code: CodeWriter, offset: number): void {
  if (offset > 0) code.i32Const(offset | 0).op(op.i32Add);
}
