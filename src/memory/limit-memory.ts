// Puts a bound on a module's memories, in its bytes: the engine itself then refuses growth beyond it. And makes growth
// that was refused visible: each `memory.grow` becomes a call of a function that does the same and counts refusals in a
// global. JavaScript can't run anyway between the refusal and the next time that the module returns or calls out, so
// looking at the global there is as good as being called, and nobody runs in the middle of the module.
//
// Everything is appended (a type, functions, globals, exports), so no index in the module changes.
import { LinmemError, LinmemRangeError } from "../errors.js";
import { instructionEnd, op } from "../wasm/instructions.js";
import { u32At, Writer } from "../wasm/leb128.js";
import { decodeModule, encodeModule, type Module, makeSection, replaceSections } from "../wasm/module.js";
import { countLocals } from "../wasm/sections/code.js";
import { encodeExports } from "../wasm/sections/exports.js";
import { encodeFunctions } from "../wasm/sections/functions.js";
import { encodeGlobals } from "../wasm/sections/globals.js";
import { encodeMemories } from "../wasm/sections/memories.js";
import { encodeTypes } from "../wasm/sections/types.js";
import {
  type Export,
  externalKind,
  type FunctionType,
  type Limits,
  type RawSection,
  sectionId,
  type TypeDefinition,
  valueType,
} from "../wasm/types.js";

/** A module whose memories are bounded. */
export interface LimitedModule {
  bytes: Uint8Array<ArrayBuffer>;
  /** The module as it was. */
  original: Module;
  /** All memories, imported ones first. */
  memories: {
    /** With a maximum. */
    limits: Limits;
    /** The name under which it is exported, also if the module keeps it to itself. */
    name: string;
  }[];
  /** Names of exported globals, both i32, or undefined when the module never grows a memory. */
  refusals?: {
    /** How often growth was refused. */
    count: string;
    /** Pages that were asked for last. */
    asked: string;
  };
}

/** log2 of a page of 64 KiB. */
const PAGE_LOG2 = 16;

/**
 * Bounds all memories of a module to `maxPages` together: each gets its first pages, and what is left goes to the first
 * one that asks for it by its own maximum.
 *
 * @throws DecodeError for bytes that are no module
 * @throws LinmemRangeError (`ERR_LINMEM_MAX_MEMORY`) when its memories begin with more
 * @throws LinmemError (`ERR_LINMEM_UNSUPPORTED`) for pages that are not of 64 KiB
 */
export function limitMemory(bytes: Uint8Array, maxPages: number): LimitedModule {
  const original = decodeModule(bytes);
  const imported = original.imports.flatMap((item) =>
    item.kind === externalKind.memory ? [item.memory] : [],
  );
  const limits = distribute([...imported, ...original.memories], maxPages);
  if (limits.length === 0) return { bytes: encodeModule(original.sections), original, memories: [] };

  const exports = new ExportList(original.exports);
  const memories = limits.map((limit, index) => ({
    limits: limit,
    name: exports.add("linmem.memory", externalKind.memory, index),
  }));
  const changed: RawSection[] = [];
  if (original.memories.length > 0) {
    changed.push(makeSection(sectionId.memory, encodeMemories(limits.slice(imported.length))));
  }
  const sites = findGrowth(original);
  const counter = sites.length > 0 ? new GrowthCounter(original, limits, sites, exports) : undefined;
  if (counter) changed.push(...counter.sections());
  changed.push(makeSection(sectionId.export, encodeExports(exports.list)));
  // Offsets in these sections are relative to bodies, which have become longer.
  const sections = original.sections.filter(({ name }) => !(counter && name?.startsWith("metadata.code.")));
  return {
    bytes: encodeModule(replaceSections(sections, changed)),
    original,
    memories,
    ...(counter && { refusals: counter.names }),
  };
}

/** The exports of a module, and more under names that it doesn't use. */
class ExportList {
  readonly list: Export[];
  readonly #names: Set<string>;

  constructor(exports: readonly Export[]) {
    this.list = [...exports];
    this.#names = new Set(exports.map(({ name }) => name));
  }

  /** Returns the name. */
  add(wanted: string, kind: number, index: number): string {
    let name = wanted;
    while (this.#names.has(name)) name += "'";
    this.#names.add(name);
    this.list.push({ name, kind, index });
    return name;
  }
}

function distribute(declared: readonly Limits[], maxPages: number): Limits[] {
  const initial = declared.reduce((sum, { min }) => sum + min, 0);
  if (initial > maxPages) {
    throw new LinmemRangeError(
      "ERR_LINMEM_MAX_MEMORY",
      `the module begins with ${initial} pages of memory, more than the ${maxPages} that it may have`,
      { initial, maxMemory: maxPages },
    );
  }
  let left = maxPages - initial;
  return declared.map((limits) => {
    if ((limits.pageSizeLog2 ?? PAGE_LOG2) !== PAGE_LOG2) {
      throw new LinmemError(
        "ERR_LINMEM_UNSUPPORTED",
        `a memory with pages of 2 ** ${limits.pageSizeLog2} bytes can't be bounded in pages`,
      );
    }
    const more = Math.min(left, (limits.max ?? Number.POSITIVE_INFINITY) - limits.min);
    left -= more;
    return { ...limits, max: limits.min + more };
  });
}

/** A `memory.grow` in a body. */
interface GrowthSite {
  body: number;
  /** Offset in the module. */
  position: number;
  memory: number;
}

function findGrowth({ bytes, bodies }: Module): GrowthSite[] {
  const sites: GrowthSite[] = [];
  for (let body = 0; body < bodies.count; body++) {
    const end = bodies.end[body];
    let position = countLocals(bytes, bodies.start[body], end).end;
    while (position < end) {
      if (bytes[position] === op.memoryGrow)
        sites.push({ body, position, memory: u32At(bytes, position + 1) });
      position = instructionEnd(bytes, position);
    }
  }
  return sites;
}

class GrowthCounter {
  readonly names: { count: string; asked: string };
  readonly #module: Module;
  readonly #sites: readonly GrowthSite[];
  readonly #types: TypeDefinition[];
  /** Memories that are grown, and the type of the function that grows each. */
  readonly #grown = new Map<number, { index: number; type: number; wide: boolean }>();
  readonly #count: number;

  constructor(
    module: Module,
    memories: readonly Limits[],
    sites: readonly GrowthSite[],
    exports: ExportList,
  ) {
    this.#module = module;
    this.#sites = sites;
    this.#types = [...module.types];
    this.#count = module.importedGlobalCount + module.globals.length;
    for (const { memory } of sites) {
      // A module that grows a memory which it has not doesn't compile: that is the engine's to say.
      if (this.#grown.has(memory) || memories[memory] === undefined) continue;
      const wide = memories[memory].index64;
      const index = module.functionCount + this.#grown.size;
      this.#grown.set(memory, { index, type: this.#typeOf(wide ? valueType.i64 : valueType.i32), wide });
    }
    this.names = {
      count: exports.add("linmem.refused", externalKind.global, this.#count),
      asked: exports.add("linmem.asked", externalKind.global, this.#count + 1),
    };
  }

  sections(): RawSection[] {
    const { functions, globals } = this.#module;
    const added = [...this.#grown.values()];
    const zero = Uint8Array.of(op.i32Const, 0, op.end);
    const counter = { type: valueType.i32, mutable: true, init: zero };
    return [
      makeSection(sectionId.type, encodeTypes(this.#types)),
      makeSection(sectionId.function, encodeFunctions([...functions, ...added.map(({ type }) => type)])),
      makeSection(sectionId.global, encodeGlobals([...globals, counter, counter])),
      makeSection(sectionId.code, this.#code()),
    ];
  }

  /** Index of the type `(func (param type) (result type))`, which is added if need be. */
  #typeOf(type: number): number {
    const index = this.#types.findIndex((known) => isUnary(known, type));
    return index >= 0 ? index : this.#types.push({ kind: "func", params: [type], results: [type] }) - 1;
  }

  #code(): Uint8Array {
    const { bytes, bodies } = this.#module;
    const writer = new Writer(bytes.length + 256);
    writer.u32(bodies.count + this.#grown.size);
    let next = 0;
    for (let body = 0; body < bodies.count; body++) {
      if (this.#sites[next]?.body !== body) {
        writer.copy(bytes, bodies.sizeStart[body], bodies.end[body]);
        continue;
      }
      const content = new Writer(bodies.end[body] - bodies.start[body] + 64);
      let copied = bodies.start[body];
      for (; this.#sites[next]?.body === body; next++) {
        const { position, memory } = this.#sites[next];
        const helper = this.#grown.get(memory);
        if (helper === undefined) continue;
        content.copy(bytes, copied, position);
        content.byte(op.call);
        content.u32(helper.index);
        copied = instructionEnd(bytes, position);
      }
      content.copy(bytes, copied, bodies.end[body]);
      this.#writeBody(writer, content);
    }
    for (const [memory, { wide }] of this.#grown) this.#writeBody(writer, this.#growBody(memory, wide));
    return writer.finish();
  }

  #writeBody(writer: Writer, content: Writer): void {
    writer.u32(content.length);
    writer.bytes(content.finish());
  }

  /** `result = memory.grow(delta); if (result + 1 == 0) { count++; asked = delta; } return result;` */
  #growBody(memory: number, wide: boolean): Writer {
    const [constant, add, isZero] = wide
      ? [op.i64Const, op.i64Add, op.i64Eqz]
      : [op.i32Const, op.i32Add, op.i32Eqz];
    const [delta, result] = [0, 1];
    const body = new Writer(64);
    const code = (...bytes: number[]) => bytes.forEach((byte) => void body.byte(byte));
    const withIndex = (opcode: number, index: number) => {
      body.byte(opcode);
      body.u32(index);
    };
    code(1, 1, wide ? valueType.i64 : valueType.i32);
    code(op.localGet, delta);
    withIndex(op.memoryGrow, memory);
    code(op.localTee, result, constant, 1, add, isZero, op.if, EMPTY);
    withIndex(op.globalGet, this.#count);
    code(op.i32Const, 1, op.i32Add);
    withIndex(op.globalSet, this.#count);
    code(op.localGet, delta, ...(wide ? [op.i32WrapI64] : []));
    withIndex(op.globalSet, this.#count + 1);
    code(op.end, op.localGet, result, op.end);
    return body;
  }
}

/** Block type without a result. */
const EMPTY = 0x40;

function isUnary(known: TypeDefinition, type: number): known is FunctionType {
  return (
    known.kind === "func" &&
    known.sub === undefined &&
    known.groupSize === undefined &&
    known.params.length === 1 &&
    known.params[0] === type &&
    known.results.length === 1 &&
    known.results[0] === type
  );
}
