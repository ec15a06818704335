// What every handle has in common: it owns something that has to be given back, exactly once.
import { DoubleReleaseError, ReleasedError } from "../errors.js";
import { unwatch, watch } from "./development.js";
import { dispose } from "./dispose.js";

const live = 0;
/** By `release()`. */
const released = 1;
/** By `using` or a scope. */
const disposed = 2;
/** Given to the module, which releases it. */
const given = 3;
/** Its arena took the memory back. */
const swept = 4;

const past = ["live", "released", "released", "given to the module", "gone: its arena was reset"];

/**
 * A handle of something in a linear memory that must be released. `using` releases it at the end of the block, a
 * `Scope` at its own end, `release()` now. The collector never does.
 *
 * An early `release()` of a handle that `using` or a scope also holds is fine. Every other second release throws
 * `DoubleReleaseError`, every use afterwards `ReleasedError`, and both name the handle.
 */
export abstract class Owned implements Disposable {
  // Plain properties, not `#private`: see views.ts.
  private state = live;

  /** The handle in words, for errors: "string block of 12 bytes at 0x1040". */
  abstract get name(): string;

  /** Gives back what the handle owns. Called once. */
  protected abstract free(): void;

  /** To be called at the end of constructors, when `name` is known. */
  protected begin(): void {
    watch(this);
  }

  /** False until it is released or given away. */
  get released(): boolean {
    return this.state !== live;
  }

  /**
   * Gives back what the handle owns, now.
   * @throws DoubleReleaseError when that has happened already
   */
  release(): void {
    if (this.state !== live) throw new DoubleReleaseError(this.name, this.fate);
    this.end(released);
  }

  /** For `using` and scopes. After `release()`, `give()` or a reset of its arena it does nothing. */
  [dispose](): void {
    if (this.state === disposed) throw new DoubleReleaseError(this.name, this.fate);
    if (this.state === live) this.end(disposed);
    else this.state = disposed;
  }

  private end(state: number): void {
    // First: when freeing fails, trying again would only do more harm.
    this.state = state;
    unwatch(this);
    this.free();
  }

  /** What became of it, in words. */
  protected get fate(): string {
    return past[this.state];
  }

  /** Ends ownership without freeing: somebody else does it now. */
  protected disown(): void {
    this.use();
    this.state = given;
    unwatch(this);
  }

  /** Ends ownership because the memory is gone; false when it had ended before. */
  protected sweep(): boolean {
    if (this.state !== live) return false;
    this.state = swept;
    unwatch(this);
    return true;
  }

  /** Throws ReleasedError unless the handle is live. */
  protected use(): void {
    if (this.state !== live) throw new ReleasedError(this.name, this.fate);
  }
}
