/**
 * Guests with a garbage collector: Go, TinyGo and AssemblyScript. Their programs only allocate; what is released, and when,
 * the collector decides, often with the release inlined into it. So where no pair of functions can be hooked their
 * allocation function is, and its blocks are counted by stack: no block is said to live, and none to leak.
 */
import { GoProgram } from "../../wasm/go-program.js";
import type { Module } from "../../wasm/module.js";
import { externalKind, valueType } from "../../wasm/types.js";
import type { CallGraph } from "../call-graph.js";
import { fitsRole } from "../hooks.js";
import { isGoFunction } from "../hooks-go.js";
import { allMemories } from "../plan.js";
import type { AllocatorFunction, AllocatorRole } from "../roles.js";
import { isGo, isTinyGo } from "../toolchain.js";
import { functionLabel } from "./named.js";
import { pointerType } from "./pointer-type.js";
import { proveTinyGoAllocation } from "./tinygo.js";

interface Guest {
  functions: AllocatorFunction[];
  notes: string[];
}

const none: Guest = { functions: [], notes: [] };

/**
 * What can be hooked of a guest's runtime.
 * @param names its functions, by name
 * @param paired whether functions that allocate and release are hooked already: then only collections are left
 */
export function findGuest(
  module: Module,
  graph: CallGraph,
  names: ReadonlyMap<string, number>,
  paired: boolean,
): Guest {
  if (isGo(module)) return paired ? none : findGo(module);
  if (names.has("runtime.alloc")) return findTinyGo(module, names);
  if (!module.names.functions?.size && isTinyGo(module)) return findNamelessTinyGo(module, graph);
  return findAssemblyScript(module, names, paired);
}

const goNames =
  /^runtime\.(?:mallocgc(?:TinySize\d+|SmallScanNoHeaderSC\d+|SmallNoScanSC\d+)?|gcMarkTermination)$/;

function findGo(module: Module): Guest {
  const program = GoProgram.of(module);
  const names = program?.names() ?? module.names.functions ?? [];
  const evidence = program ? "the table of functions of Go's runtime" : "name section";
  const functions: AllocatorFunction[] = [];
  for (const [index, name] of names) {
    if (!goNames.test(name) || index < module.importedFunctionCount || index >= module.functionCount)
      continue;
    const role = name === "runtime.gcMarkTermination" ? "go_collect" : "go_alloc";
    if (isGoFunction(module.functionType(index)))
      functions.push({ role, index, name, evidence, confidence: "named" });
  }
  const reason = whyNotGo(module, functions);
  if (reason === undefined) return { functions, notes: [counted("Go")] };
  return {
    functions: [],
    notes: [`a garbage-collected guest (Go): ${reason}: blocks are not tracked, growth of its memory is`],
  };
}

function whyNotGo(module: Module, functions: readonly AllocatorFunction[]): string | undefined {
  if (!functions.some(({ role }) => role === "go_alloc")) return "its runtime.mallocgc was not found";
  return whyNoGoStack(module);
}

/** A hook reads the size from where Go's stack pointer points: why that can't be, in words. */
export function whyNoGoStack(module: Module): string | undefined {
  const [stackPointer] = module.globals;
  const { i32 } = valueType;
  if (module.importedGlobalCount > 0 || !stackPointer?.mutable || stackPointer.type !== i32)
    return "its stack pointer is not where Go's linker puts it";
  const [memory] = allMemories(module);
  return memory && !memory.index64 ? undefined : "its memory is none that Go's compiler makes";
}

/** The `malloc` that its modules export for the host takes from `runtime.alloc` as well: then both are hooked. */
function findTinyGo(module: Module, names: ReadonlyMap<string, number>): Guest {
  const functions = [
    ...named(module, names, "collected_alloc", ["runtime.alloc"]),
    ...named(module, names, "collect", ["runtime.runGC", "runtime.GC"]),
  ];
  if (!functions.some(({ role }) => role === "collected_alloc"))
    return {
      functions: [],
      notes: ["TinyGo: runtime.alloc takes something else than a size: its blocks are not tracked"],
    };
  const collects = functions.some(({ role }) => role === "collect");
  return { functions, notes: [counted("TinyGo"), ...(collects ? [] : [noCollector])] };
}

function findNamelessTinyGo(module: Module, graph: CallGraph): Guest {
  const allocating = proveTinyGoAllocation(module, graph);
  if (!allocating) return none;
  const notes = [counted("TinyGo"), "without names its collector can't be told: collections are not counted"];
  return { functions: [allocating], notes };
}

function findAssemblyScript(module: Module, names: ReadonlyMap<string, number>, paired: boolean): Guest {
  const exported = new Map(
    module.exports.flatMap(({ kind, name, index }) =>
      kind === externalKind.function ? [[name, index]] : [],
    ),
  );
  const isRuntime = exported.has("__new") && exported.has("__collect");
  const collections = named(
    module,
    names,
    "collect",
    ["~lib/rt/itcms/interrupt", "~lib/rt/itcms/__collect"],
    2,
  );
  if (paired) return { functions: collections, notes: [] };
  const own = named(module, names, "collected_alloc", [
    "~lib/rt/itcms/__new",
    "~lib/rt/tcms/__new",
    "~lib/rt/stub/__new",
  ]);
  const allocating =
    own.length > 0 || !isRuntime ? own : named(module, exported, "collected_alloc", ["__new"]);
  if (allocating.length === 0) return none;
  const collecting =
    collections.length > 0 || !isRuntime ? collections : named(module, exported, "collect", ["__collect"]);
  // the `__collect` of a runtime that releases nothing is empty
  const working = collecting.filter(({ index }) => !isEmpty(module, index));
  const notes = [counted("AssemblyScript"), ...(working.length > 0 ? [] : [noCollector])];
  return { functions: [...allocating, ...working], notes };
}

function isEmpty({ bodies, importedFunctionCount }: Module, index: number): boolean {
  const body = index - importedFunctionCount;
  // no locals, and the end
  return bodies.end[body] - bodies.start[body] <= 2;
}

const noCollector = "no collector was found in it: perhaps its runtime releases nothing";

function counted(guest: string): string {
  return (
    `a garbage-collected guest (${guest}): its allocations are counted by stack; which of its blocks still live only ` +
    "its collector knows"
  );
}

/** The first of these names that fit a role, at most so many. */
function named(
  module: Module,
  names: ReadonlyMap<string, number>,
  role: AllocatorRole,
  wanted: readonly string[],
  most = 1,
): AllocatorFunction[] {
  const pointer = pointerType(module);
  const found = wanted.flatMap((name): AllocatorFunction[] => {
    const index = names.get(name);
    if (index === undefined || index < module.importedFunctionCount || index >= module.functionCount)
      return [];
    const type = module.functionType(index);
    const takesSize = type.params[0] === pointer && type.results[0] === pointer;
    if (!fitsRole(role, type) || (role !== "collect" && !takesSize)) return [];
    const evidence = /^(?:runtime\.|~lib\/)/.test(name) ? "name section" : `export "${name}"`;
    return [{ role, index, name: functionLabel(module, index), evidence, confidence: "named" }];
  });
  return found.slice(0, most);
}
