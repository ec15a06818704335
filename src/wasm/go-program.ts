/**
 * A module of Go's compiler: which function is which, and where the calls in its code come from. Go makes no DWARF for
 * WebAssembly; what its runtime needs for the stacks of panics is in the module's data instead, stripped or not.
 */
import { constantOf } from "./constant.js";
import { type GoFrame, type GoFunction, GoTable } from "./go-table.js";
import { instructionEnd, op } from "./instructions.js";
import { Reader } from "./leb128.js";
import { MemoryImage } from "./memory-image.js";
import { decodeModule, type Module } from "./module.js";
import { countLocals } from "./sections/code.js";

const blockBits = 16n;

export class GoProgram {
  readonly #module: Module;
  readonly #table: GoTable;
  /** Functions of the table by their indices in the module. */
  readonly #functions = new Map<number, GoFunction>();

  private constructor(module: Module, table: GoTable) {
    this.#module = module;
    this.#table = table;
    const slots = tableSlots(module);
    for (const known of table.functions()) {
      const index = slots.get(known.slot);
      if (index !== undefined) this.#functions.set(index, known);
    }
  }

  /**
   * Undefined for a module that has no such table.
   * @throws DecodeError when the bytes are no module, or a damaged one
   */
  static read(bytes: Uint8Array): GoProgram | undefined {
    return GoProgram.of(decodeModule(bytes));
  }

  /** @throws DecodeError when its data or its elements are damaged */
  static of(module: Module): GoProgram | undefined {
    const table = GoTable.find(new MemoryImage(module.initialData), module.functions.length);
    return table && new GoProgram(module, table);
  }

  /** Indices and names of all functions that the table has. */
  *names(): Generator<[index: number, name: string]> {
    for (const [index, { name }] of this.#functions) yield [index, name];
  }

  /**
   * Where a call comes from, innermost first: functions that were inlined are frames of their own.
   * @param offset of the call's instruction, or of the one behind it, in the module
   */
  framesAt(index: number, offset: number): GoFrame[] {
    const known = this.#functions.get(index);
    if (!known) return [];
    const block = this.#blockAfterCall(index, known.slot, offset);
    const frames = block === undefined ? [] : this.#table.frames(known, Math.max(0, block - 1));
    return frames.length > 0 ? frames : [{ function: known.name, file: "", line: 0 }];
  }

  /**
   * A call leaves the place to return to on Go's own stack, as a constant before it; so the code says which block of the
   * function comes after the call.
   */
  #blockAfterCall(index: number, slot: number, offset: number): number | undefined {
    const { bodies, importedFunctionCount, bytes } = this.#module;
    const body = index - importedFunctionCount;
    if (body < 0 || body >= bodies.count || offset < bodies.start[body] || offset > bodies.end[body])
      return undefined;
    let block: number | undefined;
    const { end: first } = countLocals(bytes, bodies.start[body], bodies.end[body]);
    for (let at = first; at < offset; at = instructionEnd(bytes, at)) {
      if (bytes[at] !== op.i64Const) continue;
      const place = new Reader(bytes, at + 1).s64();
      if (place >> blockBits === BigInt(slot)) block = Number(BigInt.asUintN(Number(blockBits), place));
    }
    return block;
  }
}

/** Functions by their places in the first table. */
function tableSlots(module: Module): Map<number, number> {
  const slots = new Map<number, number>();
  for (const { table, offset, functions = [] } of module.elements) {
    const first = table === 0 && offset ? constantOf(offset) : undefined;
    if (first === undefined) continue;
    functions.forEach((index, i) => {
      slots.set(first + i, index);
    });
  }
  return slots;
}
