import type { InitialData, MemoryLayout } from "../instrument/index.js";
import type { SnapshotRecord } from "../profile/records.js";
import type { RecordedContext, Recorder } from "../recorder/index.js";
import { capturesAfterNews, capturesWithoutNews } from "./limits.js";
import type { MemoryErrors } from "./memory-errors.js";
import type { MemoryFacts } from "./module-facts.js";
import type { KnownModule } from "./module-registry.js";
import { isSharedMemory, memoryBuffer, memoryPages } from "./natives.js";

/** A linear memory of the run, from its making until the collector takes it. Keeps the memory itself alive never. */
export class TrackedMemory {
  readonly initialPages: number;
  readonly maximumPages: number | null;
  /** Pages when last looked at. */
  pages: number;
  shared: boolean;
  recorder?: Recorder;
  /** What checked modules do wrong to it. */
  errors?: MemoryErrors;
  /** Ids of the modules that use it. */
  readonly modules = new Set<number>();
  /** Stack ids by the recorder's number of a context; without those that were not looked at. */
  readonly #contextStacks: number[] = [];
  /** Pairs of contexts that have no stack yet, as they are in the profile, by context. */
  readonly #withoutStack = new Map<number, ContextPair[]>();
  /** Such pairs whose context got its stack since. */
  #completed: ContextPair[] = [];
  /** Stack ids by the recorder's number of a caller. */
  readonly callers: number[] = [0];
  readonly callerNumbers = new Map<number, number>();
  growStacks = 0;
  /** Whether another thread made it and sent it here. */
  received = false;
  /** Whether its record is in the profile. */
  written = false;
  /** The first module whose instance uses it. */
  module?: KnownModule;
  /** Whether its recorder asks for every caller. */
  eager = true;
  /** Who made it grow last (stack id). */
  growStack = 0;
  /** What its modules say about its addresses, the data that they came with, and globals that they export. */
  readonly layouts: { layout: MemoryLayout; data?: InitialData }[] = [];
  readonly globals: WeakRef<WebAssembly.Global>[] = [];
  /** Whether blocks of linmem's own heaps lie in it. */
  ownHeaps = false;
  #ref?: WeakRef<WebAssembly.Memory>;
  /** Pages in its last snapshot. */
  #snapshotPages = -1;
  #frees = 0;
  /** Captures of callers since one that told something new. */
  #withoutNews = 0;
  #overlaps: number | undefined;

  constructor(
    /** Id in the profile. */
    readonly id: number,
    facts: Omit<MemoryFacts, "import">,
    /** Where it was created (stack id). */
    readonly stack: number,
  ) {
    this.initialPages = facts.initialPages;
    this.maximumPages = facts.maximumPages;
    this.pages = facts.initialPages;
    this.shared = facts.shared;
  }

  attach(memory: WebAssembly.Memory): void {
    this.#ref = new WeakRef(memory);
    this.shared = isSharedMemory(memory);
  }

  /** Pages now. Keeps the memory alive until the running job ends: only for snapshots. */
  currentPages(): number {
    return memoryPages(this.#ref?.deref()) ?? this.pages;
  }

  /** Its bytes; undefined when JavaScript can't see them, or the memory is shared. As `currentPages`. */
  buffer(): ArrayBuffer | undefined {
    const memory = this.shared ? undefined : this.#ref?.deref();
    return memory && memoryBuffer(memory);
  }

  /** Number under which the recorder knows a caller's stack. */
  callerNumber(stack: number): number {
    let number = this.callerNumbers.get(stack);
    if (number === undefined) {
      number = this.callers.length;
      this.callers.push(stack);
      this.callerNumbers.set(stack, number);
    }
    return number;
  }

  /** The stack of a context of the recorder's is known now. */
  setContextStack(context: number, stack: number): void {
    this.#contextStacks[context] = stack;
    const pairs = this.#withoutStack.get(context) ?? [];
    this.#withoutStack.delete(context);
    for (const pair of pairs) this.#completed.push({ ...pair, stack });
  }

  /** Its stack by the recorder's number of a context; 0 when it was not captured. */
  stackOfContext(context: number): number {
    return this.#contextStacks[context] ?? 0;
  }

  /** Contexts in the profile whose stack was never captured. */
  get contextsWithoutStack(): number {
    return this.#withoutStack.size;
  }

  /** Whether captures of callers have told nothing new for long. Asked each time that the recorder wants one. */
  isQuiet(): boolean {
    if (this.recorder?.hasNews()) {
      this.#withoutNews = Math.max(0, Math.min(this.#withoutNews, capturesWithoutNews) - capturesAfterNews);
    }
    return this.#withoutNews >= capturesWithoutNews;
  }

  /** A caller was captured. */
  captured(): void {
    this.#withoutNews++;
  }

  /** Contexts and state that changed since the previous call; nothing when all is as it was. */
  changes(time: number): { contexts: ContextPair[]; snapshot?: SnapshotRecord } {
    const resized = this.pages !== this.#snapshotPages;
    this.#snapshotPages = this.pages;
    const snapshot: SnapshotRecord = {
      type: "snapshot",
      time,
      memory: this.id,
      pages: this.pages,
      contexts: [],
    };
    if (!this.recorder) return { contexts: [], ...(resized ? { snapshot } : {}) };
    // Totals first: reading them also settles blocks that no context has been told of.
    const heap = this.recorder.totals();
    const { contexts, totals } = this.recorder.takeChanges();
    const completed = this.#completed;
    this.#completed = [];
    const pairs = completed.concat(contexts.map((pair) => this.#pairOf(pair)));
    const changed =
      resized ||
      pairs.length > 0 ||
      totals.length > 0 ||
      heap.frees !== this.#frees ||
      heap.overlaps !== this.#overlaps;
    this.#frees = heap.frees;
    this.#overlaps = heap.overlaps;
    if (!changed) return { contexts: [] };
    return {
      contexts: pairs,
      snapshot: { ...snapshot, heap, contexts: totals },
    };
  }

  #pairOf({ id, context, caller }: RecordedContext): ContextPair {
    const stack = this.#contextStacks[context];
    const pair = { id, stack: stack ?? 0, caller: this.callers[caller] ?? 0 };
    // what comes beyond the bound of contexts has none for good
    if (stack === undefined && context !== 0) {
      const pairs = this.#withoutStack.get(context);
      if (pairs) pairs.push(pair);
      else this.#withoutStack.set(context, [pair]);
    }
    return pair;
  }
}

interface ContextPair {
  id: number;
  stack: number;
  caller: number;
}
