/**
 * Adds to a module what profiling needs: hooks at the allocator, calling contexts, entries, reports of growth.
 * The design is in plan.ts (what is added where), context.ts, hooks.ts and walker.ts.
 */
import { InstrumentError } from "../errors.js";
import type { InitialData } from "../wasm/initial-data.js";
import { op } from "../wasm/instructions.js";
import { decodeModule, type Module, replaceSections } from "../wasm/module.js";
import { type RawSection, valueType } from "../wasm/types.js";
import { checkIndices } from "./check-indices.js";
import { insertChecks } from "./checks/insert.js";
import { type CheckedModule, type CheckOptions, checksOf, planChecks } from "./checks/plan.js";
import { isSideModule } from "./dynamic-linking.js";
import { type FoundAllocator, findAllocator } from "./find-allocator.js";
import type { GlueScripts } from "./glue-names.js";
import { fitsRole } from "./hooks.js";
import { type MemoryLayout, memoryLayout } from "./layout.js";
import { allMemories, makePlan, type Plan } from "./plan.js";
import { type OriginalPosition, PositionMap } from "./positions.js";
import { findCallers } from "./reachability.js";
import { BodyRewriter } from "./rewrite-bodies.js";
import { type AllocatorFunction, type AllocatorOverride, kindOfRole } from "./roles.js";
import { detectToolchain } from "./toolchain.js";
import { CodeWalker, exitsOf, type Sites } from "./walker.js";
import { assembleModule, codeChanges, hooksOf, type WrittenCode, writeCode } from "./write-code.js";
import {
  functionsSection,
  importSection,
  recorderModule,
  renumberedSections,
  TypeTable,
  typeSection,
} from "./write-sections.js";

export type { InitialData } from "../wasm/initial-data.js";
export type { CheckedModule, CheckOptions } from "./checks/plan.js";
export type { GlueScripts } from "./glue-names.js";
export type { MemoryLayout } from "./layout.js";
export type { OriginalPosition } from "./positions.js";
export type { AllocatorOverride } from "./roles.js";

const countedElsewhere = "linked dynamically: its blocks are counted with the module that has the allocator";

export interface InstrumentOptions {
  /** Replaces what would be found. */
  allocator?: readonly AllocatorOverride[];
  /** The JavaScript that came with the module: asked for only where the names of its exports say nothing. */
  scripts?: GlueScripts;
  /** Checks accesses to memory too. */
  check?: CheckOptions;
  /** For measurements: parts to leave out, to see what they cost. What is recorded is wrong then. */
  without?: readonly ("contexts" | "hooks")[];
}

/** An instrumented module. */
export interface Instrumentation {
  /**
   * The same bytes as were given when there was nothing to add. Otherwise they may be a view of the memory of a
   * WebAssembly instance, several times as large, that can't be transferred: to be copied by whoever keeps them.
   */
  bytes: Uint8Array;
  /** What made the module, in words; `unknown` where nothing tells. */
  toolchain: string;
  /** Functions that were hooked; when empty nothing but growth is recorded. */
  allocator: readonly AllocatorFunction[];
  /** What people should know about how the allocator was or wasn't found. */
  notes: readonly string[];
  /** What is wrong with its names, and how far that goes. */
  damage: readonly string[];
  /** What it says about the addresses of its first memory. */
  layout: MemoryLayout;
  /** Data that it comes with. */
  data: InitialData;
  /** How accesses are checked; absent when they aren't. */
  check?: CheckedModule;
  /** At how many places. */
  checks?: number;
  /** Functions of the instrumented module from there on are exposers; infinite where there are none. */
  firstExposer: number;
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
  checkIndices(module, sites, walker);
  const callers = findCallers(module, sites, walker);
  const found = findAllocator(module, options.allocator, sites, options.scripts, callers);
  const { functions } = found;
  const notes = notesOnAllocator(module, found);
  const toolchain = detectToolchain(module);
  const damage = damagedNames(module);
  const data = module.initialData;
  const layout = memoryLayout(module);
  const unhookable = tailCallsFromTry(module, sites, functions);
  notes.push(...unhookable);
  const candidates =
    unhookable.length > 0 || allMemories(module).some(({ shared }) => shared)
      ? []
      : hookable(module, options.check ? functions.filter(isCheckable) : functions);
  const checks =
    options.check &&
    planChecks(module, sites, callers, { ...found, hooked: candidates, toolchain, layout }, options.check);
  const hooked = checks?.hooked ?? candidates;
  const withoutContexts = options.without?.includes("contexts") ?? false;
  const plan = makePlan(module, sites, callers, hooked, {
    checks: checks?.functions ?? [],
    passContexts: !checks && !withoutContexts,
  });
  callers.end();
  if (withoutContexts) plan.contextSites.fill(0);
  if (plan.imports.length === 0) {
    walker.end();
    return {
      bytes,
      toolchain,
      allocator: [],
      notes,
      damage,
      layout,
      data,
      firstExposer: Number.POSITIVE_INFINITY,
      toOriginal: (functionIndex, offset) => ({ functionIndex, offset }),
    };
  }

  const rewriter = new BodyRewriter(module, sites, {
    ...codeChanges(module, plan),
    hooks: options.without?.includes("hooks") ? new Map() : hooksOf(module, plan, checks),
  });
  const types = new TypeTable(module);
  const code = writeCode(module, plan, rewriter, walker, types);
  // the code comes first: it adds the types that the type section then has
  const imports = importSection(module, plan, types);
  const functionSection = functionsSection(module, plan, types);
  const sections = replaceSections(module.sections, [
    ...(types.changed ? [typeSection(module, types)] : []),
    imports,
    functionSection,
    ...renumberedSections(module, plan),
    code.section,
  ]).filter(({ name }) => name !== "metadata.code.branch_hint");

  const instrumented = assembleModule(sections, code, walker);
  walker.end();
  const toOriginal = positionMap(module, plan, rewriter, sections, code);
  // the way back goes over the bytes without checks, as long as the program runs
  const checked = checks && insertChecks(instrumented.slice(), checksOf(checks, module, plan));
  const toHooked = checked?.toOriginal;
  return {
    bytes: checked?.bytes ?? instrumented,
    toolchain,
    allocator: hooked,
    notes,
    damage,
    layout,
    data,
    firstExposer: plan.firstExposer,
    ...(checks && checked && { check: checks.module, checks: checked.sites }),
    toOriginal: toHooked
      ? (functionIndex, offset) => toOriginal(functionIndex, toHooked(functionIndex, offset))
      : toOriginal,
  };
}

/** What to say of what was found; a module that is linked to another one has nothing to be found. */
export function notesOnAllocator(module: Module, { functions, notes }: FoundAllocator): string[] {
  return functions.length === 0 && isSideModule(module) ? [countedElsewhere] : notes;
}

/** In words; nothing where its name section is whole, or there is none. */
export function damagedNames({ names }: Module): string[] {
  const readable = names.functions?.size ?? 0;
  if (!names.damaged) return [];
  return [
    `the name section is damaged: ${readable} names of functions could be read, the others are numbers`,
  ];
}

/** Where blocks are released unseen there is nothing to check them by. */
function isCheckable({ role }: AllocatorFunction): boolean {
  const kind = kindOfRole(role);
  return kind === "allocates" || kind === "releases";
}

/**
 * What to say of functions that make a tail call inside of a `try`. A hook makes it an ordinary one, and what it throws
 * would be caught there. No compiler is known to write such functions.
 */
function tailCallsFromTry(module: Module, sites: Sites, functions: readonly AllocatorFunction[]): string[] {
  const leaves = ({ index }: AllocatorFunction) => {
    const body = index - module.importedFunctionCount;
    if (sites.catches[body] !== 1) return false;
    return exitsOf(module, body).exits.some(({ opcode, caught }) => caught && opcode !== op.return);
  };
  return functions.filter(leaves).map(({ name }) => `${name} makes a tail call inside of a try: not hooked`);
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
  const { starts } = code;
  for (let body = 0; body < starts.length; body++) starts[body] += codeOffset;
  const positions = new PositionMap(module, rewriter, starts);
  const imported = module.importedFunctionCount;
  const firstDefined = imported + plan.imports.length;
  const firstEntry = module.functionCount + plan.imports.length;

  return (functionIndex, offset) => {
    if (functionIndex < firstDefined) return { functionIndex, offset: 0 };
    if (functionIndex >= firstEntry) {
      const target = plan.entries[functionIndex - firstEntry]?.target ?? -1;
      const added = functionIndex >= plan.firstExposer ? "exposer" : "entry";
      return { functionIndex: target, offset: 0, added };
    }
    const original = functionIndex - plan.imports.length;
    return { functionIndex: original, offset: positions.toOriginal(original - imported, offset) };
  };
}
