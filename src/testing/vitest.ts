/**
 * For `setupFiles` of a Vitest configuration: attaches linmem before a test file imports anything, and adds
 * matchers to its `expect`.
 */
import { expect } from "vitest";
import "./index.js";
import type { LinmemMatchers } from "./matcher-types.js";
import { matchers } from "./matchers.js";

expect.extend(matchers);

declare module "vitest" {
  // biome-ignore lint/suspicious/noExplicitAny: has to repeat the declaration that it adds to.
  interface Matchers<T = any> extends LinmemMatchers {}
}
