/** All sections of an instrumented module but its code. */
import { op } from "../wasm/instructions.js";
import { Writer } from "../wasm/leb128.js";
import { type Module, makeSection } from "../wasm/module.js";
import { renumberNames } from "../wasm/names.js";
import { countLocals } from "../wasm/sections/code.js";
import { encodeElements } from "../wasm/sections/elements.js";
import { encodeGlobals } from "../wasm/sections/globals.js";
import { encodeTables } from "../wasm/sections/tables.js";
import { appendTypes } from "../wasm/sections/types.js";
import {
  externalKind,
  type FunctionType,
  type RawSection,
  sectionId,
  type TypeDefinition,
  valueType,
} from "../wasm/types.js";
import { mapRefFunc } from "./constant-expressions.js";
import { type MovedLocal, movedLocal } from "./moved-local.js";
import { allMemories, type Plan, recorderFunctionType } from "./plan.js";

/** Module name of the imports that are added; the recorder provides them. */
export const recorderModule = "linmem";

/** The module's types and those that added functions need. */
export class TypeTable {
  readonly all: TypeDefinition[];
  readonly #module: Module;
  readonly #indices = new Map<string, number>();

  constructor(module: Module) {
    this.#module = module;
    this.all = [...module.types];
  }

  get changed(): boolean {
    return this.all.length > this.#module.types.length;
  }

  indexOf(type: FunctionType): number {
    const key = JSON.stringify([type.params, type.results]);
    let index = this.#indices.get(key);
    if (index === undefined) {
      index = this.all.push(type) - 1;
      this.#indices.set(key, index);
    }
    return index;
  }
}

/** The types as they are, and those that are added behind them. */
export function typeSection(module: Module, types: TypeTable): RawSection {
  const section = module.section(sectionId.type);
  const added = types.all.slice(module.types.length);
  const writer = new Writer((section?.bytes.length ?? 0) + 1024);
  // entries are fewer than types where they are groups of types
  writer.u32((section ? module.reader(section).u32() : 0) + added.length);
  appendRest(writer, module, sectionId.type);
  appendTypes(writer, added);
  return makeSection(sectionId.type, writer.finish());
}

export function importSection(module: Module, plan: Plan, types: TypeTable): RawSection {
  const writer = new Writer(1024);
  writer.u32(module.imports.length + plan.imports.length);
  appendRest(writer, module, sectionId.import);
  for (const name of plan.imports) {
    writer.name(recorderModule);
    writer.name(name);
    writer.byte(externalKind.function);
    writer.u32(types.indexOf(recorderFunctionType(name)));
  }
  return makeSection(sectionId.import, writer.finish());
}

/** Type index of every defined function, in the order in which `writeCode` writes their bodies. */
export function functionsSection(module: Module, plan: Plan, types: TypeTable): RawSection {
  const added = [
    ...plan.entries.map(({ target }) => module.functionTypeIndex(target)),
    ...[...plan.carriers.keys()].map((target) => module.functionTypeIndex(target)),
    ...[...plan.growHelpers.keys()].map((memory) => types.indexOf(growType(module, memory))),
    ...plan.exposers.map(({ target }) => module.functionTypeIndex(target)),
  ];
  const writer = new Writer(1024);
  writer.u32(module.functions.length + added.length);
  if (plan.contextParameters.includes(1)) {
    const { functions } = module;
    const { contextParameters } = plan;
    const passed = new Uint32Array(module.types.length);
    const written = new Uint8Array(5 * functions.length);
    let length = 0;
    // no call for each function: engines have not compiled this when it runs
    for (let body = 0; body < functions.length; body++) {
      let type = functions[body];
      if (contextParameters[body] === 1) type = passed[type] ||= withContext(module, type, types);
      for (; type >= 0x80; type >>>= 7) written[length++] = type | 0x80;
      written[length++] = type;
    }
    writer.copy(written, 0, length);
  } else appendRest(writer, module, sectionId.function);
  for (const type of added) writer.u32(type);
  return makeSection(sectionId.function, writer.finish());
}

/** Index of a function type with a parameter more, for the context. */
function withContext(module: Module, type: number, types: TypeTable): number {
  const { params, results } = module.types[type] as FunctionType;
  return types.indexOf({ kind: "func", params: [...params, valueType.i64], results });
}

/** Copies a section's entries, without their count. */
function appendRest(writer: Writer, module: Module, id: number): void {
  const section = module.section(id);
  if (!section) return;
  const reader = module.reader(section);
  reader.u32();
  writer.copy(module.bytes, reader.pos, reader.end);
}

/** Of what stands in for `memory.grow`. */
export function growType(module: Module, memory: number): FunctionType {
  const address = allMemories(module)[memory].index64 ? valueType.i64 : valueType.i32;
  return { kind: "func", params: [address], results: [address] };
}

/** The smaller sections that refer to functions, and the globals that are added. */
export function renumberedSections(module: Module, plan: Plan): RawSection[] {
  const referenced = (index: number) => plan.referenced[index];
  const mapExpression = (expression: Uint8Array) => mapRefFunc(expression, referenced);
  const sections: RawSection[] = [];
  const add = (id: number, payload: Uint8Array) => sections.push(makeSection(id, payload));

  if (module.tables.some(({ init }) => init)) {
    const tables = module.tables.map((table) =>
      table.init ? { ...table, init: mapExpression(table.init) } : table,
    );
    add(sectionId.table, encodeTables(tables));
  }
  if (plan.withContext || module.globals.length > 0) {
    const globals = module.globals.map((global) => ({ ...global, init: mapExpression(global.init) }));
    if (plan.withContext) {
      const zero = (opcode: number) => new Uint8Array([opcode, 0, op.end]);
      globals.push({ type: valueType.i64, mutable: true, init: zero(op.i64Const) });
      globals.push({ type: valueType.i32, mutable: true, init: zero(op.i32Const) });
      globals.push({ type: valueType.i32, mutable: true, init: zero(op.i32Const) });
    }
    add(sectionId.global, encodeGlobals(globals));
  }
  if (module.exports.length > 0) add(sectionId.export, exportSection(module, plan));
  if (module.start !== undefined) {
    const writer = new Writer(8);
    writer.u32(referenced(module.start));
    add(sectionId.start, writer.finish());
  }
  if (module.elements.length > 0) {
    const elements = module.elements.map((segment) => ({
      ...segment,
      functions: segment.functions && numbersOf(segment.functions, plan.referenced),
      expressions: segment.expressions?.map(mapExpression),
      offset: segment.offset && mapExpression(segment.offset),
    }));
    add(sectionId.element, encodeElements(elements));
  }
  const names = module.custom("name");
  if (names) {
    const moved = { functions: plan.moved, lastLocal: (index: number) => lastLocal(module, plan, index) };
    const payload = renumberNames(module.reader(names), moved, addedNames(module, plan));
    sections.push(makeSection(sectionId.custom, payload, "name"));
  }
  return sections;
}

/** What indices become. No call for each: there may be thousands, and engines have not compiled this when it runs. */
function numbersOf(indices: readonly number[], become: Uint32Array): number[] {
  const numbers = new Array<number>(indices.length);
  for (let i = 0; i < indices.length; i++) numbers[i] = become[indices[i]];
  return numbers;
}

/** The exports with their names as they are: nothing is decoded, as there may be thousands. */
function exportSection(module: Module, plan: Plan): Uint8Array {
  const section = module.section(sectionId.export)!;
  const { bytes } = module;
  const reader = module.reader(section);
  const writer = new Writer(section.bytes.length + 2 * module.exports.length + 16);
  writer.u32(reader.u32());
  while (!reader.atEnd()) {
    const start = reader.pos;
    reader.skip(reader.u32());
    const kind = reader.byte();
    writer.copy(bytes, start, reader.pos);
    const index = reader.u32();
    writer.u32(kind === externalKind.function ? plan.referenced[index] : index);
  }
  return writer.finish();
}

/** The local whose index the parameter for the context has now. */
function lastLocal(module: Module, plan: Plan, index: number): MovedLocal | undefined {
  const body = index - module.importedFunctionCount;
  if (body < 0 || plan.contextParameters[body] !== 1) return undefined;
  const { start, end } = module.bodies;
  return movedLocal(
    module.functionType(index).params.length,
    countLocals(module.bytes, start[body], end[body]),
  );
}

/** Added functions carry the name of what they stand for, so that the program's own stacks stay readable. */
function addedNames(module: Module, plan: Plan): Map<number, string> {
  const added = new Map<number, string>();
  const add = (index: number, original: number) => {
    const name = module.functionName(original);
    if (name !== undefined) added.set(index, name);
  };
  for (const { index, target } of plan.entries) add(index, target);
  for (const [target, index] of plan.carriers) add(index, target);
  for (const { index, target } of plan.exposers) add(index, target);
  return added;
}
