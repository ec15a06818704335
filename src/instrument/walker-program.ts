/**
 * Instances of the walker, the wasm module of assembly/index.ts, and how the host gets columns into their memory and out of
 * it.
 */
import { fromBase64 } from "../base64.js";
import { instructionEnd, instructionForms, op } from "../wasm/instructions.js";
import { u32At } from "../wasm/leb128.js";
import { limits } from "../wasm/limits.js";
import type { Module } from "../wasm/module.js";
import { countLocals } from "../wasm/sections/code.js";
import { externalKind, type TypeDefinition } from "../wasm/types.js";
import { markedConstants } from "./allocators/marked-constants.js";
import { walkerWasmBase64 } from "./generated/walker-wasm.js";

export type Column = Uint8Array | Uint32Array;
export type AddressOf = WebAssembly.Global<"i32">;

/** Sets of nodes, of what is decided about calls. */
type ContextSet = "allocator" | "using" | "callBacks" | "mayAllocate" | "heeding" | "catching";
type ContextSwitch = "passing" | "tableIsOpen" | "releasesToo";

interface WalkerExports
  extends Record<(typeof changedColumns)[number] | ContextSet | ContextSwitch, AddressOf> {
  memory: WebAssembly.Memory;
  prepare(length: number, origin: number, count: number, imported: number, types: number): number;
  startsAddress(): number;
  endsAddress(): number;
  typesAddress(): number;
  typeParametersAddress(): number;
  walk(): number;
  stopped: AddressOf;
  facts(body: number): number;
  exits(body: number, local: number, scratch: number): number;
  exitsAt: AddressOf;
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
  notes: AddressOf;
  take(length: number): number;
  keep(end: number): void;
  firstUnknown(functions: number, types: number): number;
  prepareNodes(imported: number, types: number): void;
  shapes: AddressOf;
  addressTaken: AddressOf;
  turn(): void;
  firstEdges: AddressOf;
  edges: AddressOf;
  directCalls(): number;
  importsThatReturn(): number;
  takeSet(): number;
  markCallers(set: number, opaque: number): void;
  addTableNodes(set: number): void;
  decide(): void;
  decided: AddressOf;
  taking: AddressOf;
  begin(room: number): number;
  length(): number;
  append(count: number): number;
  drop(count: number): void;
  writeCopies(to: number, rows: number, count: number, first: number, second: number): void;
  rewrite(from: number, until: number): void;
  rewriteBody(body: number): void;
}

/** Columns of `CodeChanges`. */
export const changedColumns = [
  "called",
  "referenced",
  "growHelpers",
  "contextSites",
  "contextParameters",
  "lookEntries",
] as const;

/** Addresses that assembly/forms.ts gives. */
export const at = {
  forms: 0,
  vectorForms: 0x100,
  miscForms: 0x300,
  interest: 0x500,
  getContext: 0x600,
  makeBase: 0x620,
  setContext: 0x640,
  look: 0x660,
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

/** The last one that was given all of a module's code, while that is there. Weak, as no one says so after an error. */
let holding: WeakRef<Program> | undefined;

/** An instance of the walker, and the module that it works on. */
export class Program {
  readonly wasm: WalkerExports;
  module: Module | undefined;

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

  /** All code of its module is in its memory now. */
  hold(): void {
    holding = new WeakRef(this);
  }

  static holding(module: Module): Program | undefined {
    const program = holding?.deref();
    return program?.module === module ? program : undefined;
  }

  /** Whether its memory is used again for the next module. */
  get isKept(): boolean {
    return this.wasm.memory.buffer.byteLength <= keptMemory;
  }

  /** Nothing of what lies in its memory is used any more. */
  rest(): void {
    if (holding?.deref() === this) holding = undefined;
    this.module = undefined;
    if (this.isKept) spare = this;
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
    const address = this.wasm.prepare(end[body] - start[body], start[body], 1, 0, 1);
    this.put(address, module.bytes.subarray(start[body], end[body]));
    this.put(this.wasm.startsAddress(), start.subarray(body, body + 1));
    this.put(this.wasm.endsAddress(), end.subarray(body, body + 1));
    this.put(this.wasm.typesAddress(), new Uint32Array(1));
    this.put(this.wasm.typeParametersAddress(), typeParameters([module.types[module.functions[body]]]));
  }

  /** Prepares for a module, with room for `codeLength` bytes of it, from position `origin` on; returns their address. */
  putModule(module: Module, codeLength: number, origin: number): number {
    const { bodies, types, functions } = module;
    const importedTypes = importedFunctionTypes(module);
    const imported = importedTypes.length;
    this.module = module;
    const address = this.wasm.prepare(codeLength, origin, bodies.count, imported, types.length);
    this.put(this.wasm.startsAddress(), bodies.start);
    this.put(this.wasm.endsAddress(), bodies.end);
    this.put(this.wasm.typesAddress(), Uint32Array.from(importedTypes));
    this.put(this.wasm.typesAddress() + 4 * imported, Uint32Array.from(functions));
    this.put(this.wasm.typeParametersAddress(), typeParameters(types));
    return address;
  }

  /** A copy of `count` numbers. */
  numbers(address: number, count: number): Uint32Array {
    return new Uint32Array(this.wasm.memory.buffer, address >>> 0, count).slice();
  }

  bytes(address: number, count: number): Uint8Array {
    return new Uint8Array(this.wasm.memory.buffer, address >>> 0, count).slice();
  }

  /** Puts a column behind what is there; returns its address. */
  add(column: Column): number {
    const address = this.wasm.take(column.byteLength) >>> 0;
    this.put(address, column);
    return address;
  }
}

/** How many parameters functions of each type have; of what is no type of functions, more than there can be. */
function typeParameters(types: readonly (TypeDefinition | undefined)[]): Uint32Array {
  const counts = new Uint32Array(types.length);
  for (let i = 0; i < counts.length; i++) {
    const type = types[i];
    counts[i] = type?.kind === "func" ? type.params.length : 0x10000;
  }
  return counts;
}

function importedFunctionTypes({ imports }: Module): number[] {
  const types: number[] = [];
  for (const item of imports) if (item.kind === externalKind.function) types.push(item.type);
  return types;
}
