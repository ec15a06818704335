import { captureCredit, captureShare } from "./limits.js";

/** Time that captures of JavaScript callers may take: a credit at first, then a share of the run time. */
export class CaptureBudget {
  readonly #now: () => number;
  readonly #start: number;
  /** Milliseconds that all captures took. */
  spent = 0;

  /** @param now Milliseconds on a clock that never goes back. */
  constructor(now: () => number) {
    this.#now = now;
    this.#start = now();
  }

  /** Milliseconds left. */
  left(): number {
    return captureCredit + captureShare * (this.#now() - this.#start) - this.spent;
  }

  /** Runs a capture and charges it. */
  charge<T>(capture: () => T): T {
    const start = this.#now();
    try {
      return capture();
    } finally {
      this.spent += this.#now() - start;
    }
  }
}
