import { callerFrame, type StackReader } from "./frames.js";
import type { ContextReport, FrameReport } from "./report.js";

/** What contexts have in common whose stacks differ only in which functions of the same modules are on them. */
export interface Route {
  /** The stack of one of them. */
  readonly stack: readonly FrameReport[];
  /** The outer end of their stacks: the JavaScript that called, where that is known. */
  readonly outer: readonly FrameReport[];
  /** What people would call the caller. */
  readonly caller: FrameReport | undefined;
}

/**
 * A context of a report. Its stack is made when somebody asks for it, and anew each time: a text shows some dozens of 100,000,
 * and to make all of them took as long as all else that is done with contexts.
 */
export class RoutedContext implements ContextReport {
  readonly id: number;
  sampled = false;
  allocations = 0;
  frees = 0;
  allocatedBytes = 0;
  liveBytes = 0;
  liveBlocks = 0;
  peakLiveBytes = 0;
  temporary = 0;
  readonly #route: Route;
  readonly #stacks: StackReader;
  readonly #inner: number;
  readonly #outer: number;

  /**
   * @param inner id of the wasm part of its stack
   * @param outer id of its caller's stack
   */
  constructor(id: number, route: Route, stacks: StackReader, inner: number, outer: number) {
    this.id = id;
    this.#route = route;
    this.#stacks = stacks;
    this.#inner = inner;
    this.#outer = outer;
  }

  get stack(): FrameReport[] {
    return this.#stacks.whole(this.#inner, this.#outer);
  }

  toJSON(): ContextReport {
    const { id, stack } = this;
    return Object.assign({ id, stack }, this);
  }

  /** The route of any context: one that comes from elsewhere, as from JSON, is alone on its own. */
  static routeOf(context: ContextReport): Route {
    if (#route in context) return context.#route;
    const { stack } = context;
    return { stack, outer: [], caller: callerFrame(stack) };
  }
}

export const { routeOf } = RoutedContext;

/** A context as a plain object, which can be spread, cloned and sent. */
export function plainContext(context: ContextReport): ContextReport {
  return context instanceof RoutedContext ? context.toJSON() : context;
}

/** Finds the routes of contexts: there are few, and what is asked of each is asked once. */
export class Routes {
  readonly #stacks: StackReader;
  /** By shape of the wasm part, then by key of the caller's stack. */
  readonly #routes: Map<number, Route>[] = [];

  constructor(stacks: StackReader) {
    this.#stacks = stacks;
  }

  /** Of the stack with these ids. */
  get(inner: number, outer: number): Route {
    const byCaller = (this.#routes[this.#stacks.shape(inner)] ??= new Map());
    const key = this.#stacks.key(outer);
    let route = byCaller.get(key);
    if (!route) {
      const stack = this.#stacks.whole(inner, outer);
      route = { stack, outer: this.#stacks.frames(outer), caller: callerFrame(stack) };
      byCaller.set(key, route);
    }
    return route;
  }
}
