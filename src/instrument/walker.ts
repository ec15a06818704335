/**
 * The host side of the walker (assembly/index.ts): the wasm module that reads and rewrites the code of others. It
 * has a memory of its own, where the module's bytes, columns of what is known about bodies and sites, and the new
 * code lie one behind the other.
 */
import { fromBase64 } from "../base64.js";
import { DecodeError } from "../errors.js";
import { instructionEnd, instructionForms, op } from "../wasm/instructions.js";
import { u32At } from "../wasm/leb128.js";
import { limits } from "../wasm/limits.js";
import type { Module } from "../wasm/module.js";
import { countLocals } from "../wasm/sections/code.js";
import { sectionId, type TypeDefinition } from "../wasm/types.js";
import { markedConstants } from "./allocators/marked-constants.js";
import { walkerWasmBase64 } from "./generated/walker-wasm.js";

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
  /** Instructions that get the context in which a function was called, where no parameter has it. */
  getContext: Uint8Array;
  /** Instructions that make of it what contexts of calls begin with, up to the index of the local for that. */
  makeBase: Uint8Array;
  /** Instructions that set the context to what is on the stack. */
  setContext: Uint8Array;
  /** Instructions that make the context again of what `makeBase` made of it. */
  keepContext: Uint8Array;
}

/** In `CodeChanges.growHelpers`: growth of that memory is left as it is. */
export const noHelper = 0xffffffff;

/**
 * Told wherever the distance between the two may change: offset in the output, and in the original module, of the
 * same instruction.
 */
export type SiteListener = (written: number, original: number) => void;

type Column = Uint8Array | Uint32Array;
type AddressOf = WebAssembly.Global<"i32">;

interface WalkerExports extends Record<keyof typeof changedColumns, AddressOf> {
  memory: WebAssembly.Memory;
  prepare(length: number, origin: number, count: number, types: number): number;
  startsAddress(): number;
  endsAddress(): number;
  typesAddress(): number;
  typeParametersAddress(): number;
  walk(): number;
  stopped: AddressOf;
  facts(body: number): number;
  factsAt: AddressOf;
  instructions: AddressOf;
  flags: AddressOf;
  first: AddressOf;
  catches: AddressOf;
  crowded: AddressOf;
  marked: AddressOf;
  positions: AddressOf;
  targets: AddressOf;
  opcodes: AddressOf;
  mostLocals: AddressOf;
  written: AddressOf;
  watched: AddressOf;
  take(length: number): number;
  begin(): number;
  length(): number;
  append(count: number): number;
  rewrite(from: number, until: number): void;
  rewriteBody(body: number): void;
}

/** Columns of `CodeChanges`, and the bytes of an element in them. */
const changedColumns = {
  called: 4,
  referenced: 4,
  growHelpers: 4,
  contextSites: 1,
  contextParameters: 1,
} as const;

/** Addresses that assembly/forms.ts gives. */
const at = {
  forms: 0,
  vectorForms: 0x100,
  miscForms: 0x300,
  interest: 0x500,
  getContext: 0x600,
  makeBase: 0x620,
  setContext: 0x640,
  keepContext: 0x680,
  marks: 0x6c0,
};

/** Opcodes of sites: 1. Opcodes with which exception handling begins: 2. Constants: 3. */
const interest = new Uint8Array(256);
for (const opcode of [
  op.call,
  op.callIndirect,
  op.returnCall,
  op.returnCallIndirect,
  op.callRef,
  op.returnCallRef,
  op.refFunc,
  op.memoryGrow,
]) {
  interest[opcode] = 1;
}
interest[op.try] = 2;
interest[op.tryTable] = 2;
interest[op.i32Const] = 3;
interest[op.i64Const] = 3;

/** Memory of more bytes than this is left to the garbage collector, and not kept for the next module. */
const keptMemory = 4 << 20;

// taken before anything puts itself between the program and WebAssembly
const { Module: WasmModule, Instance } = WebAssembly;
let compiled: WebAssembly.Module | undefined;
/** One that is not in use. */
let spare: Program | undefined;

/** An instance of the walker, and the module that it works on. */
class Program {
  readonly wasm: WalkerExports;
  module: Module | undefined;
  listener: SiteListener | undefined;

  constructor() {
    compiled ??= new WasmModule(fromBase64(walkerWasmBase64));
    const bytes = () => this.module?.bytes ?? new Uint8Array();
    const host = {
      instructionEnd: (position: number) => instructionEnd(bytes(), position >>> 0),
      longU32: (position: number) => u32At(bytes(), position >>> 0),
      locals: (start: number, end: number, what: number) => {
        const locals = countLocals(bytes(), start >>> 0, end >>> 0);
        return [locals.end, locals.groups, locals.count][what];
      },
      changed: (written: number, original: number) => this.listener?.(written >>> 0, original >>> 0),
    };
    this.wasm = new Instance(compiled, { host }).exports as unknown as WalkerExports;
    const { oneByte, vector, misc } = instructionForms;
    this.put(at.forms, oneByte);
    this.put(at.vectorForms, new Uint8Array(at.miscForms - at.vectorForms).fill(0xff));
    this.put(at.vectorForms, vector);
    this.put(at.miscForms, new Uint8Array(at.interest - at.miscForms).fill(0xff));
    this.put(at.miscForms, misc);
    this.put(at.interest, interest);
    this.put(
      at.marks,
      Uint32Array.from({ length: 8 }, (_, i) => markedConstants[i] ?? markedConstants[0]),
    );
    this.wasm.mostLocals.value = limits.locals;
  }

  static idle(): Program {
    const program = spare ?? new Program();
    spare = undefined;
    return program;
  }

  /** Nothing of what lies in its memory is used any more. */
  rest(): void {
    this.module = undefined;
    this.listener = undefined;
    if (this.wasm.memory.buffer.byteLength <= keptMemory) spare = this;
  }

  put(address: number, column: Column): void {
    const { buffer } = this.wasm.memory;
    new Uint8Array(buffer).set(
      new Uint8Array(column.buffer, column.byteOffset, column.byteLength),
      address >>> 0,
    );
  }

  /** Makes one body the only one. */
  putBody(module: Module, body: number): void {
    const { start, end } = module.bodies;
    this.module = module;
    const address = this.wasm.prepare(end[body] - start[body], start[body], 1, 1);
    this.put(address, module.bytes.subarray(start[body], end[body]));
    this.put(this.wasm.startsAddress(), start.subarray(body, body + 1));
    this.put(this.wasm.endsAddress(), end.subarray(body, body + 1));
    this.put(this.wasm.typesAddress(), new Uint32Array(1));
    this.put(this.wasm.typeParametersAddress(), typeParameters([module.types[module.functions[body]]]));
  }

  /** A copy of `count` numbers. */
  numbers(address: AddressOf, count: number): Uint32Array {
    return new Uint32Array(this.wasm.memory.buffer, address.value >>> 0, count).slice();
  }

  bytes(address: AddressOf, count: number): Uint8Array {
    return new Uint8Array(this.wasm.memory.buffer, address.value >>> 0, count).slice();
  }

  /** Puts a column behind what is there; returns its address. */
  add(column: Column): number {
    const address = this.wasm.take(column.byteLength) >>> 0;
    this.put(address, column);
    return address;
  }

  setInstructions({ getContext, makeBase, setContext, keepContext }: CodeChanges): void {
    this.put(at.getContext, Uint8Array.of(getContext.length, ...getContext));
    this.put(at.makeBase, Uint8Array.of(makeBase.length, ...makeBase));
    this.put(at.setContext, Uint8Array.of(setContext.length, ...setContext));
    this.put(at.keepContext, Uint8Array.of(keepContext.length, ...keepContext));
  }
}

/** How many parameters functions of each type have. */
function typeParameters(types: readonly (TypeDefinition | undefined)[]): Uint32Array {
  return Uint32Array.from(types, (type) => (type?.kind === "func" ? type.params.length : 0));
}

/** Walks over the code of one module, and then, if wanted, rewrites it. */
export class CodeWalker {
  readonly #module: Module;
  readonly #program: Program;

  /** Copies the module's code. */
  constructor(module: Module) {
    this.#module = module;
    const program = Program.idle();
    this.#program = program;
    const { bodies } = module;
    const code = module.section(sectionId.code);
    const parameters = typeParameters(module.types);
    const address = program.wasm.prepare(
      code?.bytes.length ?? 0,
      code?.offset ?? 0,
      bodies.count,
      parameters.length,
    );
    if (code) program.put(address, code.bytes);
    program.put(program.wasm.startsAddress(), bodies.start);
    program.put(program.wasm.endsAddress(), bodies.end);
    program.put(program.wasm.typesAddress(), new Uint32Array(module.functions));
    program.put(program.wasm.typeParametersAddress(), parameters);
    program.module = module;
  }

  /**
   * Finds what passes care about (calls, growth, references to functions) and remembers where; everything later
   * works on these sites and copies the bytes between them.
   * @throws DecodeError when a body has an unknown opcode or doesn't end where it says
   */
  walk(): Sites {
    const program = this.#program;
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
      position: program.numbers(wasm.positions, count),
      target: program.numbers(wasm.targets, count),
      opcode: program.bytes(wasm.opcodes, count),
      first: program.numbers(wasm.first, bodies.count + 1),
      catches: program.bytes(wasm.catches, bodies.count),
      crowded: program.bytes(wasm.crowded, bodies.count),
      marked: program.bytes(wasm.marked, bodies.count),
    };
  }

  /** Begins new code; `walk` was called. What is appended from now on lies one behind the other. */
  begin(changes: CodeChanges): void {
    const program = this.#program;
    const { wasm } = program;
    for (const name of Object.keys(changedColumns) as (keyof typeof changedColumns)[]) {
      wasm[name].value = program.add(changes[name]);
    }
    wasm.written.value = wasm.take(4 * this.#module.bodies.count);
    program.setInstructions(changes);
    wasm.begin();
  }

  append(code: Uint8Array): void {
    this.#program.put(this.#program.wasm.append(code.length), code);
  }

  /** Bytes of new code so far. */
  get length(): number {
    return this.#program.wasm.length() >>> 0;
  }

  /** Appends the rewritten bodies `from` to `until - 1`, each with its size. */
  rewrite(from: number, until: number): void {
    this.#program.wasm.rewrite(from, until);
  }

  /**
   * The new code, where it lies, to be copied before `end`; and where in it each rewritten body begins, behind
   * its size.
   */
  finish(): { code: Uint8Array<ArrayBuffer>; starts: Uint32Array } {
    const { wasm } = this.#program;
    const { length } = this;
    const code = new Uint8Array(wasm.memory.buffer as ArrayBuffer, wasm.append(0) >>> 0, 0);
    const starts = this.#program.numbers(wasm.written, this.#module.bodies.count);
    return { code: new Uint8Array(code.buffer, code.byteOffset - length, length), starts };
  }

  /** Nothing of this is used any more. */
  end(): void {
    this.#program.rest();
  }
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

/** Collects what a body has in it. Calls back with the kind and the number of each fact; some come more than once. */
export function readFacts(
  module: Module,
  body: number,
  fact: (kind: number, value: number) => void,
): { instructions: number; flags: number } {
  const program = Program.idle();
  const { wasm } = program;
  program.putBody(module, body);
  const count = wasm.facts(0);
  const { buffer } = wasm.memory;
  const at = wasm.factsAt.value >>> 0;
  const values = new Float64Array(buffer, at, 2 * count);
  const kinds = new Uint32Array(buffer, at, 4 * count);
  for (let i = 0; i < count; i++) fact(kinds[4 * i + 2], values[2 * i]);
  const facts = { instructions: wasm.instructions.value, flags: wasm.flags.value };
  program.rest();
  return facts;
}

/** Rewrites one body and tells where the distance between new code and old changes. */
export function watchBody(
  module: Module,
  sites: Sites,
  changes: CodeChanges,
  body: number,
  listener: SiteListener,
): void {
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
  wasm.written.value = wasm.take(4);
  program.setInstructions(changes);
  program.listener = listener;
  wasm.watched.value = 1;
  wasm.begin();
  wasm.rewriteBody(0);
  wasm.watched.value = 0;
  program.rest();
}
