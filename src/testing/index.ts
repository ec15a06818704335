/**
 * Tests that fail when a WebAssembly module leaks. Importing this attaches linmem to the thread: modules that are
 * compiled from then on are recorded.
 */
import { testSession } from "../attach/node/test-session.js";

testSession(globalThis);

export { LeakError, LinmemError, UsageError } from "../errors.js";
export { expectNoLeaks } from "./core.js";
export { type MemoryMeasurement, measureMemory } from "./measure.js";
export type { ByteSize, LeakOptions, Measured } from "./options.js";
