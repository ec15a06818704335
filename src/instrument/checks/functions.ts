/** What a checked module imports from the checker (src/check/), beside its shadow memory. */
import { valueType } from "../../wasm/types.js";

const { i32, i64 } = valueType;

export const checkerFunctions = {
  /** (address) → shadow of its 8 bytes; for engines that have one memory only */
  checkPeek: { params: [i32], results: [i32] },
  /** (address) → shadow of its 16 bytes */
  checkPeek2: { params: [i32], results: [i32] },
  /** (address, size, 1 for a write, site, context): what it was told may not be all right */
  checkAccess: { params: [i32, i32, i32, i32, i64], results: [] },
  /** (stack pointer, site, context) */
  checkStack: { params: [i32, i32, i64], results: [] },
  /** (address, size, bytes added, context) */
  checkAllocated: { params: [i32, i32, i32, i64], results: [] },
  /** (address, number of the function, its first four arguments, context) → whether that is all for now */
  checkRelease: { params: [i32, i32, i32, i32, i32, i32, i64], results: [i32] },
  /** (address, context) → whether it must not be released at all */
  checkReleaseNow: { params: [i32, i64], results: [i32] },
  /** () → number of the function to call for a block whose time has come, plus 1; or 0 */
  checkEvict: { params: [], results: [i32] },
  checkEvictAll: { params: [], results: [i32] },
  /** (index) → what to call it with */
  checkArgument: { params: [i32], results: [i32] },
  /** (address, size, 2 for a release or 3 for a change, whether it must be right, context) → what to say */
  checkSized: { params: [i32, i32, i32, i32, i64], results: [i32] },
  /** (address, context) */
  checkResize: { params: [i32, i64], results: [] },
  /** (old address, new address, size, bytes added, context) */
  checkResized: { params: [i32, i32, i32, i32, i64], results: [] },
} as const;

export type CheckerFunction = keyof typeof checkerFunctions;

/** Those that an access is checked with. */
export const accessFunctions: readonly CheckerFunction[] = [
  "checkPeek",
  "checkPeek2",
  "checkAccess",
  "checkStack",
];

/** Those that hooks call. */
export const blockFunctions: readonly CheckerFunction[] = [
  "checkAllocated",
  "checkRelease",
  "checkReleaseNow",
  "checkEvict",
  "checkEvictAll",
  "checkArgument",
  "checkSized",
  "checkResize",
  "checkResized",
];
