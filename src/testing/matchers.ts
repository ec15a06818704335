/** Matchers for `expect` of Vitest and Jest, which agree on how they are written. */
import { countOf, formatBytes } from "../report/format.js";
import { leakVerdict } from "./core.js";
import { measureMemory } from "./measure.js";
import type { ByteSize, LeakOptions, Measured } from "./options.js";
import { checkMeasured, parseBytes } from "./options.js";

interface MatcherResult {
  pass: boolean;
  message(): string;
}

export const matchers = {
  async toNotLeak(
    this: { isNot?: boolean },
    received: unknown,
    options?: LeakOptions,
  ): Promise<MatcherResult> {
    const { failure } = await leakVerdict("toNotLeak", received, options);
    // Thrown rather than returned: its stack leads to the line that leaks, not to the one that expects.
    if (failure && !this.isNot) throw failure;
    return {
      pass: failure === undefined,
      message: () => "toNotLeak: no memory grew with every run, and it was expected to",
    };
  },

  async toStayWithin(received: unknown, limit: ByteSize): Promise<MatcherResult> {
    const most = parseBytes(limit, "toStayWithin");
    const { peakBytes, allocatedBytes, allocatedBlocks, grownPages } = await measureMemory(
      checkMeasured(received, "toStayWithin") as Measured,
    );
    // Of a module that can't be recorded the growth is all there is.
    const bytes = allocatedBlocks > 0 ? peakBytes : grownPages * 65536;
    const what =
      allocatedBlocks > 0
        ? `a peak of ${formatBytes(bytes)} live, of ${formatBytes(allocatedBytes)} allocated in ${countOf(allocatedBlocks, "block")}`
        : `growth by ${countOf(grownPages, "page")} (${formatBytes(bytes)})`;
    const pass = bytes <= most;
    return {
      pass,
      message: () =>
        `toStayWithin: ${what}; ${pass ? "expected more than" : "allowed are"} ${formatBytes(most)}`,
    };
  },
};
