// The specification's tests, raw and instrumented: every outcome has to be the same.
import assert from "node:assert/strict";
import { test } from "node:test";
import { specDirectory } from "../support/shared.js";
import { compareScript, type Difference, emptyCounts } from "./compare.js";
import { describeCounts, describeDifference } from "./describe.js";
import { scriptsIn } from "./script.js";

const directory = specDirectory();

test("the specification's tests, raw and instrumented", {
  skip: !directory && "LINMEM_SPEC is not set",
}, (t) => {
  const counts = emptyCounts();
  const differences: Difference[] = [];
  for (const script of scriptsIn(directory as string)) differences.push(...compareScript(script, counts));

  for (const line of describeCounts(counts).split("\n")) t.diagnostic(line);
  assert.equal(differences.length, 0, differences.slice(0, 5).map(describeDifference).join("\n"));
  assert.ok(counts.assertions > 50_000, "the suite was not run");
  assert.ok(counts.unlikeSuite * 1000 < counts.assertions, "the runner reads the suite's scripts wrongly");
  const counted = [...counts.byTreatment.values()];
  assert.ok(
    counted.some(({ hooked, modules }) => hooked * 2 > modules),
    "hardly a module was hooked",
  );
  for (const { refused, modules } of counted) assert.ok(refused.size * 100 < modules, "modules were refused");
});
