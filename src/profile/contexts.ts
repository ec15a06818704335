import type { ContextTotals } from "./records.js";
import { Rows } from "./rows.js";

export interface ContextState {
  /** Which of its memory's contexts it is, from 1, in the order of the file. */
  readonly row: number;
  readonly id: number;
  /** Stack ids; 0 when unknown. */
  readonly stack: number;
  readonly caller: number;
  /** Made anew at each access. Absent when no snapshot came after the context was first seen. */
  readonly totals?: ContextTotals;
  /**
   * `time, allocations, frees, liveBytes` at each snapshot that mentions the context, one after the other: it is as
   * it was at all others. Made anew at each access.
   */
  readonly history: number[];
  /** Writes what `history` says to the beginning of `target`, and returns how many numbers that are. */
  readHistory(target: number[]): number;
}

/** The fields of a context's row: those of `ContextTotals` stand where they stand in it. */
const field = { id: 0, temporary: 6, stack: 7, caller: 8, lastEntry: 9 } as const;
const contextFields = 10;

/** Figures of an entry of the history: allocations, frees, live bytes. */
const entryFigures = 3;
/** What else it has: which moment, and the context's entry before it, 0 for none. */
const link = { time: 0, previous: 1 } as const;
const entryLinks = 2;

/**
 * The contexts of a memory by their id. A large program has 100,000 of them and a run many snapshots, so their figures are
 * rows of numbers, and a context is a small object that knows its row: objects and arrays took three times the memory.
 */
export class Contexts {
  /** By row, from 1. */
  readonly #states: State[] = [];
  /** By id. */
  readonly #rows: number[] = [];
  readonly #figures: Figures = {
    contexts: new Rows(Float64Array, contextFields),
    entries: new Rows(Float64Array, entryFigures),
    links: new Rows(Int32Array, entryLinks),
    times: [],
  };

  get size(): number {
    return this.#states.length;
  }

  get(id: number): ContextState | undefined {
    return this.#states[(this.#rows[id] ?? 0) - 1];
  }

  /** In the order of the file; always the same objects. */
  values(): IterableIterator<ContextState> {
    return this.#states.values();
  }

  setStacks(id: number, stack: number, caller: number): void {
    const { row } = this.#at(id);
    this.#figures.contexts.set(row, field.stack, stack);
    this.#figures.contexts.set(row, field.caller, caller);
  }

  /** Takes what a snapshot says. */
  setTotals(time: number, totals: ContextTotals): void {
    const { contexts, entries, links, times } = this.#figures;
    const { row } = this.#at(totals[field.id]);
    for (let i: number = field.id; i <= field.temporary; i++) contexts.set(row, i, totals[i]!);
    const entry = entries.add();
    entries.set(entry, 0, totals[1]);
    entries.set(entry, 1, totals[2]);
    entries.set(entry, 2, totals[4]);
    if (times.at(-1) !== time) times.push(time);
    links.set(links.add(), link.time, times.length - 1);
    links.set(entry, link.previous, contexts.get(row, field.lastEntry));
    contexts.set(row, field.lastEntry, entry);
  }

  #at(id: number): State {
    let row = this.#rows[id];
    if (row === undefined) {
      this.#rows[id] = row = this.#figures.contexts.add();
      this.#figures.contexts.set(row, field.id, id);
      this.#states.push(new State(this.#figures, row));
    }
    return this.#states[row - 1]!;
  }
}

interface Figures {
  contexts: Rows;
  entries: Rows;
  /** Of the entries of the same numbers. */
  links: Rows;
  times: number[];
}

class State implements ContextState {
  readonly #figures: Figures;
  readonly row: number;

  constructor(figures: Figures, row: number) {
    this.#figures = figures;
    this.row = row;
  }

  get stack(): number {
    return this.#figures.contexts.get(this.row, field.stack);
  }

  get caller(): number {
    return this.#figures.contexts.get(this.row, field.caller);
  }

  get totals(): ContextTotals | undefined {
    const { contexts } = this.#figures;
    const { row } = this;
    if (contexts.get(row, field.lastEntry) === 0) return undefined;
    // written out: a million of these are made where `Array.from` would show
    return [
      contexts.get(row, 0),
      contexts.get(row, 1),
      contexts.get(row, 2),
      contexts.get(row, 3),
      contexts.get(row, 4),
      contexts.get(row, 5),
      contexts.get(row, 6),
    ];
  }

  get id(): number {
    return this.#figures.contexts.get(this.row, field.id);
  }

  get history(): number[] {
    const history: number[] = [];
    this.readHistory(history);
    return history;
  }

  readHistory(target: number[]): number {
    const { contexts, entries, links, times } = this.#figures;
    const last = contexts.get(this.row, field.lastEntry);
    let length = 0;
    for (let entry = last; entry !== 0; entry = links.get(entry, link.previous)) length += 1 + entryFigures;
    // the newest entry is found first; an array that is filled backwards would be sparse
    while (target.length < length) target.push(0);
    let at = length;
    for (let entry = last; entry !== 0; entry = links.get(entry, link.previous)) {
      for (let i = entryFigures - 1; i >= 0; i--) target[--at] = entries.get(entry, i);
      target[--at] = times[links.get(entry, link.time)]!;
    }
    return length;
  }
}
