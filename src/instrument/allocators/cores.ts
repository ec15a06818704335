/**
 * Finds the cores of dlmalloc (C and Rust) and emmalloc in modules without names. Their bodies carry constants
 * that no optimiser changes: masks, size limits, numbers of bins; and `malloc` and `free` work on one state at
 * static addresses. Constants find `malloc` in 95 of 100 release builds, shared addresses confirm `free`, calls
 * give the rest: whatever calls both and works on the state resizes blocks, and so on. The numbers come from a
 * study of 149 modules; fingerprints of opcodes did worse (88 of 89 on C, but 4 of 28 wrong on Rust) and cost
 * ten times as much.
 */
import type { Module } from "../../wasm/module.js";
import { type ValueType, valueType } from "../../wasm/types.js";
import type { CallGraph } from "../call-graph.js";
import type { AllocatorRole, Confidence } from "../roles.js";
import { type BodyFacts, bodyFacts, passedLocals, subtractedFrom } from "./body-facts.js";
import { freeMarks, freesLike, type Library, libraryOfMalloc, mallocMarks } from "./core-constants.js";
import { marksOf } from "./marked-constants.js";
import { pointerType } from "./pointer-type.js";
import { countShared, stateAddresses } from "./state-addresses.js";

export interface CoreFunction {
  role: AllocatorRole;
  index: number;
  evidence: string;
  confidence: Confidence;
}

export interface Cores {
  functions: CoreFunction[];
  notes: string[];
  /** By function that looks like `malloc` and has nothing that releases its blocks: what to say of it. */
  unreleased: Map<number, string>;
  /** Whether blocks are resized by functions that can't be hooked; the notes name them. */
  resizedElsewhere: boolean;
}

interface Candidate {
  index: number;
  facts: BodyFacts;
  parameters: number;
  library: Library;
}

/** Instructions between which a body can be what the name says. */
const sizes = { malloc: [150, 4500], free: [120, 2500], realloc: [50, 1000], memalign: [90, 800] } as const;
/** Bytes that so many instructions can take, to leave other bodies alone. */
const bytesPerInstruction = [1, 8] as const;
/** Addresses that two functions have to share before that means something. */
const sharedAddresses = 3;
/** With so few addresses in `malloc` itself (code at a base that isn't a constant) sharing can't be asked for. */
const fewAddresses = 8;
/** Cores call few functions: for pages, locks, error numbers, and parts of their own where little was inlined. */
const mostCallees = 32;
/**
 * Parts of its own that `malloc` has to share with `free`, where the state's address is an argument; where a third
 * function calls both, as the one that resizes does, one such part is enough: others may have been inlined.
 */
const sharedCallees = 3;
/** A function that only passes its arguments on. */
const wrapperInstructions = 12;

/**
 * @param known functions that other evidence already names, by role: realloc and memalign are looked for around
 *   these too
 */
export function findCores(module: Module, graph: CallGraph, known: readonly CoreFunction[] = []): Cores {
  const context = new Search(module, graph);
  const mallocs = context.findMallocs();
  const unreleased = new Map<number, string>();
  const functions: CoreFunction[] = [];
  const found = mallocs.flatMap((malloc) => {
    const frees = context.findFrees(malloc);
    if (frees.length === 0) {
      unreleased.set(
        malloc.index,
        `function ${malloc.index} looks like malloc of ${malloc.library}, but no function that releases its ` +
          "blocks was found: not hooked",
      );
      return [];
    }
    return [{ malloc, frees }];
  });
  for (const { malloc, frees } of found) {
    functions.push(coreOf(malloc, mallocRole(malloc), "malloc"));
    for (const free of frees) functions.push(coreOf(free, freeRole(malloc, free), "free"));
  }
  const unique = distinct(functions);
  const state = new Set(found.flatMap(({ malloc }) => [...stateAddresses(malloc.facts.addresses)]));
  const around = context.findAround([...unique, ...known], state);
  return {
    functions: distinct([...unique, ...around.functions]),
    notes: around.notes,
    unreleased,
    resizedElsewhere: around.resizedElsewhere,
  };
}

function coreOf({ index, library }: Candidate, role: AllocatorRole, what: string): CoreFunction {
  return { role, index, evidence: `body constants of ${library}'s ${what}`, confidence: "likely" };
}

function mallocRole({ parameters, library }: Candidate): AllocatorRole {
  if (parameters === 1) return "malloc";
  // emmalloc's malloc is its memalign for the usual alignment
  return library === "emmalloc" ? "memalign" : "malloc_method";
}

function hasSelf(malloc: Candidate): boolean {
  return mallocRole(malloc) === "malloc_method";
}

function freeRole(malloc: Candidate, free: Candidate): AllocatorRole {
  return hasSelf(malloc) && free.parameters === 2 ? "free_method" : "free";
}

function distinct(functions: readonly CoreFunction[]): CoreFunction[] {
  return [...new Map(functions.map((member) => [member.index, member])).values()];
}

class Search {
  readonly #module: Module;
  readonly #graph: CallGraph;
  readonly #facts = new Map<number, BodyFacts>();
  readonly #pointer: ValueType;

  constructor(module: Module, graph: CallGraph) {
    this.#module = module;
    this.#graph = graph;
    this.#pointer = pointerType(module);
  }

  #factsOf(index: number): BodyFacts {
    let facts = this.#facts.get(index);
    if (!facts) this.#facts.set(index, (facts = bodyFacts(this.#module, index)));
    return facts;
  }

  /** Defined functions that take `parameters` addresses or sizes, return one, or nothing, and have one of the constants. */
  *#shaped(
    parameters: readonly number[],
    results: 0 | 1,
    size: readonly [number, number],
    marks: number,
  ): Generator<number> {
    const { bodies, importedFunctionCount, types, functions } = this.#module;
    const pointer = this.#pointer;
    const fits = types.map(
      (type) =>
        type.kind === "func" &&
        parameters.includes(type.params.length) &&
        type.results.length === results &&
        type.params.every((param) => param === pointer) &&
        type.results.every((result) => result === pointer),
    );
    const least = size[0] * bytesPerInstruction[0];
    const most = size[1] * bytesPerInstruction[1];
    const { marked } = this.#graph;
    for (let body = 0; body < bodies.count; body++) {
      // in nearly all cases this is all
      if ((marked[body] & marks) === 0) continue;
      const bytes = bodies.end[body] - bodies.start[body];
      if (!fits[functions[body]] || bytes < least || bytes > most) continue;
      const index = importedFunctionCount + body;
      if (this.#graph.callees(index).length <= mostCallees) yield index;
    }
  }

  #candidate(index: number, library: Library): Candidate {
    const parameters = this.#module.functionType(index).params.length;
    return { index, facts: this.#factsOf(index), parameters, library };
  }

  findMallocs(): Candidate[] {
    const found: Candidate[] = [];
    const marks = marksOf(mallocMarks(this.#pointer));
    for (const index of this.#shaped([1, 2], 1, sizes.malloc, marks)) {
      const facts = this.#factsOf(index);
      const library = libraryOfMalloc(facts, this.#pointer);
      if (!library) continue;
      const candidate = this.#candidate(index, library);
      // two arguments and a static state: not `self` and a size; only in emmalloc it is sure what then
      const isStatic = stateAddresses(facts.addresses).size >= sharedAddresses;
      if (candidate.parameters === 2 && library !== "emmalloc" && isStatic) continue;
      found.push(candidate);
    }
    return found;
  }

  /** Functions that release what `malloc` gave; several where the optimiser made clones. */
  findFrees(malloc: Candidate): Candidate[] {
    const state = stateAddresses(malloc.facts.addresses);
    const withSelf = hasSelf(malloc);
    const found: Candidate[] = [];
    const marks = marksOf(freeMarks(malloc.library, this.#pointer));
    for (const index of this.#shaped(withSelf ? [2] : [1, 3], 0, sizes.free, marks)) {
      const facts = this.#factsOf(index);
      const byConstants = freesLike(malloc.library, facts.constants, this.#pointer);
      const shared = countShared(facts.addresses, state);
      const needed = state.size < fewAddresses ? Math.min(1, state.size) : sharedAddresses;
      if (withSelf) {
        // no static state: the helpers that both call have to tell
        const parts = this.#haveCaller(malloc.index, index) ? 1 : sharedCallees;
        if (byConstants && countShared(facts.callees, malloc.facts.callees) >= parts)
          found.push(this.#candidate(index, malloc.library));
      } else if (byConstants && shared >= (malloc.library === "emmalloc" ? 2 : needed)) {
        found.push(this.#candidate(index, malloc.library));
      }
    }
    // a program's own function with `free` inlined may put a header of its own in front of its blocks
    const direct = found.filter(({ index }) => this.#findsHeader(index, withSelf ? 1 : 0));
    // one that takes the address alone is nearer to the core than one that takes size and alignment
    const fewest = Math.min(...direct.map(({ parameters }) => parameters));
    return direct.filter(({ parameters }) => parameters === fewest);
  }

  /** Whether some function calls both. */
  #haveCaller(one: number, other: number): boolean {
    const callers = new Set(this.#graph.callers(one));
    return this.#graph.callers(other).some((caller) => callers.has(caller));
  }

  /** Whether the allocator's header lies directly in front of the address that a function takes. */
  #findsHeader(index: number, parameter: number): boolean {
    const distances = subtractedFrom(this.#module, index, parameter);
    const header = this.#pointer === valueType.i64 ? [8, 16] : [4, 8];
    return distances.size === 0 || header.some((distance) => distances.has(distance));
  }

  /** Whether a function hands its own parameter to a releasing one: then it is about the same address. */
  #releasesParameter(index: number, frees: ReadonlySet<number>, parameter: number): boolean {
    return [...frees].some((free) => {
      const { params } = this.#module.functionType(free);
      const place = params.length === 2 && parameter === 1 ? 1 : params.length;
      return passedLocals(this.#module, index, free).some((locals) => locals.at(-place) === parameter);
    });
  }

  /** What resizes blocks or aligns them, around the functions that allocate and release. */
  findAround(core: readonly CoreFunction[], state: ReadonlySet<number>): Omit<Cores, "unreleased"> {
    const mallocs = this.#withWrappers(core, ["malloc", "malloc_method", "memalign"]);
    const frees = this.#withWrappers(core, ["free", "free_method"]);
    const functions: CoreFunction[] = [];
    const notes: string[] = [];
    if (mallocs.size === 0 || frees.size === 0) return { functions, notes, resizedElsewhere: false };
    const method = core.some(({ role }) => role === "malloc_method");
    const callers = [...new Set([...mallocs].flatMap((index) => this.#graph.callers(index)))];
    const own = new Set(core.map(({ index }) => index));
    const helpers = this.#helpers(core, callers, state, method);
    const aligning: number[] = [];
    for (const index of callers) {
      if (own.has(index) || mallocs.has(index)) continue;
      const role = this.#roleOfCaller(index, frees, helpers, state, method);
      if (role === "memalign" || role === "memalign_method") aligning.push(index);
      if (!role) continue;
      const evidence = this.#evidence(index, role, frees);
      functions.push({ role, index, evidence, confidence: "likely" });
    }
    this.#settleParameterOrder(functions, aligning);
    const known = new Set([...own, ...functions.map(({ index }) => index), ...helpers]);
    for (const helper of helpers) {
      for (const caller of this.#graph.callers(helper)) {
        if (known.has(caller)) continue;
        known.add(caller);
        const above = this.#graph.callers(caller);
        if (above.length > 0 && above.every((index) => known.has(index))) continue;
        notes.push(
          `function ${caller} works on the heap itself, as allocator code was put into it: it is not hooked, ` +
            "and blocks that it resizes in place keep their first size",
        );
      }
    }
    return { functions, notes, resizedElsewhere: notes.length > 0 };
  }

  #evidence(index: number, role: AllocatorRole, frees: ReadonlySet<number>): string {
    if (/memalign/.test(role)) return "calls malloc and trims blocks on the heap's state";
    const free = [...frees].some((member) => this.#factsOf(index).callees.has(member));
    return free
      ? "calls malloc and free and works on the heap's state"
      : "calls malloc and works on the heap's state";
  }

  /** Functions of these roles and those that only pass their arguments on to them. */
  #withWrappers(core: readonly CoreFunction[], roles: readonly AllocatorRole[]): Set<number> {
    const members = new Set(core.filter(({ role }) => roles.includes(role)).map(({ index }) => index));
    for (const index of [...members]) {
      for (const caller of this.#graph.callers(index)) if (this.#isWrapper(caller)) members.add(caller);
    }
    return members;
  }

  #isWrapper(index: number): boolean {
    const body = index - this.#module.importedFunctionCount;
    const { start, end } = this.#module.bodies;
    if (body < 0 || end[body] - start[body] > wrapperInstructions * bytesPerInstruction[1]) return false;
    const { instructions, callees, callsIndirectly } = this.#factsOf(index);
    return instructions <= wrapperInstructions && callees.size === 1 && !callsIndirectly;
  }

  /**
   * Functions inside the allocator that put chunks back into the bins or take them out: two addresses (and
   * `self`), no result, on the same state. dlmalloc's `dispose_chunk`, Rust's `unlink_chunk` and so on.
   */
  #helpers(
    core: readonly CoreFunction[],
    callers: readonly number[],
    state: ReadonlySet<number>,
    method: boolean,
  ): Set<number> {
    const inside = [...core.map(({ index }) => index), ...callers.filter((index) => this.#fewEnough(index))];
    const own = new Set(core.map(({ index }) => index));
    const helpers = new Set<number>();
    const looksLikeC = (constants: ReadonlySet<number>) =>
      state.size < fewAddresses && freesLike("dlmalloc", constants, this.#pointer);
    for (const callee of new Set(inside.flatMap((index) => this.#graph.callees(index)))) {
      if (own.has(callee) || callee < this.#module.importedFunctionCount) continue;
      const { params, results } = this.#module.functionType(callee);
      if (results.length !== 0 || params.length !== (method ? 3 : 2)) continue;
      if (!params.every((param) => param === this.#pointer)) continue;
      const { addresses, constants } = this.#factsOf(callee);
      const shared = countShared(addresses, state);
      if (
        shared >= Math.min(sharedAddresses, Math.max(1, state.size)) ||
        (shared >= 2 && addresses.size <= 4)
      ) {
        helpers.add(callee);
      } else if (method ? [256, -2, 3].every((value) => constants.has(value)) : looksLikeC(constants)) {
        helpers.add(callee);
      }
    }
    return helpers;
  }

  /** Whether a caller of malloc is small enough to be part of the allocator. */
  #fewEnough(index: number): boolean {
    const { params, results } = this.#module.functionType(index);
    if (params.length < 2 || params.length > 6 || results.length !== 1) return false;
    const body = index - this.#module.importedFunctionCount;
    const { start, end } = this.#module.bodies;
    return end[body] - start[body] <= sizes.realloc[1] * bytesPerInstruction[1];
  }

  #roleOfCaller(
    index: number,
    frees: ReadonlySet<number>,
    helpers: ReadonlySet<number>,
    state: ReadonlySet<number>,
    method: boolean,
  ): AllocatorRole | undefined {
    const { params, results } = this.#module.functionType(index);
    const count = params.length;
    if (count < 2 || count > 6 || results.length !== 1 || results[0] !== this.#pointer) return undefined;
    if (!params.every((param) => param === this.#pointer) || !this.#fewEnough(index)) return undefined;
    const facts = this.#factsOf(index);
    const { instructions: n, callees } = facts;
    const trims = [...callees].some((callee) => helpers.has(callee));
    const works = trims || this.#worksOn(facts, state);
    if (!works) return undefined;
    if ([...callees].some((callee) => frees.has(callee))) {
      if (n < sizes.realloc[0] || n > sizes.realloc[1]) return undefined;
      if (!this.#releasesParameter(index, frees, method ? 1 : 0)) return undefined;
      if (method) return count === 3 ? "realloc_method" : undefined;
      if (count === 2) return "realloc";
      // 6: before 2018 with the new alignment and the place for an error behind
      return count === 4 || count === 6 ? "rust_realloc" : undefined;
    }
    if (n < sizes.memalign[0] || n > sizes.memalign[1] || !trims) return undefined;
    if (method) return count === 3 ? "memalign_method" : undefined;
    if (count === 2) return "memalign";
    return count === 3 ? "posix_memalign" : undefined;
  }

  /** Whether a function uses the allocator's state, itself or through a function that only it calls. */
  #worksOn(facts: BodyFacts, state: ReadonlySet<number>): boolean {
    if (countShared(facts.addresses, state) >= 2) return true;
    return [...facts.callees].some((callee) => {
      if (callee < this.#module.importedFunctionCount || this.#graph.callers(callee).length > 2) return false;
      return countShared(this.#factsOf(callee).addresses, state) >= sharedAddresses;
    });
  }

  /**
   * Whether a reallocation function takes the alignment or the new size last shows in what it passes to the
   * aligning one, which takes the alignment first.
   */
  #settleParameterOrder(functions: CoreFunction[], aligning: readonly number[]): void {
    for (const member of functions) {
      if (member.role !== "rust_realloc") continue;
      const passed = aligning.flatMap((index) => passedLocals(this.#module, member.index, index));
      const swapped = passed.some((locals) => locals.at(-2) === 3 && locals.at(-1) === 2);
      if (swapped) member.role = "wbindgen_realloc";
    }
  }
}
