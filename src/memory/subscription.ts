import { dispose } from "./dispose.js";

/** A listener that listens until it is disposed of: by `dispose()`, or by `using` at the end of the block. */
export interface Subscription {
  /** Ends it. A second time does nothing. */
  dispose(): void;
  /** For `using`: the same. */
  [Symbol.dispose](): void;
}

/** A subscription that ends with `end`. */
export function subscription(end: () => void): Subscription {
  return { dispose: end, [dispose]: end };
}
