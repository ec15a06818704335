/**
 * Finds the functions that allocate and release a module's memory, in this order: as the user says, by names and
 * exports, by the constants of known allocators (cores.ts), and behind the exports that a toolchain makes for the
 * host (boundary.ts). What isn't certain is left out and named in a note: a wrong hook lies in every figure,
 * a missing one is seen.
 */
import { instructionEnd, op } from "../wasm/instructions.js";
import { u32At } from "../wasm/leb128.js";
import type { Module } from "../wasm/module.js";
import { countLocals } from "../wasm/sections/code.js";
import { followBoundary } from "./allocators/boundary.js";
import { type CoreFunction, findCores } from "./allocators/cores.js";
import { confirmAllocator, discoverAllocator } from "./allocators/discover.js";
import { findGuest } from "./allocators/guests.js";
import { findNamed, functionLabel, type NamedFunction, type NamedFunctions } from "./allocators/named.js";
import { resolveOverride } from "./allocators/overrides.js";
import { chooseAssemblyScript, chooseZig } from "./allocators/runtimes.js";
import { buildCallGraph, type CallGraph } from "./call-graph.js";
import { type GlueScripts, glueNames } from "./glue-names.js";
import type { Callers } from "./reachability.js";
import type { AllocatorOverride } from "./roles.js";
import { type AllocatorFunction, kindOfRole } from "./roles.js";
import { isGo } from "./toolchain.js";
import { findSites, type Sites } from "./walker.js";

export interface FoundAllocator {
  /** In the order of their indices, each function once. */
  functions: AllocatorFunction[];
  /** For people: what was left out and why, and what the figures therefore don't show. */
  notes: string[];
  /** Functions that are not among them resize blocks in place: nobody hears how large those are. */
  resizedElsewhere?: boolean;
}

interface Search extends FoundAllocator {
  /** Whether it is known why no function that resizes blocks is among them. */
  explained: boolean;
  /** Functions of runtimes that collect, by name. */
  runtime: ReadonlyMap<string, number>;
}

/**
 * @param overrides with a function that allocates and one that releases among them they replace what would be
 *   found, otherwise they add to it
 * @param sites from `findSites`, where it was done already
 * @param scripts the JavaScript that came with the module: asked for only where exports have minified names
 * @param callers from `findCallers`, where it was done already
 * @throws UsageError when an override names a role or function that there isn't, or one that doesn't fit
 */
export function findAllocator(
  module: Module,
  overrides: readonly AllocatorOverride[] = [],
  sites: Sites = findSites(module),
  scripts?: GlueScripts,
  callers?: Callers,
): FoundAllocator {
  const told = overrides.map((override) => resolveOverride(module, override));
  const graph = buildCallGraph(module, sites, callers && (() => callers));
  const found = search(module, graph, scripts);
  if (told.length === 0) return withGuest(module, graph, paired(module, found), found.runtime);
  const replaces = isWhole(told) || told.some(({ role }) => kindOfRole(role) === "counted");
  // what was found around the very functions that the user names is right as well
  const agrees = told.every(({ index }) => found.functions.some((member) => member.index === index));
  if (replaces && !agrees) return { functions: merge(told, []), notes: missingRealloc(told) };
  return paired(module, { ...found, functions: merge(told, found.functions) });
}

function search(module: Module, graph: CallGraph, scripts: GlueScripts | undefined): Search {
  const named = findNamedByAll(module, graph, scripts);
  const notes = [...named.notes];
  let functions: NamedFunction[] = named.functions;
  for (const choose of [chooseAssemblyScript, chooseZig]) {
    const choice = choose(module, graph, functions);
    functions = choice.functions;
    notes.push(...choice.notes);
  }
  const known = functions.filter(({ family }) => family === "C" || family === "Rust");
  // Go's own functions all look alike by their types, and none of them is a core; and names that tell all need no more
  const complete = hasNames(module) && isWhole(functions) && functions.some(resizes);
  const cores =
    isGo(module) || complete
      ? { functions: [], notes: [], unreleased: new Map<number, string>(), resizedElsewhere: false }
      : findCores(module, graph, known);
  notes.push(...cores.notes);
  const tried = known.length === 0 ? judge(module, graph, cores.functions) : cores.functions;
  if (tried.length < cores.functions.length) notes.push(rejected(cores.functions));
  const inner = tried.map((core) => describe(module, graph, core, named.boundary));
  let { resizedElsewhere } = cores;
  let all = merge(functions, inner);
  all = merge(all, behindWrappers(module, graph, all));
  if (!isWhole(all)) all = merge(all, followBoundary(module, graph, named.boundary));
  // with names, what has none of an allocator's is none: only without them it is worth trying functions out
  if (!isWhole(all) && !hasNames(module) && !isGo(module)) {
    const tried = discoverAllocator(module, graph);
    notes.push(...tried.notes);
    resizedElsewhere ||= tried.resizedElsewhere;
    all = merge(
      all,
      tried.functions.map((core) => describe(module, graph, core, named.boundary)),
    );
    if (tried.functions.length > 0) {
      const around = findCores(module, graph, tried.functions);
      all = merge(
        all,
        around.functions.map((core) => describe(module, graph, core, named.boundary)),
      );
    }
  }
  if (named.boundary.length > 0 && !isWhole(all)) {
    const names = named.boundary.map(({ name }) => name).join(", ");
    notes.push(`the functions behind ${names} could not be told apart`);
  }
  for (const [index, note] of cores.unreleased)
    if (all.every((member) => member.index !== index)) notes.push(note);
  notes.push(...unproved(named.unproved, all));
  all = all.map((member) => calledAsSaid(member, named.unproved));
  // with names, a function that isn't there isn't there
  const explained = resizedElsewhere || functions.some(({ evidence }) => evidence === "name section");
  return { functions: all, notes, explained, resizedElsewhere, runtime: named.runtime };
}

interface NamesOfAll extends NamedFunctions {
  /** Functions that only a script names, and that can't be tried out. */
  unproved: NamedFunction[];
}

/** By the names of the module, and where those are minified, of the scripts around it, as far as trials prove them. */
function findNamedByAll(module: Module, graph: CallGraph, scripts: GlueScripts | undefined): NamesOfAll {
  const glue = glueNames(module, scripts);
  const named = findNamed(module, glue.names);
  const notes = [...named.notes, ...glue.notes];
  const said = named.functions.filter(({ byScript }) => byScript);
  if (said.length === 0) return { ...named, notes, unproved: [] };
  // a script may bundle several modules: what it says of another one is not to be believed here
  const verdict = confirmAllocator(module, graph, said);
  if (verdict === "proved") return { ...named, notes, unproved: [] };
  const own = { ...named, functions: named.functions.filter(({ byScript }) => !byScript) };
  if (verdict === "unknown") return { ...own, notes, unproved: said };
  return { ...own, notes: [...notes, `${listOf(said)} does not behave so when tried out`], unproved: [] };
}

function listOf(functions: readonly AllocatorFunction[]): string {
  return functions.map(({ role, evidence }) => `${role} (${evidence})`).join(", ");
}

/** What is left of a script's names where nothing else says the same of a function. */
function unproved(said: readonly NamedFunction[], found: readonly AllocatorFunction[]): string[] {
  const alone = said.filter(
    ({ index, role }) => !found.some((member) => member.index === index && member.role === role),
  );
  return alone.length === 0 ? [] : [`${listOf(alone)} could not be tried out: not relied on`];
}

/** With the name that a script has for it, where that and what was found in its body agree. */
function calledAsSaid(member: AllocatorFunction, said: readonly NamedFunction[]): AllocatorFunction {
  const same = said.find(({ index, role }) => index === member.index && role === member.role);
  if (!same) return member;
  return { ...member, name: same.name, evidence: `${member.evidence}, ${same.evidence}` };
}

/** What a trial leaves of functions that were found by their constants, and says of them. */
function judge(
  module: Module,
  graph: CallGraph,
  functions: readonly CoreFunction[],
): readonly CoreFunction[] {
  if (functions.length === 0) return functions;
  const verdict = confirmAllocator(module, graph, functions);
  if (verdict === "contradicted") return [];
  if (verdict === "unknown") return functions;
  return functions.map((member) =>
    member.evidence.startsWith("body constants") ? { ...member, confidence: "proved" } : member,
  );
}

function rejected(functions: readonly CoreFunction[]): string {
  const list = functions.map(({ role, index }) => `${role} (function ${index})`).join(", ");
  return `looked like ${list}, but did not behave so when tried out: not hooked`;
}

function isWhole(functions: readonly AllocatorFunction[]): boolean {
  return functions.some(allocates) && functions.some(releases);
}

function hasNames({ names, functions }: Module): boolean {
  return (names.functions?.size ?? 0) * 2 > functions.length;
}

function describe(
  module: Module,
  graph: CallGraph,
  { role, index, evidence, confidence }: CoreFunction,
  boundary: readonly NamedFunction[],
): AllocatorFunction {
  const outer = boundary.find((item) => item.index === index);
  if (outer && role === "rust_realloc") role = outer.role;
  const caller = boundary.find((item) => graph.callees(item.index).includes(index));
  const called = caller ? `, callee of ${caller.evidence}` : "";
  return { role, index, name: functionLabel(module, index), evidence: `${evidence}${called}`, confidence };
}

/** `malloc` may only pass its arguments on to `dlmalloc`, which others then call directly. */
function behindWrappers(
  module: Module,
  graph: CallGraph,
  functions: readonly AllocatorFunction[],
): AllocatorFunction[] {
  const found: AllocatorFunction[] = [];
  const work = functions.filter(({ role }) => role !== "calloc" && role !== "posix_memalign");
  for (let outer = work.pop(); outer; outer = work.pop()) {
    const { role, index, name, confidence } = outer;
    const callees = graph.callees(index);
    const [inner] = callees;
    if (callees.length !== 1 || inner < module.importedFunctionCount || inner >= module.functionCount)
      continue;
    if ([...functions, ...found].some((member) => member.index === inner)) continue;
    if (module.functionTypeIndex(inner) !== module.functionTypeIndex(index)) continue;
    if (!passesOn(module, index)) continue;
    const next = {
      role,
      index: inner,
      name: functionLabel(module, inner),
      evidence: `all that ${name} calls`,
      confidence,
    };
    found.push(next);
    work.push(next);
  }
  return found;
}

/** The functions of both lists; where one is in both, as the first has it. */
function merge(
  first: readonly AllocatorFunction[],
  second: readonly AllocatorFunction[],
): AllocatorFunction[] {
  const byIndex = new Map<number, AllocatorFunction>();
  for (const { role, index, name, evidence, confidence } of [...first, ...second]) {
    const had = byIndex.get(index);
    if (!had) byIndex.set(index, { role, index, name, evidence, confidence });
  }
  return [...byIndex.values()].sort((a, b) => a.index - b.index);
}

/** Adds what is known of a guest's collector, and its allocations where nothing else is known of them. */
function withGuest(
  module: Module,
  graph: CallGraph,
  found: FoundAllocator,
  runtime: ReadonlyMap<string, number>,
): FoundAllocator {
  const guest = findGuest(module, graph, runtime, found.functions.length > 0);
  const counts = guest.functions.some(({ role }) => kindOfRole(role) === "counted");
  // why nothing that releases was found is of no interest then
  const notes = counts && found.functions.length === 0 ? [] : found.notes.filter((note) => note !== notFound);
  const all = [...guest.notes, ...notes];
  if (all.length === 0 && found.notes.length > 0) all.push(...found.notes);
  return { ...found, functions: merge(found.functions, guest.functions), notes: all };
}

const notFound = "no allocator was found";

/** Half an allocator is worse than none: blocks that only come or only go make every figure wrong. */
function paired(module: Module, { functions, notes, explained, resizedElsewhere }: Search): FoundAllocator {
  const unique = [...new Set(notes)];
  const allocating = functions.some(allocates);
  if (functions.length > 0 && allocating !== functions.some(releases)) {
    const names = functions.map(({ name }) => name).join(", ");
    const missing = allocating ? "releases" : "allocates";
    return {
      functions: [],
      notes: [...unique, `only ${names} found, but no function that ${missing} blocks: not hooked`],
    };
  }
  if (functions.length === 0) {
    if (unique.length === 0 && module.functions.length > 0) unique.push(notFound);
    return { functions, notes: unique };
  }
  return {
    functions,
    notes: explained ? unique : [...unique, ...missingRealloc(functions)],
    ...(resizedElsewhere && { resizedElsewhere }),
  };
}

function resizes({ role }: AllocatorFunction): boolean {
  return role.includes("realloc");
}

function missingRealloc(functions: readonly AllocatorFunction[]): string[] {
  if (functions.some(resizes)) return [];
  return [
    "no function that resizes blocks was found: if there is one, blocks resized in place keep their first size",
  ];
}

function allocates({ role }: AllocatorFunction): boolean {
  return kindOfRole(role) === "allocates";
}

function releases({ role }: AllocatorFunction): boolean {
  return kindOfRole(role) === "releases";
}

/** Whether a function does nothing but call another one with its own arguments, in their order. */
function passesOn(module: Module, index: number): boolean {
  const { bytes, bodies } = module;
  const body = index - module.importedFunctionCount;
  let pos = countLocals(bytes, bodies.start[body], bodies.end[body]).end;
  for (let parameter = 0; parameter < module.functionType(index).params.length; parameter++) {
    if (bytes[pos] !== op.localGet || u32At(bytes, pos + 1) !== parameter) return false;
    pos = instructionEnd(bytes, pos);
  }
  if (bytes[pos] !== op.call && bytes[pos] !== op.returnCall) return false;
  return bytes[instructionEnd(bytes, pos)] === op.end;
}
