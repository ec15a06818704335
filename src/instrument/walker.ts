/**
 * The host side of the walker (assembly/index.ts): the wasm module that reads and rewrites the code of others. It
 * has a memory of its own, where the module's bytes, columns of what is known about bodies and sites, and the new
 * code lie one behind the other.
 */
import { DecodeError } from "../errors.js";
import type { Module } from "../wasm/module.js";
import { sectionId } from "../wasm/types.js";
import { type Exits, findExits } from "./exits.js";
import { at, type Column, changedColumns, Program } from "./walker-program.js";

/** Sites of a module, in the order of their positions. Columns, since a module may have a million. */
export interface Sites {
  count: number;
  /** Offset of the instruction in the module. */
  position: Uint32Array;
  /** Its opcode: a call, `ref.func` or `memory.grow`. */
  opcode: Uint8Array;
  /** Function index, type index or memory index, by opcode. */
  target: Uint32Array;
  /** Sites of the i-th defined function are `first[i]` to `first[i + 1]`. */
  first: Uint32Array;
  /** 1 for defined functions that catch exceptions. */
  catches: Uint8Array;
  /** 1 for defined functions that have nearly as many locals as they may have. */
  crowded: Uint8Array;
  /** By defined function: bit i is set where it has the i-th of `markedConstants`. */
  marked: Uint8Array;
}

/** The sites with an opcode that few have: engines search bytes several times faster than code that is not compiled yet. */
export function* sitesOf({ opcode }: Sites, wanted: number): Generator<number> {
  for (let site = opcode.indexOf(wanted); site >= 0; site = opcode.indexOf(wanted, site + 1)) yield site;
}

/** What a rewriting changes; all indices are of the instrumented module. */
export interface CodeChanges {
  /** By function index: index of the function that calls of it go to. */
  called: Uint32Array;
  /** By function index: index of the function that references to it mean. */
  referenced: Uint32Array;
  /** By memory index: function to call instead of `memory.grow`, or `noHelper`. */
  growHelpers: Uint32Array;
  /** By site: see `contextKind`. */
  contextSites: Uint8Array;
  /** By body: 1 if it is called with its context, in a parameter behind its own. */
  contextParameters: Uint8Array;
  /** By body: index of its entry if it looks itself whether one runs, else 0. */
  lookEntries: Uint32Array;
  /** Instructions that get the context in which a function was called, where no parameter has it. */
  getContext: Uint8Array;
  /** Instructions that make of it what contexts of calls begin with, up to the index of the local for that. */
  makeBase: Uint8Array;
  /** Instructions that set the context to what is on the stack. */
  setContext: Uint8Array;
  /** Instructions with which functions look whether an entry runs, up to the parameters for their own. */
  look: Uint8Array;
  /** Instructions that make the context again of what `makeBase` made of it. */
  keepContext: Uint8Array;
}

/** In `CodeChanges.growHelpers`: growth of that memory is left as it is. */
export const noHelper = 0xffffffff;

/** Walks over the code of one module, and then, if wanted, rewrites it. */
export class CodeWalker {
  readonly #module: Module;
  readonly program: Program;
  #room = 0;

  /** Copies the module's code. */
  constructor(module: Module) {
    this.#module = module;
    const code = module.section(sectionId.code);
    this.program = Program.idle();
    const address = this.program.putModule(module, code?.bytes.length ?? 0, code?.offset ?? 0);
    if (code) this.program.put(address, code.bytes);
    this.program.hold();
  }

  /**
   * Finds what passes care about (calls, growth, references to functions) and remembers where; everything later
   * works on these sites and copies the bytes between them.
   * @throws DecodeError when a body has an unknown opcode or doesn't end where it says
   */
  walk(): Sites {
    const program = this.program;
    const { wasm } = program;
    const { bodies } = this.#module;
    const count = wasm.walk();
    if (count < 0) {
      const end = bodies.end[-1 - count];
      const stopped = wasm.stopped.value >>> 0;
      throw new DecodeError("function body does not end where its size says", Math.min(stopped, end));
    }
    return {
      count,
      position: program.numbers(wasm.positions.value, count),
      target: program.numbers(wasm.targets.value, count),
      opcode: program.bytes(wasm.opcodes.value, count),
      first: program.numbers(wasm.first.value, bodies.count + 1),
      catches: program.bytes(wasm.catches.value, bodies.count),
      crowded: program.bytes(wasm.crowded.value, bodies.count),
      marked: program.bytes(wasm.marked.value, bodies.count),
    };
  }

  /** The first site that names a function or type beyond those that there are; the number of sites where none does. */
  firstUnknown(functions: number, types: number): number {
    return this.program.wasm.firstUnknown(functions, types) >>> 0;
  }

  /**
   * Begins new code; `walk` was called. What is appended from now on lies one behind the other.
   * @param room bytes to leave in front of it
   */
  begin(changes: CodeChanges, room: number): void {
    const program = this.program;
    const { wasm } = program;
    for (const name of changedColumns) wasm[name].value = program.add(changes[name]);
    wasm.written.value = wasm.take(4 * this.#module.bodies.count);
    putInstructions(program, changes);
    this.#room = room;
    wasm.begin(room);
  }

  append(code: Uint8Array): void {
    this.program.put(this.program.wasm.append(code.length), code);
  }

  /**
   * Appends copies of templates, with two numbers put into each.
   * @param rows for each copy: where its template begins in `templates`, and the two numbers
   * @param templates see assembly/copies.ts
   * @param length of all copies
   * @param widths bytes that each of the two numbers takes
   */
  appendCopies(
    rows: Uint32Array,
    templates: Uint8Array,
    length: number,
    widths: readonly [number, number],
  ): void {
    const { wasm } = this.program;
    const to = wasm.append(length);
    // behind the output for as long as it takes
    const scratch = wasm.append(rows.byteLength + templates.length + 8);
    const rowsAt = (scratch + 7) & ~7;
    const templatesAt = rowsAt + rows.byteLength;
    for (let i = 0; i < rows.length; i += 3) rows[i] += templatesAt;
    this.program.put(rowsAt, rows);
    this.program.put(templatesAt, templates);
    wasm.writeCopies(to, rowsAt, rows.length / 3, ...widths);
    wasm.drop(rows.byteLength + templates.length + 8);
  }

  /** Bytes of new code so far. */
  get length(): number {
    return this.program.wasm.length() >>> 0;
  }

  /** Exits of a body, while new code is written. */
  exits(body: number, local?: number): Exits {
    return findExits(this.program, body, local, this.program.wasm.append(0));
  }

  /** Appends the rewritten bodies `from` to `until - 1`, each with its size. */
  rewrite(from: number, until: number): void {
    this.program.wasm.rewrite(from, until);
  }

  /**
   * The new code, where it lies, to be copied before `end` or put into a module by `surround`; and where in it each
   * rewritten body begins, behind its size.
   */
  finish(): { code: Uint8Array<ArrayBuffer>; starts: Uint32Array } {
    const { wasm } = this.program;
    const { length } = this;
    const code = new Uint8Array(wasm.memory.buffer as ArrayBuffer, wasm.append(0) >>> 0, 0);
    const starts = this.program.numbers(wasm.written.value, this.#module.bodies.count);
    return { code: new Uint8Array(code.buffer, code.byteOffset - length, length), starts };
  }

  /**
   * The new code between other bytes, where it lies: a view of the walker's memory. Undefined where that is kept for the
   * next module, or there is too little room in front.
   */
  surround(before: Uint8Array, behind: readonly Uint8Array[]): Uint8Array<ArrayBuffer> | undefined {
    const { wasm, isKept } = this.program;
    if (isKept || before.length > this.#room) return undefined;
    const start = (wasm.append(0) >>> 0) - this.length - before.length;
    this.program.put(start, before);
    for (const bytes of behind) this.append(bytes);
    return new Uint8Array(wasm.memory.buffer as ArrayBuffer, start, before.length + this.length);
  }

  /** Nothing of this is used any more, but what `surround` gave. */
  end(): void {
    this.program.rest();
  }
}

function putInstructions(
  program: Program,
  { getContext, makeBase, setContext, look, keepContext }: CodeChanges,
): void {
  program.put(at.getContext, Uint8Array.of(getContext.length, ...getContext));
  program.put(at.makeBase, Uint8Array.of(makeBase.length, ...makeBase));
  program.put(at.setContext, Uint8Array.of(setContext.length, ...setContext));
  program.put(at.look, Uint8Array.of(look.length, ...look));
  program.put(at.keepContext, Uint8Array.of(keepContext.length, ...keepContext));
}

/** Walks over the code of a module. See `CodeWalker.walk`. */
export function findSites(module: Module): Sites {
  const walker = new CodeWalker(module);
  const sites = walker.walk();
  walker.end();
  return sites;
}

/** Kinds of facts, and what `flags` says of a body: see assembly/facts.ts. */
export const factKind = { constant: 0, offset: 1, callee: 2, read: 3, written: 4 } as const;
export const factFlag = { multiplies: 1, readsMemory: 2, callsIndirectly: 4 } as const;

/** What a body has in it. */
export interface Facts {
  /** For each fact its value and its kind; some come more than once. */
  rows: Float64Array;
  instructions: number;
  flags: number;
}

export function readFacts(module: Module, body: number): Facts {
  const walked = Program.holding(module);
  const program = walked ?? Program.idle();
  const { wasm } = program;
  if (!walked) program.putBody(module, body);
  const count = wasm.facts(walked ? body : 0);
  const facts = {
    rows: new Float64Array(wasm.memory.buffer, wasm.factsAt.value >>> 0, 2 * count).slice(),
    instructions: wasm.instructions.value,
    flags: wasm.flags.value,
  };
  if (!walked) program.rest();
  return facts;
}

/** Exits of a body. */
export function exitsOf(module: Module, body: number, local?: number): Exits {
  const program = Program.idle();
  program.putBody(module, body);
  const found = findExits(program, 0, local);
  program.rest();
  return found;
}

/**
 * Rewrites one body. Returns where the distance between new code and old changes, in pairs: offset in the new body, and in the
 * module, of the same instruction.
 */
export function watchBody(module: Module, sites: Sites, changes: CodeChanges, body: number): Uint32Array {
  const program = Program.idle();
  const { wasm } = program;
  const [from, until] = [sites.first[body], sites.first[body + 1]];
  const rows = (column: Column, size: number) =>
    // what the walker adds to get to a site's row
    program.add(column.subarray(from, until)) - from * size;

  program.putBody(module, body);
  // notes what the rewriting needs; sites have their numbers among all of the module
  wasm.walk();
  program.put(wasm.first.value, Uint32Array.of(from, until));
  wasm.positions.value = rows(sites.position, 4);
  wasm.targets.value = rows(sites.target, 4);
  wasm.opcodes.value = rows(sites.opcode, 1);
  wasm.contextSites.value = rows(changes.contextSites, 1);
  wasm.called.value = program.add(changes.called);
  wasm.referenced.value = program.add(changes.referenced);
  wasm.growHelpers.value = program.add(changes.growHelpers);
  wasm.contextParameters.value = program.add(changes.contextParameters.subarray(body, body + 1));
  wasm.lookEntries.value = program.add(changes.lookEntries.subarray(body, body + 1));
  wasm.written.value = wasm.take(4);
  putInstructions(program, changes);
  // at a site three at most, one at an instruction that names a local, which takes two bytes or more
  const most = 3 * (until - from) + ((module.bodies.end[body] - module.bodies.start[body]) >> 1) + 4;
  const notes = wasm.take(8 * most);
  wasm.notes.value = notes;
  wasm.begin(0);
  wasm.rewriteBody(0);
  const pairs = program.numbers(notes, (wasm.notes.value - notes) / 4);
  wasm.notes.value = 0;
  program.rest();
  return pairs;
}
