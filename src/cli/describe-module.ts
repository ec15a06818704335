// Gathers what `linmem inspect` shows of a module.
import { DecodeError } from "../errors.js";
import { typeText, valueTypeText } from "../instrument/allocators/named.js";
import { usedFeatures } from "../instrument/features.js";
import { findAllocator } from "../instrument/find-allocator.js";
import { damagedNames, type GlueScripts, notesOnAllocator } from "../instrument/index.js";
import { detectToolchain } from "../instrument/toolchain.js";
import type { BoundaryItem, MemoryDescription, ModuleDescription } from "../report/inspect-text.js";
import { decodeDebugLink } from "../wasm/debug-links.js";
import { decodeModule, type Module } from "../wasm/module.js";
import { decodeTargetFeatures } from "../wasm/target-features.js";
import {
  externalKind,
  type GlobalType,
  type ImportType,
  type Limits,
  sectionId,
  type TableType,
  type ValueType,
  valueType,
} from "../wasm/types.js";

const unrecorded = "the memory is shared between threads: its growth is recorded, its blocks are not";

/**
 * @param scripts the JavaScript that came with the module
 * @throws DecodeError when the bytes are no module, or a damaged one
 */
export function describeModule(file: string, bytes: Uint8Array, scripts: GlueScripts): ModuleDescription {
  const module = decodeModule(bytes);
  const found = findAllocator(module, [], undefined, scripts);
  const memories = describeMemories(module);
  const notes = notesOnAllocator(module, found);
  if (memories.some(({ shared }) => shared) && found.functions.length > 0) notes.unshift(unrecorded);
  return {
    file,
    bytes: bytes.length,
    toolchain: detectToolchain(module),
    memories,
    features: { used: usedFeatures(module), declared: declaredFeatures(module) },
    allocator: {
      functions: found.functions.map(({ role, index, name, evidence, confidence }) => ({
        role,
        index,
        name,
        evidence,
        confidence,
      })),
      notes: [...notes, ...damagedNames(module)],
    },
    functions: { imported: module.importedFunctionCount, defined: module.functions.length },
    boundary: { imports: describeImports(module), exports: describeExports(module) },
    sections: module.sections.map(({ id, name, offset, bytes: section }) => ({
      name: id === sectionId.custom ? `custom "${name}"` : sectionNames[id],
      offset,
      bytes: section.length,
    })),
    debug: {
      functionNames: module.names.functions?.size ?? 0,
      dwarf: module.custom(".debug_info") !== undefined,
      externalDwarf: debugLink(module, "external_debug_info"),
      sourceMap: debugLink(module, "sourceMappingURL"),
    },
  };
}

const sectionNames = Object.fromEntries(Object.entries(sectionId).map(([name, id]) => [id, name]));
const kindNames = Object.fromEntries(
  Object.entries(externalKind).map(([name, kind]) => [kind, name]),
) as Record<number, BoundaryItem["kind"]>;

function describeMemories(module: Module): MemoryDescription[] {
  const imported = module.imports.flatMap((item) =>
    item.kind === externalKind.memory ? [{ limits: item.memory, from: `${item.module}.${item.name}` }] : [],
  );
  const own = module.memories.map((limits) => ({ limits, from: null }));
  return [...imported, ...own].map(({ limits, from }, index) => {
    const pageBytes = 2 ** (limits.pageSizeLog2 ?? 16);
    const { min, max } = limits;
    return {
      index,
      imported: from,
      exported: module.exports.flatMap(({ kind, name, index: at }) =>
        kind === externalKind.memory && at === index ? [name] : [],
      ),
      initialPages: min,
      initialBytes: min * pageBytes,
      maximumPages: max ?? null,
      maximumBytes: max === undefined ? null : max * pageBytes,
      pageBytes,
      shared: limits.shared,
      addressBits: limits.index64 ? 64 : 32,
    };
  });
}

function describeImports(module: Module): BoundaryItem[] {
  return module.imports.map((item) => ({
    kind: kindNames[item.kind],
    module: item.module,
    name: item.name,
    ...describeType(module, item),
  }));
}

function describeExports(module: Module): BoundaryItem[] {
  const imported = (kind: number) => module.imports.filter((item) => item.kind === kind);
  return module.exports.map(({ kind, name, index }) => {
    const before = imported(kind);
    const item: ImportType | undefined = before[index] ?? ownItem(module, kind, index - before.length);
    const described = item ? describeType(module, item) : { type: `unknown ${index}`, externref: false };
    return { kind: kindNames[kind], name, ...described };
  });
}

function ownItem(module: Module, kind: number, at: number): ImportType | undefined {
  const { function: func, table, memory, global } = externalKind;
  const present = <T>(item: T | undefined, make: (item: T) => ImportType) =>
    item === undefined ? undefined : make(item);
  if (kind === func) return present(module.functions[at], (type) => ({ kind: func, type }));
  if (kind === table) return present(module.tables[at], (item) => ({ kind: table, table: item }));
  if (kind === memory) return present(module.memories[at], (item) => ({ kind: memory, memory: item }));
  if (kind === global) return present(module.globals[at], (item) => ({ kind: global, global: item }));
  return present(module.tags[at], (type) => ({ kind: externalKind.tag, type }));
}

function describeType(module: Module, item: ImportType): { type: string; externref: boolean } {
  switch (item.kind) {
    case externalKind.table:
      return { type: tableText(item.table), externref: isExternref(item.table.element) };
    case externalKind.memory:
      return { type: limitsText(item.memory, "page"), externref: false };
    case externalKind.global:
      return { type: globalText(item.global), externref: isExternref(item.global.type) };
    default: {
      const type = module.types[item.type];
      if (type?.kind !== "func") return { type: `unknown type ${item.type}`, externref: false };
      return { type: typeText(type), externref: [...type.params, ...type.results].some(isExternref) };
    }
  }
}

const externHeap = valueType.externref - 0x80;

function isExternref(type: ValueType): boolean {
  return typeof type === "number" ? type === valueType.externref : type.heap === externHeap;
}

function tableText({ element, limits }: TableType): string {
  return `${valueTypeText(element)}, ${limitsText(limits, "element")}`;
}

function globalText({ type, mutable }: GlobalType): string {
  return mutable ? `mutable ${valueTypeText(type)}` : valueTypeText(type);
}

function limitsText({ min, max, shared }: Limits, unit: string): string {
  const range =
    max === undefined ? `${min} ${min === 1 ? unit : `${unit}s`} or more` : `${min} to ${max} ${unit}s`;
  return shared ? `${range}, shared` : range;
}

function declaredFeatures(module: Module): string[] {
  const section = module.custom("target_features");
  if (!section) return [];
  const features = tolerate(() => decodeTargetFeatures(module.reader(section))) ?? [];
  return features.flatMap(({ prefix, name }) => (prefix === "-" ? [] : [name]));
}

function debugLink(module: Module, name: string): string | null {
  const section = module.custom(name);
  return section ? (tolerate(() => decodeDebugLink(module.reader(section))) ?? "") : null;
}

/** Sections that only inform may be damaged: the rest of the module is shown all the same. */
function tolerate<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}
