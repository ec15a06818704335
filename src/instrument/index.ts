/**
 * Adds to a module what profiling needs: hooks at the allocator, calling contexts, entries, reports of growth.
 * The design is in plan.ts (what is added where), context.ts, hooks.ts and rewrite-bodies.ts.
 */
import { InstrumentError } from "../errors.js";
import { op } from "../wasm/instructions.js";
import { Writer } from "../wasm/leb128.js";
import { decodeModule, encodeModule, type Module, makeSection, replaceSections } from "../wasm/module.js";
import { renumberNames } from "../wasm/names.js";
import { encodeElements } from "../wasm/sections/elements.js";
import { encodeExports } from "../wasm/sections/exports.js";
import { encodeGlobals } from "../wasm/sections/globals.js";
import { encodeTables } from "../wasm/sections/tables.js";
import { encodeTypes } from "../wasm/sections/types.js";
import {
  externalKind,
  type FunctionType,
  type RawSection,
  sectionId,
  type TypeDefinition,
  valueType,
} from "../wasm/types.js";
import { checkIndices } from "./check-indices.js";
import { mapRefFunc } from "./constant-expressions.js";
import { contextInstructions, type EntryTargets, EntryWriter } from "./context.js";
import { carrierBody, isSideModule } from "./dynamic-linking.js";
import { CodeWriter } from "./emit.js";
import { findAllocator } from "./find-allocator.js";
import { fitsRole, type Hook, type HookTargets, makeHook } from "./hooks.js";
import { type InitialData, initialData, type MemoryLayout, memoryLayout } from "./layout.js";
import { allMemories, makePlan, type Plan, recorderFunctionType } from "./plan.js";
import { type OriginalPosition, PositionMap } from "./positions.js";
import { findCallers } from "./reachability.js";
import { BodyRewriter, contextKind } from "./rewrite-bodies.js";
import type { AllocatorFunction, AllocatorOverride } from "./roles.js";
import { detectToolchain } from "./toolchain.js";
import { type CodeChanges, CodeWalker, noHelper } from "./walker.js";

export type { InitialData, MemoryLayout } from "./layout.js";
export type { OriginalPosition } from "./positions.js";
export type { AllocatorOverride } from "./roles.js";

const countedElsewhere = "linked dynamically: its blocks are counted with the module that has the allocator";

/** Module name of the imports that are added; the recorder provides them. */
const recorderModule = "linmem";

export interface InstrumentOptions {
  /** Replaces what would be found. */
  allocator?: readonly AllocatorOverride[];
  /** For measurements: parts to leave out, to see what they cost. What is recorded is wrong then. */
  without?: readonly ("contexts" | "hooks")[];
}

/** An instrumented module. */
export interface Instrumentation {
  /** The same bytes as were given when there was nothing to add. */
  bytes: Uint8Array;
  /** What made the module, in words; `unknown` where nothing tells. */
  toolchain: string;
  /** Functions that were hooked; when empty nothing but growth is recorded. */
  allocator: readonly AllocatorFunction[];
  /** What people should know about how the allocator was or wasn't found. */
  notes: readonly string[];
  /** What it says about the addresses of its first memory. */
  layout: MemoryLayout;
  /** Data that it comes with. */
  data: readonly InitialData[];
  /** Maps function index and byte offset of a frame in the instrumented module to the original. */
  toOriginal(functionIndex: number, offset: number): OriginalPosition;
}

/**
 * Adds hooks at the allocator's functions, calling contexts and growth events to a module.
 * @throws DecodeError when the bytes are no module; InstrumentError when this version can't instrument them;
 *   UsageError when an override names what the module doesn't have.
 */
export function instrument(bytes: Uint8Array, options: InstrumentOptions = {}): Instrumentation {
  const module = decodeModule(bytes);
  if (module.imports.some(({ module: name }) => name === recorderModule)) {
    throw new InstrumentError("the module is instrumented already: give the original");
  }
  const walker = new CodeWalker(module);
  const sites = walker.walk();
  checkIndices(module, sites);
  const found = findAllocator(module, options.allocator, sites);
  const { functions } = found;
  const notes = functions.length === 0 && isSideModule(module) ? [countedElsewhere] : found.notes;
  const toolchain = detectToolchain(module);
  const layout = memoryLayout(module);
  const data = initialData(module);
  const hooked = allMemories(module).some(({ shared }) => shared) ? [] : hookable(module, functions);
  const callers = findCallers(module, sites);
  const plan = makePlan(module, sites, callers, hooked);
  if (options.without?.includes("contexts")) plan.contextSites.fill(contextKind.none);
  if (plan.imports.length === 0) {
    walker.end();
    return {
      bytes,
      toolchain,
      allocator: [],
      notes,
      layout,
      data,
      toOriginal: (functionIndex, offset) => ({ functionIndex, offset }),
    };
  }

  const rewriter = new BodyRewriter(module, sites, {
    ...codeChanges(module, plan),
    hooks: options.without?.includes("hooks") ? new Map() : hooksOf(module, plan),
  });
  const types = new TypeTable(module);
  const code = writeCode(module, plan, rewriter, walker, types);
  // the code comes first: it adds the types that the type section then has
  const imports = importSection(module, plan, types);
  const functionSection = functionsSection(module, plan, types);
  const sections = replaceSections(module.sections, [
    ...(types.changed ? [makeSection(sectionId.type, encodeTypes(types.all))] : []),
    imports,
    functionSection,
    ...renumberedSections(module, plan),
    code.section,
  ]).filter(({ name }) => name !== "metadata.code.branch_hint");

  const instrumented = encodeModule(sections);
  walker.end();
  return {
    bytes: instrumented,
    toolchain,
    allocator: hooked,
    notes,
    layout,
    data,
    toOriginal: positionMap(module, plan, rewriter, sections, code),
  };
}

function hookable(module: Module, functions: readonly AllocatorFunction[]): AllocatorFunction[] {
  const seen = new Set<number>();
  const [memory] = allMemories(module);
  return functions.filter(({ index, role }) => {
    const type = module.functionType(index);
    const fits = index >= module.importedFunctionCount && fitsRole(role, type);
    if (!fits || seen.has(index)) return false;
    // its hook reads the block's address from the first memory
    if (role === "posix_memalign" && (type.params[0] === valueType.i64) !== memory?.index64) return false;
    seen.add(index);
    return true;
  });
}

/** The module's types and those that added functions need. */
class TypeTable {
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

function importSection(module: Module, plan: Plan, types: TypeTable): RawSection {
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
function functionsSection(module: Module, plan: Plan, types: TypeTable): RawSection {
  const added = [
    ...plan.entries.map(({ target }) => module.functionTypeIndex(target)),
    ...[...plan.carriers.keys()].map((target) => module.functionTypeIndex(target)),
    ...[...plan.growHelpers.keys()].map((memory) => types.indexOf(growType(module, memory))),
  ];
  const writer = new Writer(1024);
  writer.u32(module.functions.length + added.length);
  appendRest(writer, module, sectionId.function);
  for (const type of added) writer.u32(type);
  return makeSection(sectionId.function, writer.finish());
}

/** Copies a section's entries, without their count. */
function appendRest(writer: Writer, module: Module, id: number): void {
  const section = module.section(id);
  if (!section) return;
  const reader = module.reader(section);
  reader.u32();
  writer.copy(module.bytes, reader.pos, reader.end);
}

interface WrittenCode {
  section: RawSection;
  /** Offset of each body of the original's functions in the section's bytes. */
  starts: Uint32Array;
}

function writeCode(
  module: Module,
  plan: Plan,
  rewriter: BodyRewriter,
  walker: CodeWalker,
  types: TypeTable,
): WrittenCode {
  const { bodies } = module;
  const added = plan.entries.length + plan.carriers.size + plan.growHelpers.size;
  const header = new Writer(16);
  header.byte(sectionId.code);
  // the size of the section, known only at the end
  header.paddedU32(0);
  const payloadStart = header.length;
  header.u32(bodies.count + added);
  walker.begin(rewriter.changes);
  walker.append(header.finish());
  const hooked = rewriter.writeAll(walker);
  walker.append(addedBodies(module, plan, types));

  const { code, starts } = walker.finish();
  for (const [body, start] of hooked) starts[body] = start;
  const size = new Writer(5);
  size.paddedU32(code.length - payloadStart);
  code.set(size.finish(), payloadStart - 5);
  return { section: { id: sectionId.code, offset: 0, bytes: code, payloadStart }, starts };
}

/** Bodies of the functions that are added, each with its size. */
function addedBodies(module: Module, plan: Plan, types: TypeTable): Uint8Array {
  const writer = new CodeWriter(4096);
  const entries = new EntryWriter(recorderTargets(plan), plan.tailCalls);
  for (const { target, value, tableOnly } of plan.entries) {
    writer.paddedU32(0);
    const start = writer.length;
    const stub = { target: plan.moved(target), value, tableOnly };
    entries.write(writer, module.functionType(target), module.functionTypeIndex(target), stub);
    writer.patchU32(start - 5, writer.length - start);
  }
  const write = (body: Uint8Array) => {
    writer.u32(body.length);
    writer.bytes(body);
  };
  for (const target of plan.carriers.keys()) {
    write(carrierBody(module.functionType(target), target, plan.context, plan.importIndex("carry")));
  }
  for (const memory of plan.growHelpers.keys()) {
    types.indexOf(growType(module, memory));
    write(growBody(module, memory, plan.importIndex("grown")));
  }
  return writer.finish();
}

/** What the walker has to know of a plan. */
function codeChanges(module: Module, plan: Plan): CodeChanges {
  const parametersOf = module.types.map((type) => (type.kind === "func" ? type.params.length : 0));
  return {
    called: plan.called,
    referenced: plan.referenced,
    growHelpers: Uint32Array.from(
      allMemories(module),
      (_, memory) => plan.growHelpers.get(memory) ?? noHelper,
    ),
    contextSites: plan.contextSites,
    parameters: Uint32Array.from(module.functions, (type) => parametersOf[type]),
    ...contextInstructions(plan.context),
  };
}

/** By body. */
function hooksOf(module: Module, plan: Plan): Map<number, Hook> {
  const targets = recorderTargets(plan);
  return new Map(
    plan.hooked.map(({ role, index }, i) => [
      index - module.importedFunctionCount,
      makeHook(role, module.functionType(index), targets, plan.relations[i]),
    ]),
  );
}

function recorderTargets(plan: Plan): HookTargets & EntryTargets {
  return {
    context: plan.context,
    pending: plan.pending,
    alloc: plan.importIndex("alloc"),
    free: plan.importIndex("free"),
    realloc: plan.importIndex("realloc"),
    leave: plan.importIndex("leave"),
    abandon: plan.importIndex("abandon"),
    nested: plan.importIndex("nested"),
  };
}

function growType(module: Module, memory: number): FunctionType {
  const address = allMemories(module)[memory].index64 ? valueType.i64 : valueType.i32;
  return { kind: "func", params: [address], results: [address] };
}

/** Grows a memory and reports it: the old size or -1, and what was asked for, in pages. */
function growBody(module: Module, memory: number, grown: number): Uint8Array {
  const code = new CodeWriter(48);
  const wide = allMemories(module)[memory].index64;
  const narrow = () => {
    if (wide) code.op(op.i32WrapI64);
  };
  code.u32(1);
  code.u32(1);
  code.byte(wide ? valueType.i64 : valueType.i32);
  code.localGet(0).op(op.memoryGrow);
  code.u32(memory);
  code.localSet(1).i32Const(memory).localGet(1);
  narrow();
  code.localGet(0);
  narrow();
  code.call(grown).localGet(1).end();
  return code.finish();
}

/** The smaller sections that refer to functions, and the globals that are added. */
function renumberedSections(module: Module, plan: Plan): RawSection[] {
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
    }
    add(sectionId.global, encodeGlobals(globals));
  }
  if (module.exports.length > 0) {
    const exports = module.exports.map((item) =>
      item.kind === externalKind.function ? { ...item, index: referenced(item.index) } : item,
    );
    add(sectionId.export, encodeExports(exports));
  }
  if (module.start !== undefined) {
    const writer = new Writer(8);
    writer.u32(referenced(module.start));
    add(sectionId.start, writer.finish());
  }
  if (module.elements.length > 0) {
    const elements = module.elements.map((segment) => ({
      ...segment,
      functions: segment.functions?.map(referenced),
      expressions: segment.expressions?.map(mapExpression),
      offset: segment.offset && mapExpression(segment.offset),
    }));
    add(sectionId.element, encodeElements(elements));
  }
  const names = module.custom("name");
  if (names) {
    const payload = renumberNames(module.reader(names), { functions: plan.moved }, addedNames(module, plan));
    sections.push(makeSection(sectionId.custom, payload, "name"));
  }
  return sections;
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
  return added;
}

function positionMap(
  module: Module,
  plan: Plan,
  rewriter: BodyRewriter,
  sections: readonly RawSection[],
  code: WrittenCode,
): Instrumentation["toOriginal"] {
  let codeOffset = 8;
  for (const section of sections) {
    if (section === code.section) break;
    codeOffset += section.bytes.length;
  }
  const starts = code.starts.map((start) => start + codeOffset);
  const positions = new PositionMap(module, rewriter, starts);
  const imported = module.importedFunctionCount;
  const firstDefined = imported + plan.imports.length;
  const firstEntry = module.functionCount + plan.imports.length;

  return (functionIndex, offset) => {
    if (functionIndex < firstDefined) return { functionIndex, offset: 0 };
    if (functionIndex >= firstEntry) {
      const target = plan.entries[functionIndex - firstEntry]?.target ?? -1;
      return { functionIndex: target, offset: 0, added: "entry" };
    }
    const original = functionIndex - plan.imports.length;
    return { functionIndex: original, offset: positions.toOriginal(original - imported, offset) };
  };
}
