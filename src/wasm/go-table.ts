/**
 * The table that Go's runtime keeps of its functions, for the stacks of panics: names, and files and lines by the places
 * where a function can be resumed. It lies in the data of every module of Go, stripped or not. Go 1.18 and later write it
 * so ("at": bytes from the beginning of the table):
 *
 * ```
 *  0       4     6       7      8       16      24     32         40      48         56      64
 *  | magic | 0 0 | 1     | 8    | count | files | text | names at | CUs at | files at | pcs at | functions at |
 *
 *  functions:     | entry (4) | at (4) | entry | at | …        here "at" is from the beginning of the functions
 *  a function:    | entry | name | args | deferreturn | pcsp | pcfile | pcln | npcdata | CU | first line | …
 *                 0       4      8      12            16     20       24     28        32   36
 * ```
 *
 * Texts end with a 0. A place in the program is the number of a function, which is its place in the table of functions,
 * in the upper bits, and that of a block in it in the lower 16. What is read is not trusted: damage ends in "not known".
 */
import { DecodeError } from "../errors.js";
import { limits } from "./limits.js";
import type { MemoryImage } from "./memory-image.js";

const magics: readonly number[] = [0xfffffff1, 0xfffffff0];
const header = { count: 8, names: 32, units: 40, files: 48, values: 56, functions: 64 } as const;
const entrySize = 8;
const functionAt = { name: 4, files: 20, lines: 24, values: 28, unit: 32, lists: 43, end: 44 } as const;
/** Of a function's further values, the one that says which inlined call a block is in. */
const inlinedCallOf = 2;
/** Of the further data of a function, its inlined calls. */
const inlinedCalls = 3;
/** One of those: `| kind (4) | name (4) | block of the call (4) | first line (4) |` */
const inlinedCall = { size: 16, name: 4, parent: 8 } as const;
/** What says where the table is says, from Go 1.20 on, also where the further data of functions is. */
const moduleData = { names: 8, data: 320 } as const;
const blockBits = 16;
/** The linker leaves out so many places in the table of functions. */
const firstFunction = 0x1000;
const noData = 0xffffffff;
const longestText = 1 << 12;
/** So many bytes of names are read: those of real programs are a few hundred kilobytes. */
const mostText = 1 << 25;
/** Steps in a function's table of lines: it has at most 65,536 blocks. */
const mostSteps = 1 << 17;

export interface GoFunction {
  name: string;
  /** Its place in the table of functions. */
  slot: number;
  /** Address of what the table says of it. */
  at: number;
}

/** A function, and where it calls what is further in. */
export interface GoFrame {
  function: string;
  /** "" when unknown. */
  file: string;
  /** From 1; 0 when unknown. */
  line: number;
}

export class GoTable {
  readonly #image: MemoryImage;
  readonly #at: number;
  readonly #count: number;
  /** Address of the further data of functions; undefined until it is looked for, 0 for none. */
  #data: number | undefined;

  private constructor(image: MemoryImage, at: number, count: number) {
    this.#image = image;
    this.#at = at;
    this.#count = count;
  }

  /**
   * Looks for the table in what a module puts into its memory; undefined for none.
   * @param functions how many functions the module defines
   */
  static find(image: MemoryImage, functions: number): GoTable | undefined {
    for (const magic of magics) {
      for (const at of image.findWord(magic)) {
        const table = GoTable.#open(image, at, functions);
        if (table) return table;
      }
    }
    return undefined;
  }

  static #open(image: MemoryImage, at: number, most: number): GoTable | undefined {
    // no padding, instructions of 1 byte, words of 8
    if (image.u32(at + 4) !== 0x08010000) return undefined;
    const count = image.u32(at + header.count);
    if (count === 0 || count > most || image.u32(at + header.count + 4) !== 0) return undefined;
    const table = new GoTable(image, at, count);
    return table.#part("names") < at || table.#part("functions") < at ? undefined : table;
  }

  #part(part: "names" | "units" | "files" | "values" | "functions"): number {
    return this.#at + this.#image.u32(this.#at + header[part]);
  }

  *functions(): Generator<GoFunction> {
    const image = this.#image;
    const functions = this.#part("functions");
    const names = this.#part("names");
    // before Go 1.26 an entry was a place in the program, counted from the first function
    const places =
      this.#count > 1 && image.u32(functions + entrySize) - image.u32(functions) >= 1 << blockBits;
    let left = mostText;
    for (let i = 0; i < this.#count && left > 0; i++) {
      const entry = image.u32(functions + i * entrySize);
      const at = functions + image.u32(functions + i * entrySize + 4);
      const slot = places ? firstFunction + (entry >>> blockBits) : entry;
      const name = image.text(names + image.u32(at + functionAt.name), longestText);
      left -= name.length;
      yield { name, slot, at };
    }
  }

  /** Where the code of a block comes from, innermost first; empty where the table does not say. */
  frames(known: GoFunction, block: number): GoFrame[] {
    const frames: GoFrame[] = [];
    const image = this.#image;
    const { at, name } = known;
    const further = image.u32(at + functionAt.values);
    const lists = functionAt.end + 4 * further;
    const tree =
      inlinedCalls < image.u8(at + functionAt.lists) ? image.u32(at + lists + 4 * inlinedCalls) : noData;
    const calls = tree === noData ? 0 : this.#furtherData();
    for (let depth = 0; depth <= limits.inlinedCalls; depth++) {
      const place = this.#place(known, block);
      if (!place) break;
      const call =
        calls > 0 && further > inlinedCallOf
          ? (this.#value(at + functionAt.end + 4 * inlinedCallOf, block) ?? -1)
          : -1;
      if (call < 0) return [...frames, { function: name, ...place }];
      const inlined = calls + tree + inlinedCall.size * call;
      const called = image.text(this.#part("names") + image.u32(inlined + inlinedCall.name), longestText);
      if (called === "") break;
      frames.push({ function: called, ...place });
      block = image.u32(inlined + inlinedCall.parent);
    }
    return [];
  }

  /** Go's data about its modules begins with the addresses of the table and of its names. */
  #furtherData(): number {
    if (this.#data === undefined) {
      this.#data = 0;
      for (const at of this.#image.findWord(this.#at)) {
        if (this.#image.u32(at + moduleData.names) !== this.#part("names")) continue;
        this.#data = this.#image.u32(at + moduleData.data);
        break;
      }
    }
    return this.#data;
  }

  #place({ at }: GoFunction, block: number): { file: string; line: number } | undefined {
    const file = this.#value(at + functionAt.files, block);
    const line = this.#value(at + functionAt.lines, block);
    if (file === undefined || file < 0 || line === undefined || line <= 0) return undefined;
    const unit = this.#image.u32(at + functionAt.unit);
    const name = this.#image.u32(this.#part("units") + 4 * (unit + file));
    if (name === noData) return undefined;
    const text = this.#image.text(this.#part("files") + name, longestText);
    return text === "" ? undefined : { file: text, line };
  }

  /** A value that changes from block to block: pairs of what is added to it and how many blocks it then holds for. */
  #value(field: number, block: number): number | undefined {
    const offset = this.#image.u32(field);
    if (offset === 0) return undefined;
    let at = this.#part("values") + offset;
    const number = () => {
      let value = 0;
      for (let shift = 0; shift < 35; shift += 7) {
        const byte = this.#image.u8(at++);
        value += (byte & 0x7f) * 2 ** shift;
        if (byte < 0x80) return value;
      }
      throw new DecodeError("a number of Go's table is too long", at);
    };
    let value = -1;
    let next = 0;
    for (let step = 0; step < mostSteps; step++) {
      const change = number();
      if (change === 0 && step > 0) return undefined;
      value += change & 1 ? -Math.floor(change / 2) - 1 : Math.floor(change / 2);
      next += number();
      if (block < next) return value;
    }
    return undefined;
  }
}
