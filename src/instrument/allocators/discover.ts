/**
 * Finds an allocator by what its functions do, where neither names nor constants tell: functions whose type fits are
 * called in a sandbox (sandbox.ts) and judged (trials.ts). It needs no knowledge of any allocator, so it finds those
 * that nobody made rules for; and what it finds is proved, not guessed.
 */
import type { Module } from "../../wasm/module.js";
import { externalKind } from "../../wasm/types.js";
import type { CallGraph } from "../call-graph.js";
import { Completeness } from "./completeness.js";
import type { CoreFunction } from "./cores.js";
import { type Heap, Heaps } from "./heaps.js";
import { Fuel } from "./sandbox.js";
import { stateReach } from "./state-addresses.js";
import {
  type Changes,
  changingAddresses,
  tryAllocation,
  tryBriefly,
  tryInPlace,
  tryRelease,
  type Verdict,
} from "./trials.js";
import { type Way, waysInPlace } from "./ways.js";
import { fuelOfSearch, Workbench } from "./workbench.js";

export interface Discovery {
  functions: CoreFunction[];
  notes: string[];
  /** Whether blocks are resized by functions that are not hooked; the notes name them. */
  resizedElsewhere: boolean;
}

const evidence = {
  malloc: "tried out: its blocks never overlap, keep their bytes and come again once released",
  free: "tried out: what it releases is given out again, and nothing else",
  realloc: "tried out: moves the bytes of a block and leaves others alone",
} as const;

/** Functions that are called to prepare a module at most. */
const mostPreparations = 8;

export function discoverAllocator(module: Module, graph: CallGraph): Discovery {
  const fuel = new Fuel(fuelOfSearch);
  const cold = new Search(module, graph, [], fuel).run();
  if (cold.functions.length > 0 || fuel.empty) return cold;
  const prepare = preparations(module);
  return prepare.length > 0 ? new Search(module, graph, prepare, fuel).run() : cold;
}

/** What a trial says of functions that were found otherwise. */
export function confirmAllocator(
  module: Module,
  graph: CallGraph,
  functions: readonly CoreFunction[],
): Verdict {
  const fuel = new Fuel(fuelOfSearch);
  const cold = new Search(module, graph, [], fuel).confirm(functions);
  // what misbehaves may only not have been prepared
  const prepare = cold === "proved" ? [] : preparations(module);
  return prepare.length > 0 ? new Search(module, graph, prepare, fuel).confirm(functions) : cold;
}

/**
 * Those of some static addresses at which functions that were found otherwise change something: the others are those of
 * messages and tables. undefined where that can't be tried.
 * @param isEnough whether no more need be known
 */
export function changedAddresses(
  module: Module,
  graph: CallGraph,
  functions: readonly CoreFunction[],
  addresses: ReadonlySet<number>,
  isEnough: (changed: Changes) => boolean,
): Changes | undefined {
  return new Search(module, graph, [], new Fuel(0)).changing(functions, addresses, isEnough);
}

/** What the host calls before all else: constructors, initialisers. Without names, whatever takes and gives nothing. */
function preparations(module: Module): number[] {
  const { start, exports, importedFunctionCount } = module;
  const exported = exports.flatMap(({ kind, index }) => {
    if (kind !== externalKind.function || index < importedFunctionCount) return [];
    const { params, results } = module.functionType(index);
    return params.length === 0 && results.length === 0 ? [index] : [];
  });
  const first = start === undefined || start < importedFunctionCount ? [] : [start];
  return [...new Set([...first, ...exported])].slice(0, mostPreparations);
}

class Search {
  readonly #bench: Workbench;
  readonly #heaps: Heaps;
  readonly #completeness: Completeness;

  constructor(module: Module, graph: CallGraph, prepare: readonly number[], fuel: Fuel) {
    this.#bench = new Workbench(module, graph, prepare, fuel);
    this.#heaps = new Heaps(this.#bench);
    this.#completeness = new Completeness(module, graph, this.#bench.candidates);
  }

  run(): Discovery {
    const functions: CoreFunction[] = [];
    const notes: string[] = [];
    let resizedElsewhere = false;
    for (const heap of this.#heaps.find()) {
      const levels = this.#heaps.resizers(heap);
      const resizers = levels.find((level) => !this.#completeness.isBypassed(heap, level));
      if (!resizers) continue;
      const resizing = new Set(resizers.map(({ index }) => index));
      const own: CoreFunction[] = [];
      // realloc of the address 0 allocates
      for (const way of heap.mallocs) if (!resizing.has(way.index)) own.push(coreOf(way, evidence.malloc));
      for (const way of heap.frees) own.push(coreOf(way, evidence.free));
      for (const way of resizers) own.push(coreOf(way, evidence.realloc));
      const { inPlace, part } = this.#completeness.partElsewhere(
        own,
        heap,
        (addresses) => this.#changing(heap, addresses),
        (index) => this.#onlyResizes(heap, index),
      );
      if (part !== undefined) {
        notes.push(
          `function ${heap.malloc.index} allocates and function ${heap.free.index} releases, but a part of that ` +
            `allocator is in function ${part} too, so its blocks are not tracked: not hooked`,
        );
        continue;
      }
      functions.push(...own);
      for (const index of inPlace)
        notes.push(
          `function ${index} resizes blocks where they are: it is not hooked, and they keep their first size`,
        );
      resizedElsewhere ||= inPlace.length > 0;
    }
    const once = new Map(functions.map((member) => [member.index, member]));
    return { functions: [...once.values()], notes, resizedElsewhere };
  }

  /** Whether trials prove that a function resizes blocks of a heap where they are, and does nothing else. */
  #onlyResizes({ malloc, free }: Heap, index: number): boolean {
    const { candidates } = this.#bench;
    const parameters = candidates.inPlaceParameters(index);
    if (!parameters) return false;
    this.#bench.lastLook();
    const sandbox = this.#bench.sandbox([malloc, free], { others: [index] });
    if (!sandbox) return false;
    return waysInPlace(index, parameters.count, malloc).some(
      (way) => tryInPlace(sandbox, malloc, free, way, parameters.tells) === "proved",
    );
  }

  /** Those of some static addresses at which functions that were found otherwise change something. */
  changing(
    functions: readonly CoreFunction[],
    addresses: ReadonlySet<number>,
    isEnough: (changed: Changes) => boolean,
  ): Changes | undefined {
    const [[malloc], [free]] = this.#waysOf(functions);
    return malloc && free && this.#changing({ malloc, free }, addresses, isEnough);
  }

  #changing(
    { malloc, free }: Pick<Heap, "malloc" | "free">,
    addresses: ReadonlySet<number>,
    isEnough?: (changed: Changes) => boolean,
  ) {
    this.#bench.lastLook();
    const sandbox = this.#bench.sandbox([malloc, free]);
    return changingAddresses(sandbox, malloc, free, addresses, stateReach, isEnough);
  }

  /** How functions of known roles are called: those that allocate and those that release. */
  #waysOf(functions: readonly CoreFunction[]): [mallocs: Way[], frees: Way[]] {
    const ways = functions.flatMap(({ index, role }) =>
      this.#bench.candidates.ways(index, { [this.#bench.candidates.count(index)]: [role] }),
    );
    return [
      ways.filter(({ role }) => /^(?:malloc|alloc_aligned|malloc(?:_traced)?_method|memalign)$/.test(role)),
      ways.filter(({ role }) => role.startsWith("free")),
    ];
  }

  confirm(functions: readonly CoreFunction[]): Verdict {
    const [mallocs, frees] = this.#waysOf(functions);
    if (this.#agreeBriefly(mallocs, frees)) return "proved";
    const sandbox = this.#bench.sandbox([...mallocs, ...frees]);
    if (!sandbox) return "unknown";
    const verdicts: Verdict[] = [];
    for (const malloc of mallocs) {
      const allocation = tryAllocation(sandbox, malloc);
      if (allocation !== "proved") verdicts.push(allocation);
      else verdicts.push(...frees.map((free) => tryRelease(sandbox, malloc, free)));
      if (verdicts.includes("proved")) return "proved";
    }
    return verdicts.includes("contradicted") ? "contradicted" : "unknown";
  }

  /** Nearly all allocators that were found by constants pass here, in a tenth of the time. */
  #agreeBriefly(mallocs: readonly Way[], frees: readonly Way[]): boolean {
    const [malloc] = mallocs;
    const [free] = frees;
    if (!malloc || !free || this.#bench.isPrepared) return false;
    const sandbox = this.#bench.sandbox([malloc, free], { near: true });
    return sandbox !== undefined && tryBriefly(sandbox, malloc, free) === "proved";
  }
}

function coreOf({ role, index }: Way, evidenceText: string): CoreFunction {
  return { role, index, evidence: evidenceText, confidence: "proved" };
}
