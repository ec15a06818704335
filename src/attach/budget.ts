import { captureCredit, captureShare } from "./limits.js";

/**
 * Which JavaScript callers are captured: those that the budget has time for, all (while a test measures), or
 * none (between such tests).
 */
export type CaptureMode = "budget" | "all" | "none";

/**
 * A capture that took longer than so many usual ones, and longer than so many milliseconds, was interrupted: by another
 * process, mostly. What a busy machine takes must not be charged to the budget, or callers are missing there.
 */
const interrupted = { usualCaptures: 8, milliseconds: 0.25 };

/** Weight of the latest capture in what is usual. */
const weight = 1 / 16;

/**
 * Accounts for the time that captures of stacks take. Those of JavaScript callers have a budget: a credit at
 * first, then a share of the run time. Others happen once for each new thing and are only added up: were they
 * charged to the budget, a program with thousands of contexts had no callers.
 */
export class CaptureBudget {
  readonly #now: () => number;
  readonly #start: number;
  mode: CaptureMode = "budget";
  #total = 0;
  #charged = 0;
  /** What a caller's capture takes usually. */
  #usual?: number;

  /** @param now Milliseconds on a clock that never goes back. */
  constructor(now: () => number) {
    this.#now = now;
    this.#start = now();
  }

  /** Milliseconds that all captures took. */
  get total(): number {
    return this.#total;
  }

  /**
   * Milliseconds left for callers.
   * @param isDear Whether they are to be charged as dear ones, for which half of the credit isn't there.
   */
  left(isDear = false): number {
    if (this.mode !== "budget") return this.mode === "all" ? Number.POSITIVE_INFINITY : 0;
    const credit = isDear ? captureCredit / 2 : captureCredit;
    return credit + captureShare * (this.#now() - this.#start) - this.#charged;
  }

  /** Whether captures that tell nothing new are dear by now. */
  get isThrifty(): boolean {
    return this.mode === "budget" && this.#charged >= captureCredit / 2;
  }

  /**
   * Runs the capture of a caller.
   * @param price How many captures it is charged as.
   */
  caller<T>(capture: () => T, price = 1): T {
    const before = this.#total;
    try {
      return this.other(capture);
    } finally {
      this.#charge(this.#total - before, price);
    }
  }

  /** Runs another capture. */
  other<T>(capture: () => T): T {
    const start = this.#now();
    try {
      return capture();
    } finally {
      this.#total += this.#now() - start;
    }
  }

  #charge(taken: number, price: number): void {
    const usual = this.#usual ?? taken;
    const charged = Math.min(taken, Math.max(interrupted.milliseconds, interrupted.usualCaptures * usual));
    this.#charged += charged * price;
    this.#usual = usual + (charged - usual) * weight;
  }
}
