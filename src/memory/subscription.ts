// What a listener gets back, and the key of `using` for all of the library.

/** `Symbol.dispose`, the key of the method that `using` calls; also for engines that lack it. */
export const dispose: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for("Symbol.dispose");

/** A listener that listens until it is disposed of: by `dispose()`, or by `using` at the end of the block. */
export interface Subscription {
  dispose(): void;
  [Symbol.dispose](): void;
}

/** A subscription that ends with `end`. */
export function subscription(end: () => void): Subscription {
  return { dispose: end, [dispose]: end };
}
