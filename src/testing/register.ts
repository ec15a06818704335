/** Attaches linmem before anything else runs: `node --import linmem/testing/register --test`. */
import { testSession } from "../attach/node/test-session.js";

testSession(globalThis);
