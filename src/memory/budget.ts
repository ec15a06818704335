// A cap in pages over any number of memories.
import { LinmemRangeError, LinmemTypeError } from "../errors.js";
import { checkPages, MAX_PAGES, show } from "./pages.js";
import { type Subscription, subscription } from "./subscription.js";

/** What a budget must know of a memory: a `LinearMemory`. */
export interface Budgeted {
  /** Pages now. */
  readonly pages: number;
  /** The most pages it can ever have, if anything bounds it. */
  readonly maximum: number | undefined;
  /** Lets `wasm.grow`, called by anybody, ask the budgets first. */
  interceptGrow(): void;
}

/** What `new Budget` takes. */
export interface BudgetOptions {
  /** The most pages (64 KiB each) that all memories may have together. */
  pages: number;
  /**
   * What a memory counts with: the pages it has ("pages", unless told), or those it can ever have ("maximum"). Modules
   * that grow by themselves can exceed a budget of the first kind together, never one of the second.
   */
  counts?: "pages" | "maximum";
}

/** What a pressure listener hears. All in pages. */
export interface PressureEvent {
  /** Which budget it is. */
  budget: Budget;
  /** What the memories count with now. */
  used: number;
  /** What is asked for on top of it; 0 when a module has grown a memory by itself already. */
  wanted: number;
  /** The most that they may have together. */
  limit: number;
}

const budgets = new WeakMap<object, Set<Budget>>();

/** Asks all budgets of `memory` for pages: first all their listeners hear of it, then each may refuse. */
export function claimAll(memory: object, wanted: number): void {
  const all = growthBudgets(memory);
  for (const budget of all) budget.press(wanted);
  for (const budget of all) budget.check(wanted);
}

/** Tells the listeners of all budgets of `memory` after a growth that nobody asked them about. */
export function pressAll(memory: object): void {
  for (const budget of growthBudgets(memory)) budget.press(0);
}

/** The budgets that growth concerns: to others a memory counts with its maximum already. */
function growthBudgets(memory: object): Budget[] {
  return [...(budgets.get(memory) ?? [])].filter(({ counts }) => counts === "pages");
}

/**
 * A cap in pages over any number of memories: `new LinearMemory({ …, budget })` or `budget.add(memory)`.
 *
 * Growth by JavaScript beyond the cap is refused with a RangeError, and nothing changes: by `memory.grow` and by
 * `memory.wasm.grow`, which is how the glue of Emscripten grows. What a module does by itself (the instruction
 * `memory.grow`) only the maximum of its memory can refuse: a memory made with a budget gets no higher maximum than the
 * limit, so that it can't exceed it alone. Several together can: the budget counts that, its listeners hear of it, and
 * JavaScript can't grow anything until there is room again. Where that is not enough, let memories count with their
 * maxima, `counts: "maximum"`: then a memory is refused that could exceed the limit, and growth never is.
 *
 * A memory counts until it is collected: `remove` one that is dropped.
 */
export class Budget {
  /** The most pages that all memories may have together. */
  readonly limit: number;
  /** What a memory counts with. */
  readonly counts: "pages" | "maximum";
  private readonly members = new Set<WeakRef<Budgeted>>();
  private readonly references = new WeakMap<Budgeted, WeakRef<Budgeted>>();
  private readonly listeners = new Map<(event: PressureEvent) => void, number>();

  /** @throws TypeError: not a whole number of pages (`ERR_LINMEM_PAGES`), nothing to count (`ERR_LINMEM_OPTIONS`). */
  constructor(options: BudgetOptions) {
    checkPages(options?.pages, "pages");
    const { pages, counts = "pages" } = options;
    if (counts !== "pages" && counts !== "maximum") {
      throw new LinmemTypeError(
        "ERR_LINMEM_OPTIONS",
        `counts must be "pages" or "maximum", not ${show(counts)}`,
      );
    }
    this.limit = pages;
    this.counts = counts;
  }

  /** Pages that all memories in it count with, now. */
  get used(): number {
    let pages = 0;
    for (const reference of this.members) {
      const memory = reference.deref();
      if (memory === undefined) this.members.delete(reference);
      else pages += this.sizeOf(memory);
    }
    return pages;
  }

  private sizeOf(memory: Budgeted): number {
    return this.counts === "pages" ? memory.pages : (memory.maximum ?? Infinity);
  }

  /** Pages that are left; 0 also when modules have grown beyond the limit. */
  get available(): number {
    return Math.max(0, this.limit - this.used);
  }

  /** Counts a memory from now on. @throws RangeError (`ERR_LINMEM_BUDGET`) when it doesn't fit. */
  add(memory: Budgeted): void {
    if (typeof memory?.interceptGrow !== "function") {
      throw new LinmemTypeError(
        "ERR_LINMEM_NOT_A_MEMORY",
        `only a LinearMemory can be added, not ${show(memory)}`,
      );
    }
    if (this.references.has(memory)) return;
    this.claim(this.sizeOf(memory));
    this.admit(memory);
  }

  /** Claims the pages of a new memory, and returns the maximum that it may have. @internal */
  claimNew(initial: number, maximum: number | undefined): number | undefined {
    if (this.counts === "maximum") {
      // With listeners first: what they free is there for this memory.
      this.press(maximum ?? initial);
      const most = maximum ?? Math.max(initial, this.available);
      this.check(most);
      return most;
    }
    this.claim(initial);
    return maximum === undefined && this.limit >= MAX_PAGES
      ? undefined
      : Math.min(maximum ?? this.limit, this.limit);
  }

  /** Counts a memory whose pages were claimed. @internal */
  admit(memory: Budgeted): void {
    const reference = new WeakRef(memory);
    this.references.set(memory, reference);
    this.members.add(reference);
    const all = budgets.get(memory);
    if (all === undefined) budgets.set(memory, new Set([this]));
    else all.add(this);
    memory.interceptGrow();
  }

  /** Counts a memory no longer: for one that is dropped, but not collected yet. */
  remove(memory: Budgeted): void {
    const reference = this.references.get(memory);
    if (reference === undefined) return;
    this.references.delete(memory);
    this.members.delete(reference);
    budgets.get(memory)?.delete(this);
  }

  /**
   * Calls `listener` before a growth that takes the use above `at` (a share of the limit, 0.8 unless told), so that it
   * can drop what it can spare; and after a module has gone above it by itself.
   */
  onPressure(listener: (event: PressureEvent) => void, options: { at?: number } = {}): Subscription {
    if (typeof listener !== "function") {
      throw new LinmemTypeError("ERR_LINMEM_OPTIONS", `a listener must be a function, not ${show(listener)}`);
    }
    const { at = 0.8 } = options;
    if (typeof at !== "number" || !(at >= 0 && at <= 1)) {
      throw new LinmemTypeError("ERR_LINMEM_OPTIONS", `at must be a share from 0 to 1, not ${show(at)}`);
    }
    // One function may listen twice: each subscription is one of its own.
    const own = (event: PressureEvent) => listener(event);
    this.listeners.set(own, at);
    return subscription(() => this.listeners.delete(own));
  }

  /** Tells the listeners, then throws a RangeError (`ERR_LINMEM_BUDGET`) if `wanted` pages are not left. */
  claim(wanted: number): void {
    this.press(wanted);
    this.check(wanted);
  }

  /** Throws a RangeError (`ERR_LINMEM_BUDGET`) if `wanted` pages are not left. @internal */
  check(wanted: number): void {
    const { used, limit } = this;
    if (wanted > 0 && used + wanted > limit) {
      throw new LinmemRangeError(
        "ERR_LINMEM_BUDGET",
        `${wanted === Infinity ? "a memory without a maximum exceeds" : `${wanted} more pages exceed`} the budget: ${used} of ${limit} pages are used`,
        { wanted, used, limit },
      );
    }
  }

  /** Tells the listeners whose mark `wanted` more pages would pass. @internal */
  press(wanted: number): void {
    const used = this.used;
    for (const [listener, at] of [...this.listeners]) {
      if (used + wanted > at * this.limit) listener({ budget: this, used, wanted, limit: this.limit });
    }
  }
}
