/**
 * Puts a check before every access to the first memory. It works on the module that has its hooks already: the checker's
 * functions are imported by then, so no function moves and only bodies are rewritten.
 *
 * A check reads the shadow of the 8 bytes that an access begins in. If all of them may be used that is all; else the
 * checker looks closer. Where the engine has multiple memories the shadow memory is the module's second one, and the
 * memory that it had of its own becomes an import: only in that order is the program's memory the first, which engines
 * are fastest with.
 */
import { instructionEnd, op } from "../../wasm/instructions.js";
import { skipLeb, u32At, Writer } from "../../wasm/leb128.js";
import { decodeModule, encodeModule, type Module, makeSection, replaceSections } from "../../wasm/module.js";
import { countLocals } from "../../wasm/sections/code.js";
import { encodeLimits } from "../../wasm/sections/value-types.js";
import { externalKind, type RawSection, sectionId, valueType } from "../../wasm/types.js";
import { CodeWriter } from "../emit.js";
import { allMemories } from "../plan.js";
import { recorderModule } from "../write-sections.js";
import { type Access, accessAt, type BulkAccess, bulkAccesses } from "./accesses.js";
import { BranchHints } from "./branch-hints.js";
import type { CheckerFunction } from "./functions.js";
import type { AccessGroup } from "./groups.js";
import { type AccessFacts, nothingKnown, redundantAccesses } from "./redundant.js";

/** Names of the imported memories. */
const memoryImport = "memory";
const shadowImport = "shadow";
/** Pages of the shadow of 4 GiB. */
const shadowPages = 8192;

/** What the checker is told: mirror of src/check/assembly/layout.ts. */
const accessKind = { read: 0, write: 1, strictRead: 4 } as const;

const full = 8;
const fullTwice = 0x0808;

export interface InsertOptions {
  /** Whether the module gets the shadow memory as its second one. */
  inline: boolean;
  /** Index of an imported function of the checker. */
  checker(name: CheckerFunction): number;
  /** Global with the calling context; undefined when there is none. */
  context?: number;
  /** Whether a function is left as it is, by its index in the module. */
  isExempt(index: number): boolean;
  /** The stack pointer, and the addresses below the stack: into them it grows when it is full. */
  stack?: StackBounds;
  /** Addresses that are static data, `[start, end)`. */
  data: readonly [start: number, end: number];
  /** Of two bytes that may be used and have this distance or less, all between them may be used. */
  gap: number;
  /** Accesses are checked too of which the outcome is known. */
  everywhere: boolean;
}

export interface StackBounds {
  global: number;
  /** `[start, end)`: they begin with the last ones of all, and go round, as a large frame takes the pointer there. */
  below: [start: number, end: number];
}

export interface Checked {
  bytes: Uint8Array;
  /** Places that are checked. */
  sites: number;
  /** Offset in the module before, of an offset in the body of a function of the new one. */
  toOriginal(functionIndex: number, offset: number): number;
}

/** Whether a module can have the shadow memory as its second one. */
export function canInline(module: Module): boolean {
  const memories = allMemories(module);
  return memories.length === 1 && isPlain(memories[0]);
}

/** Whether accesses to the first memory can be checked at all. */
export function canCheckMemory(module: Module): boolean {
  const [memory] = allMemories(module);
  return memory !== undefined && isPlain(memory);
}

function isPlain({ shared, index64, pageSizeLog2 }: ReturnType<typeof allMemories>[number]): boolean {
  return !shared && !index64 && (pageSizeLog2 ?? 16) === 16;
}

/** @param bytes a module that imports what its checks call */
export function insertChecks(bytes: Uint8Array, options: InsertOptions): Checked {
  const module = decodeModule(bytes);
  const rewriter = new CheckWriter(module, options);
  const { bodies } = module;
  const writer = new CodeWriter(bytes.length * 2);
  writer.u32(bodies.count);
  const starts = new Uint32Array(bodies.count);
  const firstSites = new Uint32Array(bodies.count);
  const hints = new BranchHints();
  for (let body = 0; body < bodies.count; body++) {
    writer.paddedU32(0);
    const start = writer.length;
    starts[body] = start;
    firstSites[body] = rewriter.sites;
    rewriter.write(writer, body);
    hints.add(module.importedFunctionCount + body, rewriter.branches);
    writer.patchU32(start - 5, writer.length - start);
  }
  const code = makeSection(sectionId.code, writer.finish());
  const sections = replaceSections(module.sections, [
    ...(options.inline ? [importsWithShadow(module)] : []),
    code,
  ]).filter(({ id }) => id !== sectionId.memory || !options.inline);
  sections.splice(sections.indexOf(code), 0, hints.section());
  const inserted = encodeModule(sections);

  let codeOffset = 8;
  for (const section of sections) {
    if (section === code) break;
    codeOffset += section.bytes.length;
  }
  codeOffset += code.payloadStart;
  const imported = module.importedFunctionCount;
  return {
    bytes: inserted,
    sites: rewriter.sites,
    toOriginal(functionIndex, offset) {
      const body = functionIndex - imported;
      if (body < 0 || body >= bodies.count) return 0;
      const within = offset - codeOffset - starts[body];
      return rewriter.originalOf(body, firstSites[body], within);
    },
  };
}

/** The imports, behind them the memory if the module had one of its own, and the shadow memory. */
function importsWithShadow(module: Module): RawSection {
  const writer = new Writer(1024);
  const own = module.memories[0];
  writer.u32(module.imports.length + (own ? 2 : 1));
  const section = module.section(sectionId.import);
  if (section) {
    const reader = module.reader(section);
    reader.u32();
    writer.copy(module.bytes, reader.pos, reader.end);
  }
  const add = (name: string, limits: Parameters<typeof encodeLimits>[1]) => {
    writer.name(recorderModule);
    writer.name(name);
    writer.byte(externalKind.memory);
    encodeLimits(writer, limits);
  };
  if (own) add(memoryImport, own);
  add(shadowImport, { min: shadowPages, shared: false, index64: false });
  return makeSection(sectionId.import, writer.finish());
}

/** Where the new code goes on with the old: the same offset in both from `written` on, or for a check its access. */
interface Span {
  written: number;
  original: number;
  isCheck: boolean;
}

/** Locals that a body gets, in the order of their first use. */
class Locals {
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

class CheckWriter {
  readonly #module: Module;
  readonly #options: InsertOptions;
  readonly #code = new CodeWriter(1 << 16);
  /** Sites so far. */
  sites = 0;
  /** Offsets in the body that was written last, of branches that are hardly ever taken. */
  branches: number[] = [];

  constructor(module: Module, options: InsertOptions) {
    this.#module = module;
    this.#options = options;
  }

  /** Appends a body without its size. */
  write(writer: CodeWriter, body: number, spans?: Span[]): void {
    const { bytes, bodies, importedFunctionCount } = this.#module;
    const [start, end] = [bodies.start[body], bodies.end[body]];
    const index = importedFunctionCount + body;
    this.branches = [];
    if (this.#options.isExempt(index)) {
      spans?.push({ written: 0, original: start, isCheck: false });
      writer.copy(bytes, start, end);
      return;
    }
    const declared = countLocals(bytes, start, end);
    const locals = new Locals(this.#module.functionType(index).params.length + declared.count);
    const code = this.#code;
    code.length = 0;
    this.branches = [];
    const inner: Span[] | undefined = spans && [{ written: 0, original: declared.end, isCheck: false }];
    this.#instructions(code, declared.end, end, locals, this.#factsOf(body, declared), inner);

    const from = writer.length;
    writer.u32(declared.groups + locals.types.length);
    writer.copy(bytes, skipLeb(bytes, start), declared.end);
    for (const type of locals.types) writer.op(1, type);
    const header = writer.length - from;
    this.branches = this.branches.map((at) => at + header);
    writer.copy(code.buffer, 0, code.length);
    if (!spans || !inner) return;
    spans.push({ written: 0, original: start, isCheck: true });
    for (const span of inner) spans.push({ ...span, written: span.written + header });
  }

  /** Offset in the module before of an offset in a written body. */
  originalOf(body: number, firstSite: number, within: number): number {
    const spans: Span[] = [];
    const { sites } = this;
    this.sites = firstSite;
    this.write(new CodeWriter(1 << 16), body, spans);
    this.sites = sites;
    const span = spans.findLast(({ written }) => written <= within);
    if (!span) return this.#module.bodies.start[body];
    return span.isCheck ? span.original : span.original + within - span.written;
  }

  #factsOf(body: number, declared: { end: number; count: number }): AccessFacts {
    const module = this.#module;
    const { stack, data, gap, everywhere } = this.#options;
    if (everywhere) return nothingKnown;
    const parameters = module.functionType(module.importedFunctionCount + body).params.length;
    return redundantAccesses(
      module,
      body,
      { start: declared.end, end: module.bodies.end[body], locals: parameters + declared.count },
      { ...(stack && { stackPointer: stack.global }), data, gap },
    );
  }

  #instructions(
    code: CodeWriter,
    from: number,
    end: number,
    locals: Locals,
    { redundant, strict, groups }: AccessFacts,
    spans?: Span[],
  ): void {
    const { bytes } = this.#module;
    const { stack } = this.#options;
    let copied = from;
    const insert = (position: number, write: () => void) => {
      code.copy(bytes, copied, position);
      copied = position;
      spans?.push({ written: code.length, original: position, isCheck: true });
      write();
      spans?.push({ written: code.length, original: position, isCheck: false });
    };
    for (let pos = from; pos < end; pos = instructionEnd(bytes, pos)) {
      const opcode = bytes[pos];
      if (opcode === op.globalSet) {
        if (stack && u32At(bytes, pos + 1) === stack.global) {
          insert(pos, () => this.#checkStack(code, stack, locals));
        }
        continue;
      }
      if (opcode === op.prefixMisc) {
        const bulk = bulkAccesses(bytes, pos);
        if (bulk) insert(pos, () => this.#checkBulk(code, bulk, locals));
        continue;
      }
      const access = accessAt(bytes, pos);
      if (access?.memory !== 0 || redundant.has(pos)) continue;
      const how = access.write ? accessKind.write : strict.has(pos) ? accessKind.strictRead : accessKind.read;
      insert(pos, () => this.#check(code, { ...access, how, pos, group: groups.get(pos) }, locals));
    }
    code.copy(bytes, copied, end);
  }

  #ifUnlikely(code: CodeWriter): void {
    this.branches.push(code.length);
    code.if();
  }

  #context(code: CodeWriter): CodeWriter {
    const { context } = this.#options;
    return context === undefined ? code.i64Const(0) : code.globalGet(context);
  }

  #check(code: CodeWriter, access: CheckedAccess, locals: Locals): void {
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

  #checkStack(code: CodeWriter, { below: [start, end] }: StackBounds, locals: Locals): void {
    const pointer = locals.of(valueType.i32, "address");
    code.localTee(pointer).localGet(pointer);
    if (start > 0) code.i32Const(start | 0).op(op.i32Sub);
    code.i32Const((end - start) | 0).op(op.i32LtU);
    this.#ifUnlikely(code);
    code.localGet(pointer).i32Const(this.sites++);
    this.#context(code).call(this.#options.checker("checkStack")).end();
  }

  #checkBulk(code: CodeWriter, ranges: readonly BulkAccess[], locals: Locals): void {
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

interface CheckedAccess extends Access {
  /** One of `accessKind`. */
  how: number;
  pos: number;
  group: AccessGroup | undefined;
}

function addOffset(code: CodeWriter, offset: number): void {
  if (offset > 0) code.i32Const(offset | 0).op(op.i32Add);
}
