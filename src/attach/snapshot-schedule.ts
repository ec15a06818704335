import { firstSnapshotInterval, snapshotGrowth, snapshotPause } from "./limits.js";

/** When snapshots are due: often at the beginning, and never so often that they take a share of the time worth naming. */
export class SnapshotSchedule {
  /** Milliseconds between two snapshots; infinite for none but those asked for. */
  readonly #interval: number;
  /** When there was first something to count. */
  #start: number;
  #next: number;
  /** Milliseconds that a snapshot takes. */
  #cost = 0;
  /** When sizes were last read from the memories themselves. */
  #lastLook: number;

  constructor(interval: number, now: number) {
    this.#interval = interval;
    this.#start = now;
    this.#lastLook = now;
    this.#next = now + this.#pause(0);
  }

  /** Milliseconds. */
  until(now: number): number {
    return Math.max(0, this.#next - now);
  }

  isDue(now: number): boolean {
    return now >= this.#next;
  }

  /** There is something to count from now on. */
  restart(now: number): void {
    this.#start = now;
    this.#next = Math.min(this.#next, now + this.#pause(0));
  }

  /**
   * Whether a snapshot now is to look at the memories themselves. That keeps each alive until the running job ends, so it
   * is not done as often as the rest.
   */
  look(now: number): boolean {
    const look = now - this.#lastLook >= this.#interval;
    if (look) this.#lastLook = now;
    return look;
  }

  /** The next snapshot is to look, whenever it comes. */
  lookNext(): void {
    this.#lastLook = Number.NEGATIVE_INFINITY;
  }

  /** A snapshot was taken. */
  taken(begin: number, end: number): void {
    // One that took long may only have been interrupted: it counts when the next ones do so too.
    this.#cost = Math.min(end - begin, 2 * this.#cost + 0.5);
    this.#next = end + Math.max(this.#pause(end - this.#start), this.#cost * snapshotPause);
  }

  /** Milliseconds between two snapshots after a run of so many. */
  #pause(elapsed: number): number {
    const interval = this.#interval;
    if (interval === Number.POSITIVE_INFINITY) return interval;
    return Math.min(interval, Math.max(firstSnapshotInterval, elapsed * snapshotGrowth));
  }
}
