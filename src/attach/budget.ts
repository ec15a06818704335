import { captureCredit, captureShare, carefreeCredit, contextCredit, contextShare } from "./limits.js";

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

/** Time that captures of one kind may take: a credit at first, then a share of the run time. */
class Allowance {
  readonly #credit: number;
  readonly #share: number;
  /** What a capture takes usually. */
  #usual?: number;
  charged = 0;

  constructor(credit: number, share: number) {
    this.#credit = credit;
    this.#share = share;
  }

  /** @param elapsed Milliseconds since the start. */
  left(elapsed: number, credit = this.#credit): number {
    return credit + this.#share * elapsed - this.charged;
  }

  /** @param price How many captures it counts as. */
  charge(taken: number, price = 1): void {
    const usual = this.#usual ?? taken;
    const charged = Math.min(taken, Math.max(interrupted.milliseconds, interrupted.usualCaptures * usual));
    this.charged += charged * price;
    this.#usual = usual + (charged - usual) * weight;
  }
}

/**
 * Accounts for the time that captures of stacks take. Those of JavaScript callers and those of calling contexts have a
 * budget each: were contexts charged to that of callers, a program with thousands of contexts had no callers. Others
 * happen once for each new thing and are only added up.
 */
export class CaptureBudget {
  readonly #now: () => number;
  readonly #start: number;
  readonly #callers = new Allowance(captureCredit, captureShare);
  readonly #contexts = new Allowance(contextCredit, contextShare);
  readonly #allContexts: boolean;
  mode: CaptureMode = "budget";
  #total = 0;

  /**
   * @param now Milliseconds on a clock that never goes back.
   * @param allContexts Whether calling contexts are captured whatever it takes: errors tell where a block was made.
   */
  constructor(now: () => number, allContexts = false) {
    this.#now = now;
    this.#start = now();
    this.#allContexts = allContexts;
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
    return this.#callers.left(this.#now() - this.#start, isDear ? captureCredit / 2 : captureCredit);
  }

  /** Whether captures that tell nothing new are dear by now. */
  get isThrifty(): boolean {
    return this.mode === "budget" && this.#callers.charged >= carefreeCredit;
  }

  /** Whether time is left for another calling context. */
  get hasTimeForContexts(): boolean {
    return this.#allContexts || this.mode === "all" || this.#contexts.left(this.#now() - this.#start) > 0;
  }

  /**
   * Runs the capture of a caller.
   * @param price How many captures it is charged as.
   */
  caller<T>(capture: () => T, price = 1): T {
    return this.#charged(this.#callers, capture, price);
  }

  /** Runs the capture of a calling context. */
  context<T>(capture: () => T): T {
    return this.#charged(this.#contexts, capture);
  }

  #charged<T>(allowance: Allowance, capture: () => T, price?: number): T {
    const before = this.#total;
    try {
      return this.other(capture);
    } finally {
      allowance.charge(this.#total - before, price);
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
}
