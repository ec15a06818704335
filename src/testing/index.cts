// `require("linmem/testing")`: the same as importing it.
import type * as Testing from "./index.js" with { "resolution-mode": "import" };

import realm = require("./outside.cjs");

const { LeakError, LinmemError, UsageError, expectNoLeaks, measureMemory } = realm;
const testing: typeof Testing = { LeakError, LinmemError, UsageError, expectNoLeaks, measureMemory };
export = testing;
