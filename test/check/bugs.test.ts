// The bug suite: each case makes one error and is found by its kind; its clean twin makes none and nothing is found. Both ways
// of checking find the same.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { bugModules, kindOf, knownMissed, runCase } from "../support/bug-suite.js";
import { waysToCheck } from "../support/checking.js";

for (const module of bugModules) {
  const { file, cases } = module;
  describe(file, () => {
    assert.ok(cases.length > 5, "the module has its cases");
    for (const name of cases) {
      test(name, () => {
        const results = waysToCheck.map(({ name: way, inline }) => {
          const clean = runCase(module, name, { inline, bad: false });
          assert.deepEqual([clean.found, clean.trap], [[], undefined], `its clean twin, by ${way}`);
          return runCase(module, name, { inline, bad: true });
        });
        const [{ kinds, found, trap }] = results as [(typeof results)[0]];
        for (const other of results) assert.deepEqual(other.found, found);
        if (knownMissed[file]?.[name] !== undefined) {
          assert.deepEqual(found, []);
          return;
        }
        const kind = kindOf(name);
        assert.equal(kinds[0], kind, found.join("; "));
        const traps = kind === "out-of-bounds" || kind === "stack-overflow";
        assert.ok(trap === undefined || (traps && trap instanceof WebAssembly.RuntimeError), String(trap));
      });
    }
  });
}
