/** What a checked module imports from the checker (src/check/), beside its shadow memory. */
import { valueType } from "../../wasm/types.js";

const { i32, i64 } = valueType;

export const checkerFunctions = {
  /** (address, offset) → shadow of its 8 bytes; for engines that have one memory only */
  checkPeek: { params: [i32, i32], results: [i32] },
  /** (address, offset) → shadow of its 16 bytes */
  checkPeek2: { params: [i32, i32], results: [i32] },
  /** (address, size) → whether all of it may be used */
  checkUsable: { params: [i32, i32], results: [i32] },
  /** (address, offset, size, 1 for a write, site, context): what it was told may not be all right */
  checkAccess: { params: [i32, i32, i32, i32, i32, i64], results: [] },
  /** (stack pointer, site, context) */
  checkStack: { params: [i32, i32, i64], results: [] },
  /** (address, size, bytes added, context) */
  checkAllocated: { params: [i32, i32, i32, i64], results: [] },
  /**
   * (address, number of the function, its first four arguments, context) → 0: go on; 1: done; else where to store the sum of how
   * many words, and whether `checkEvict` is due, as src/check/assembly/index.ts packs it
   */
  checkRelease: { params: [i32, i32, i32, i32, i32, i32, i64], results: [i64] },
  /** (where, sum), for engines that have one memory only */
  checkSummed: { params: [i32, i32], results: [] },
  /** (address, context) → whether it must not be released at all */
  checkReleaseNow: { params: [i32, i64], results: [i32] },
  /** () → a block whose time has come, as src/check/assembly/index.ts packs it; or 0 */
  checkEvict: { params: [], results: [i64] },
  checkEvictAll: { params: [], results: [i64] },
  /** (sum of its words) → the block after it */
  checkEvicted: { params: [i32], results: [i64] },
  /** (): the memory is full */
  checkPressure: { params: [], results: [] },
  /** (index) → what to call it with */
  checkArgument: { params: [i32], results: [i32] },
  /** (address, size, 2 for a release or 3 for a change, whether it must be right, context) → what to say */
  checkSized: { params: [i32, i32, i32, i32, i64], results: [i32] },
  /** (address, context) */
  checkResize: { params: [i32, i64], results: [] },
  /** (old address, new address, size, bytes added, context) */
  checkResized: { params: [i32, i32, i32, i32, i64], results: [] },
  /** (what JavaScript gets or gives) */
  checkExpose: { params: [i32], results: [] },
} as const;

export type CheckerFunction = keyof typeof checkerFunctions;

/** Those that an access is checked with. */
export const accessFunctions: readonly CheckerFunction[] = [
  "checkPeek",
  "checkPeek2",
  "checkUsable",
  "checkAccess",
  "checkStack",
];

/** Those that tell what JavaScript knows. */
export const exposureFunctions: readonly CheckerFunction[] = ["checkExpose"];

/** Those that hooks call, and what comes with blocks. */
export const blockFunctions: readonly CheckerFunction[] = [
  "checkAllocated",
  "checkRelease",
  "checkSummed",
  "checkReleaseNow",
  "checkEvict",
  "checkEvictAll",
  "checkEvicted",
  "checkPressure",
  "checkArgument",
  "checkSized",
  "checkResize",
  "checkResized",
  ...exposureFunctions,
];
