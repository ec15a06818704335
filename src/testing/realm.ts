/**
 * What CommonJS gets: index.cts and jest.cts load this with Node's own `require`. Jest gives every test file a
 * realm and a module system of its own, which takes no ES modules unless told to; linmem stays outside of them
 * and is attached to the realm from there. All test files of a process share what it instrumented.
 */
import { testSession } from "../attach/node/test-session.js";

export { LeakError, LinmemError, UsageError } from "../errors.js";
export { expectNoLeaks } from "./core.js";
export { matchers } from "./matchers.js";
export { measureMemory } from "./measure.js";

/** @param realm Global object of the realm that runs the tests. */
export function attach(realm: typeof globalThis): void {
  testSession(realm);
}
