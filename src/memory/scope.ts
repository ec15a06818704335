// Many handles, one end.
import { DoubleReleaseError, ReleasedError } from "../errors.js";
import { dispose } from "./dispose.js";

/** Memory that can go back to a moment: an `Arena`. */
export interface MarkedMemory<Mark> {
  /** This moment. */
  mark(): Mark;
  /** Takes back everything since then. */
  reset(mark: Mark): void;
}

/**
 * Owns handles and releases them together, the last one first: at the end of the block with `using`, at the end of
 * `Scope.run`, or with `release()`. An exception on the way doesn't stop it, neither one that passes nor one of a
 * handle that can't be released.
 *
 * A scope on an arena also takes back everything that was allocated there since it began, when its handles are released:
 * nothing of it has to be added. Such scopes end in the reverse order of their beginnings.
 */
export class Scope implements Disposable {
  private items: Disposable[] | undefined = [];
  private ended = false;

  /** @param arena goes back to this moment when the scope ends */
  constructor(arena?: MarkedMemory<unknown>) {
    if (arena === undefined) return;
    const mark = arena.mark();
    this.defer(() => arena.reset(mark));
  }

  /** Number of handles that it holds; the arena below it counts as one. */
  get size(): number {
    return this.items?.length ?? 0;
  }

  /** Takes ownership of `handle`, and returns it. */
  add<T extends Disposable>(handle: T): T {
    if (typeof handle?.[dispose] !== "function") {
      throw new TypeError("a scope takes handles: objects with a method [Symbol.dispose]");
    }
    this.open().push(handle);
    return handle;
  }

  /** Takes ownership of any value: `release(value)` is called at the end. Returns the value. */
  adopt<T>(value: T, release: (value: T) => void): T {
    this.open().push({ [dispose]: () => release(value) });
    return value;
  }

  /** Calls `last` at the end. */
  defer(last: () => void): void {
    this.open().push({ [dispose]: last });
  }

  /** Gives up ownership of `handle`: whoever asks for it has to release it. Returns it. */
  keep<T extends Disposable>(handle: T): T {
    const items = this.open();
    const index = items.lastIndexOf(handle);
    if (index < 0) throw new ReleasedError("a handle", "not in this scope");
    items.splice(index, 1);
    return handle;
  }

  /** Moves everything into a new scope, and ends this one without releasing anything. */
  move(): Scope {
    const scope = new Scope();
    scope.items = this.open();
    this.items = undefined;
    return scope;
  }

  /**
   * Releases everything it holds, the last one first.
   * @throws what a handle threw; a second and third error as `SuppressedError` around the ones before
   * @throws DoubleReleaseError when it was released before
   */
  release(): void {
    if (this.items === undefined) throw new DoubleReleaseError("scope", "released");
    this.end();
  }

  /** For `using`. After `release()` or `move()` it does nothing. */
  [dispose](): void {
    if (this.ended) throw new DoubleReleaseError("scope", "released");
    this.ended = true;
    if (this.items !== undefined) this.end();
  }

  private end(): void {
    const { items } = this;
    this.items = undefined;
    let failed = false;
    let failure: unknown;
    for (const item of items!.reverse()) {
      try {
        item[dispose]();
      } catch (error) {
        failure = failed ? suppressed(error, failure) : error;
        failed = true;
      }
    }
    if (failed) throw failure;
  }

  private open(): Disposable[] {
    if (this.items === undefined) throw new ReleasedError("scope", "released");
    return this.items;
  }

  /**
   * Calls `work` with a new scope that ends when `work` does. Of an async `work`, when its promise settles. For code
   * that has no `using`.
   *
   * @param arena that the scope is to sit on
   */
  static run<T>(work: (scope: Scope) => T, arena?: MarkedMemory<unknown>): T {
    const scope = new Scope(arena);
    let result: T;
    try {
      result = work(scope);
    } catch (error) {
      throw scope.failWith(error);
    }
    if (typeof (result as PromiseLike<unknown> | undefined)?.then !== "function") {
      scope[dispose]();
      return result;
    }
    return Promise.resolve(result).then(
      (value) => {
        scope[dispose]();
        return value;
      },
      (error: unknown) => {
        throw scope.failWith(error);
      },
    ) as T;
  }

  /** Ends because of `error`; returns what to throw. */
  private failWith(error: unknown): unknown {
    try {
      this[dispose]();
      return error;
    } catch (second) {
      return suppressed(second, error);
    }
  }
}

type SuppressedErrorClass = new (error: unknown, suppressed: unknown, message?: string) => Error;

/** `SuppressedError`, or an error of the same shape where the engine has none (Node 20 and 22). */
function suppressed(error: unknown, before: unknown): Error {
  const message = "an error was suppressed while handles were released";
  const engines = (globalThis as { SuppressedError?: SuppressedErrorClass }).SuppressedError;
  if (engines) return new engines(error, before, message);
  return Object.assign(new Error(message), { name: "SuppressedError", error, suppressed: before });
}
