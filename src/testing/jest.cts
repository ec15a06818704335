// For `setupFilesAfterEnv` of a Jest configuration: attaches linmem before a test file loads anything, and adds
// matchers to its `expect`.
import type { LinmemMatchers } from "./matcher-types.js" with { "resolution-mode": "import" };

import realm = require("./outside.cjs");

// Jest itself answers this, whether or not its globals are there.
const { expect } = require("@jest/globals") as { expect: { extend(matchers: object): void } };
expect.extend(realm.matchers);

declare global {
  namespace jest {
    // biome-ignore lint/complexity/noBannedTypes: repeats the declaration that it adds to.
    interface Matchers<R, T = {}> extends LinmemMatchers {}
  }
}
