import { captureCredit, captureShare } from "./limits.js";

/**
 * Which JavaScript callers are captured: those that the budget has time for, all (while a test measures), or
 * none (between such tests).
 */
export type CaptureMode = "budget" | "all" | "none";

/**
 * Accounts for the time that captures of stacks take. Those of JavaScript callers have a budget: a credit at
 * first, then a share of the run time. Others happen once for each new thing and are only added up: were they
 * charged to the budget, a program with thousands of contexts had no callers.
 */
export class CaptureBudget {
  readonly #now: () => number;
  readonly #start: number;
  mode: CaptureMode = "budget";
  #callers = 0;
  #others = 0;

  /** @param now Milliseconds on a clock that never goes back. */
  constructor(now: () => number) {
    this.#now = now;
    this.#start = now();
  }

  /** Milliseconds that all captures took. */
  get total(): number {
    return this.#callers + this.#others;
  }

  /** Milliseconds left for callers. */
  left(): number {
    if (this.mode !== "budget") return this.mode === "all" ? Number.POSITIVE_INFINITY : 0;
    return captureCredit + captureShare * (this.#now() - this.#start) - this.#callers;
  }

  /** Runs the capture of a caller. */
  caller<T>(capture: () => T): T {
    const start = this.#now();
    try {
      return capture();
    } finally {
      this.#callers += this.#now() - start;
    }
  }

  /** Runs another capture. */
  other<T>(capture: () => T): T {
    const start = this.#now();
    try {
      return capture();
    } finally {
      this.#others += this.#now() - start;
    }
  }
}
