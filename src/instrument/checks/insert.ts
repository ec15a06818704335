/**
 * Puts a check before every access to the first memory. It works on the module that has its hooks already: the checker's
 * functions are imported by then, so no function moves and only bodies are rewritten.
 *
 * A check reads the shadow of the 8 bytes that an access begins in. If all of them may be used that is all; else the
 * checker looks closer. Where the engine has multiple memories the shadow memory is the module's second one, and the
 * memory that it had of its own becomes an import: only in that order is the program's memory the first, which engines
 * are fastest with.
 */
import { Writer } from "../../wasm/leb128.js";
import { decodeModule, encodeModule, type Module, makeSection, replaceSections } from "../../wasm/module.js";
import { encodeLimits } from "../../wasm/sections/value-types.js";
import { externalKind, type RawSection, sectionId } from "../../wasm/types.js";
import { CodeWriter } from "../emit.js";
import { allMemories } from "../plan.js";
import { recorderModule } from "../write-sections.js";
import { type BodyOptions, BodyWriter } from "./body-writer.js";
import { BranchHints } from "./branch-hints.js";

/** Names of the imported memories. */
const memoryImport = "memory";
const shadowImport = "shadow";
/** Pages of the shadow of 4 GiB. */
const shadowPages = 8192;

export type InsertOptions = BodyOptions;

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
  const rewriter = new BodyWriter(module, options);
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
