/**
 * Where functions are tried out: makes sandboxes of a module's parts, and counts what all trials of a search use up.
 */
import type { Module } from "../../wasm/module.js";
import type { CallGraph } from "../call-graph.js";
import { Candidates } from "./candidates.js";
import { Fuel, makeSandbox, type Sandbox } from "./sandbox.js";
import type { Way } from "./ways.js";

/** Fuel for a search, and for each of its three stages: 100 ms or so where it is used up. */
export const fuelOfSearch = 24_000_000;
const fuelOfStage = 16_000_000;
/** The same where some function was proved to allocate. */
const fuelWithEvidence = 10 * fuelOfSearch;
const stageWithEvidence = 10 * fuelOfStage;
const fuelOfLastLook = 2_000_000;

export class Workbench {
  readonly module: Module;
  readonly graph: CallGraph;
  readonly candidates: Candidates;
  readonly #prepare: readonly number[];
  readonly #fuel: Fuel;
  #tank: Fuel;
  #hasMore = false;

  /** @param prepare functions that every trial calls first */
  constructor(module: Module, graph: CallGraph, prepare: readonly number[], fuel: Fuel) {
    this.module = module;
    this.graph = graph;
    this.candidates = new Candidates(module, graph);
    this.#prepare = prepare;
    this.#fuel = fuel;
    this.#tank = new Fuel(fuelOfStage, fuel);
  }

  /** Whether trials call other functions first. */
  get isPrepared(): boolean {
    return this.#prepare.length > 0;
  }

  /**
   * Something allocates: from here on a search may use up more. What has no allocator is never searched so long.
   */
  goOn(): void {
    if (this.#hasMore) return;
    this.#hasMore = true;
    this.#fuel.add(fuelWithEvidence - fuelOfSearch);
    this.#tank.add(stageWithEvidence - fuelOfStage);
  }

  /** From here on sandboxes take from the fuel of a new stage. */
  nextStage(): void {
    this.#tank = new Fuel(this.#hasMore ? stageWithEvidence : fuelOfStage, this.#fuel);
  }

  /** One trial more, also where the search has used up all it had. */
  lastLook(): void {
    this.#tank = new Fuel(fuelOfLastLook);
  }

  /** @param others functions that are called besides */
  sandbox(
    ways: readonly Way[],
    {
      others = [],
      ...more
    }: { blocked?: ReadonlySet<number>; near?: boolean; others?: readonly number[] } = {},
  ): Sandbox | undefined {
    const makers = ways.flatMap(({ self }) => (self?.kind === "call" ? [self.value] : []));
    const roots = [...new Set([...ways.map(({ index }) => index), ...makers, ...others])];
    const globals = [...new Set(ways.flatMap(({ self }) => (self?.kind === "global" ? [self.value] : [])))];
    const options = { roots, globals, prepare: this.#prepare, ...more };
    return makeSandbox(this.module, this.graph, this.#tank, options);
  }
}
