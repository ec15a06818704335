/** What of a module can be checked, and what the checker has to know of it. */
import { op } from "../../wasm/instructions.js";
import type { Module } from "../../wasm/module.js";
import { externalKind } from "../../wasm/types.js";
import { isSideModule } from "../dynamic-linking.js";
import type { HookTargets } from "../hooks.js";
import { type MemoryLayout, stackPointer } from "../layout.js";
import { allMemories, type Plan } from "../plan.js";
import type { Callers } from "../reachability.js";
import { type AllocatorFunction, allocatorRoles, kindOfRole } from "../roles.js";
import { isGo } from "../toolchain.js";
import type { Sites } from "../walker.js";
import type { StackBounds } from "./access-check.js";
import { bypassed } from "./bypassed.js";
import { accessFunctions, blockFunctions, type CheckerFunction, exposureFunctions } from "./functions.js";
import { type CheckHookOptions, canCheck, canHold } from "./hooks.js";
import { canCheckMemory, canInline, type InsertOptions } from "./insert.js";

export interface CheckOptions {
  /** Whether the engine has multiple memories: checks read the shadow memory themselves then. */
  inline: boolean;
  /** Bytes between a block and what follows, a multiple of 8. */
  redzone: number;
  /** For tests and measurements: checks accesses too of which the outcome is known. */
  everywhere?: boolean;
}

/** How a module is checked. */
export interface CheckedModule {
  /** Its memory, if it had one of its own, and the shadow memory are imports. */
  inline: boolean;
  /** Whether what happens to blocks is checked. */
  blocks: boolean;
  /** First address that its heap may use; 0 when unknown. */
  heapStart: number;
  /** Below it lies no object; 0 when unknown. */
  nullEnd: number;
  /** What is not checked, and why. */
  notes: string[];
  /** How large its blocks are is not always known: only those that were freed are checked. */
  freedOnly: boolean;
  /**
   * Which accesses to the bytes before a block are errors. In a module without names there may be functions of the
   * allocator that nobody knows and that read them: `calloc` looks at the header of what `malloc` gave it; and who asks
   * for the usable size of a block may use all of it.
   */
  headers: "any" | "writes";
}

export interface ChecksPlan {
  module: CheckedModule;
  functions: readonly CheckerFunction[];
  /** Functions of the allocator that get hooks. */
  hooked: readonly AllocatorFunction[];
  /** Undefined when there is no allocator that can be checked. */
  blocks?: Pick<CheckHookOptions, "redzone" | "keepsMultiples" | "rounding">;
  /** Functions that run only for the allocator, by their index in the original. */
  exempt: ReadonlySet<number>;
  stack?: StackBounds;
  everywhere: boolean;
  /** The memory is the module's own, and no block in it is watched. */
  boundsOnly: boolean;
}

interface Known {
  resizedElsewhere?: boolean;
  hooked: readonly AllocatorFunction[];
  /** All that was found, with what can't be checked. */
  functions: readonly AllocatorFunction[];
  toolchain: string;
  layout: MemoryLayout;
}

/** TLSF keeps 4 bytes before each block and rounds both up to 16; arrays use all that they get. */
const assemblyScriptRounding = { unit: 16, header: 4 };

/**
 * Rust's allocator compares the size of a chunk with the one that it is told at a release, and panics if the chunk is more
 * than 39 bytes larger; without a redzone it may be so by 27. The comparison may be put into any function.
 */
const rustRedzone = 8;

const mostNullBytes = 1024;
const pageSize = 65536;

function redzoneOf(redzone: number, resizedElsewhere: boolean, rust: boolean) {
  if (resizedElsewhere) return { redzone: 0 };
  return rust ? { redzone: Math.min(redzone, rustRedzone) } : { redzone, keepsMultiples: true };
}

/** Without names a release of (block, x, y) may have the size first or the alignment: what is told must be left alone. */
function mayTakeAlignmentFirst(
  module: Module,
  { role, index, confidence }: Pick<AllocatorFunction, "role" | "index" | "confidence">,
): boolean {
  if (!role.startsWith("free") || confidence === "named" || confidence === "told") return false;
  const own: readonly string[] = allocatorRoles[role].params;
  return module.functionType(index).params.length > own.indexOf("block") + 2;
}

function isRust(toolchain: string, hooked: readonly AllocatorFunction[]): boolean {
  return /Rust/.test(toolchain) || hooked.some(({ role, evidence }) => /rust/i.test(`${role} ${evidence}`));
}

/** Undefined when nothing of the module can be checked. */
export function planChecks(
  module: Module,
  sites: Sites,
  callers: Callers,
  { hooked, functions, toolchain, layout, resizedElsewhere = false }: Known,
  { inline, redzone, everywhere = false }: CheckOptions,
): ChecksPlan | undefined {
  if (!canCheckMemory(module)) return undefined;
  const notes: string[] = [];
  const collected = functions.some(({ role }) => kindOfRole(role) === "counted");
  const calls = new Callees(module, sites);
  const own = allocatorOnly(module, calls, callers, hooked);
  const passedBy = bypassed(hooked, (index) => calls.of(index), own);
  const blocks = canCheckBlocks(module, hooked, collected, notes) && !passedBy;
  if (passedBy) {
    notes.push(`what ${passedBy.name} calls is called directly too: its blocks are not checked`);
  }
  if (blocks && resizedElsewhere) {
    notes.push(
      "functions that are not hooked resize its blocks: overflows are not found, uses after free and double frees are",
    );
  }
  const sizesAreKnown = !hooked.some((it) => mayTakeAlignmentFirst(module, it));
  if (blocks && !sizesAreKnown) {
    notes.push(
      "where its releases take a block's size is not known: blocks have no redzone, overflows may be missed",
    );
  }
  const isAssemblyScript = toolchain.startsWith("AssemblyScript");
  const low = nullEnd(layout, isAssemblyScript);
  const stack = stackBounds(module, layout, low);
  const boundsOnly = !blocks && (module.memories[0]?.min ?? 0) > 0 && allMemories(module).length === 1;
  return {
    module: {
      inline: inline && canInline(module) && !boundsOnly,
      blocks,
      heapStart: heapStart(layout),
      nullEnd: low,
      notes,
      freedOnly: resizedElsewhere,
      headers: onlyHookedReadHeaders(module, toolchain, hooked) ? "any" : "writes",
    },
    // what is released unseen would look like a leak
    hooked: passedBy ? [] : hooked,
    functions: [
      ...accessFunctions,
      ...(blocks ? blockFunctions : sharesBlocks(module) ? exposureFunctions : []),
    ],
    ...(blocks && {
      blocks: isAssemblyScript
        ? { redzone: 0, rounding: assemblyScriptRounding }
        : redzoneOf(redzone, resizedElsewhere || !sizesAreKnown, isRust(toolchain, hooked)),
    }),
    exempt: exemptFunctions(module, own, isAssemblyScript),
    ...(stack && { stack }),
    everywhere,
    boundsOnly,
  };
}

/** Whether its memory may have blocks that another module keeps. */
function sharesBlocks(module: Module): boolean {
  return module.importedMemoryCount > 0;
}

const usableSize = /usable_size|malloc_size/;

/**
 * Whether none but hooked functions read the headers of blocks. Not so where an optimiser may have put them into others:
 * Emscripten's does that to `calloc`, Rust's to the check of a size.
 */
function onlyHookedReadHeaders(
  module: Module,
  toolchain: string,
  hooked: readonly AllocatorFunction[],
): boolean {
  if (/Emscripten|AssemblyScript/.test(toolchain) || isRust(toolchain, hooked)) return false;
  if (!hooked.every(({ confidence }) => confidence === "named" || confidence === "told")) return false;
  return ![...(module.names.functions?.values() ?? [])].some((name) => usableSize.test(name));
}

function canCheckBlocks(
  module: Module,
  hooked: readonly AllocatorFunction[],
  collected: boolean,
  notes: string[],
): boolean {
  if (hooked.length === 0) {
    // its blocks are those of the module that has the allocator
    if (isSideModule(module)) return false;
    const why = collected ? "only its garbage collector knows which blocks live" : "no allocator was found";
    notes.push(`${why}: its blocks are not checked`);
    return false;
  }
  if (!hooked.some(({ role }) => role.startsWith("free"))) {
    notes.push("nothing that frees was found: its blocks are not checked");
    return false;
  }
  const wide = hooked.find(({ index }) => !canCheck(module.functionType(index)));
  if (wide) notes.push(`${wide.name} takes or returns more than 32-bit integers: its blocks are not checked`);
  return !wide;
}

/**
 * Where a null pointer leads and nothing else: below the data, or where the stack comes first at its deepest end.
 * Modules of which it is not known where their stack or runtime lies may well use address 0.
 */
function nullEnd({ data, stack }: MemoryLayout, isAssemblyScript: boolean): number {
  if (!stack && !isAssemblyScript) return 0;
  const first = data[0]?.[0] ?? 0;
  const end = stack && stack[0] === 0 ? Math.floor(stack[1] / 256) : first;
  return Math.min(mostNullBytes, end, first || mostNullBytes) & -8;
}

/** LLVM's linker puts stack and data below the heap, in either order. */
function heapStart({ heapBase, stack, data }: MemoryLayout): number {
  return heapBase ?? (stack ? Math.max(stack[1], data.at(-1)?.[1] ?? 0) : 0);
}

function stackBounds(module: Module, { stack }: MemoryLayout, nullEnd: number): StackBounds | undefined {
  const pointer = stackPointer(module);
  if (!pointer || !stack) return undefined;
  const [low] = stack;
  return { global: pointer.index, below: [0xff000000, low === 0 ? nullEnd : low] };
}

/** AssemblyScript's collector and its runtime work on headers; the program's own code doesn't. */
const assemblyScriptRuntime = /^~lib\/rt\//;

function exemptFunctions(
  module: Module,
  own: ReadonlySet<number>,
  isAssemblyScript: boolean,
): ReadonlySet<number> {
  const exempt = new Set(own);
  if (!isAssemblyScript) return exempt;
  for (const [index, name] of module.names.functions ?? []) {
    if (assemblyScriptRuntime.test(name)) exempt.add(index);
  }
  return exempt;
}

/** The functions that a function calls directly. */
class Callees {
  readonly #module: Module;
  readonly #sites: Sites;

  constructor(module: Module, sites: Sites) {
    this.#module = module;
    this.#sites = sites;
  }

  /** Imported ones left out. */
  of(index: number): number[] {
    const { target, first, opcode } = this.#sites;
    const imported = this.#module.importedFunctionCount;
    const body = index - imported;
    if (body < 0) return [];
    return [...target.subarray(first[body], first[body + 1])].filter(
      (callee, i) => isCall(opcode[first[body] + i]) && callee >= imported,
    );
  }
}

/** The allocator's functions, and those that nobody calls but them. */
function allocatorOnly(
  module: Module,
  calls: Callees,
  callers: Callers,
  hooked: readonly AllocatorFunction[],
): Set<number> {
  const imported = module.importedFunctionCount;
  const own = new Set(hooked.map(({ index }) => index));
  const found = new Set(own);
  const work = [...own];
  for (let index = work.pop(); index !== undefined; index = work.pop()) {
    for (const callee of calls.of(index)) {
      if (found.has(callee)) continue;
      found.add(callee);
      work.push(callee);
    }
  }
  const reachable = new Set(
    module.exports.flatMap(({ kind, index }) => (kind === externalKind.function ? [index] : [])),
  );
  if (module.start !== undefined) reachable.add(module.start);
  const outside = (index: number) => callers.addressTaken[index] === 1 || reachable.has(index);
  const drop: number[] = [...found].filter((index) => !own.has(index) && outside(index));
  for (let body = 0; body < module.bodies.count; body++)
    if (!found.has(imported + body)) drop.push(imported + body);
  for (let index = drop.pop(); index !== undefined; index = drop.pop()) {
    found.delete(index);
    for (const callee of calls.of(index)) {
      if (!found.has(callee) || own.has(callee)) continue;
      found.delete(callee);
      drop.push(callee);
    }
  }
  return found;
}

function isCall(opcode: number): boolean {
  return opcode === op.call || opcode === op.returnCall;
}

/** How the hooks of a module are to be written. */
export function checkHookOptions(
  { blocks, module: { inline } }: ChecksPlan & Required<Pick<ChecksPlan, "blocks">>,
  module: Module,
  plan: Plan,
  targets: HookTargets,
): CheckHookOptions {
  const releases = plan.hooked
    .filter(({ role, index }) => role.startsWith("free") && canHold(module.functionType(index)))
    .map(({ role, index }) => ({
      index: plan.moved(index),
      type: module.functionType(index),
      block: (allocatorRoles[role].params as readonly string[]).indexOf("block"),
    }));
  const sizesUnknown = plan.hooked.some((it) => mayTakeAlignmentFirst(module, it));
  const checker = (name: CheckerFunction) => plan.importIndex(name);
  return { ...blocks, targets, checker, releases, sizesUnknown, inline };
}

/** What to insert into the module once it has its hooks. */
export function checksOf(checks: ChecksPlan, module: Module, plan: Plan): InsertOptions {
  const added = plan.imports.length;
  return {
    inline: checks.module.inline,
    checker: (name) => plan.importIndex(name),
    ...(plan.withContext && { context: plan.context }),
    isExempt: (index) => index >= module.functionCount + added || checks.exempt.has(index - added),
    ...(checks.stack && { stack: checks.stack }),
    data: staticData(checks.module, module),
    gap: leastGap(checks.blocks),
    boundsOnly: checks.boundsOnly,
    nullEnd: checks.module.nullEnd,
    isGo: checks.boundsOnly && isGo(module),
    everywhere: checks.everywhere,
  };
}

/** Bytes that lie between two blocks at least and may not be used. */
function leastGap(blocks: ChecksPlan["blocks"]): number {
  if (!blocks) return mostNullBytes;
  // without a redzone 4 bytes of the next header; and of one the first may share 8 bytes with the block's last
  return blocks.redzone === 0 ? 4 : blocks.redzone - 1;
}

/** What lies between a null pointer and the heap, if the memory has it from the beginning. */
function staticData({ nullEnd, heapStart }: CheckedModule, module: Module): [start: number, end: number] {
  const [memory] = allMemories(module);
  return memory && memory.min * pageSize >= heapStart ? [nullEnd, heapStart] : [0, 0];
}
