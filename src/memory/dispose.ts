/** The key of the method that `using` calls, also in engines that lack it. */
export const dispose: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for("Symbol.dispose");
