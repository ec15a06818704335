// What `npm run full` remembers, and what it chooses to run. The jobs themselves take too long for a test.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { chooseJobs, listJobs } from "../../scripts/full/jobs.js";
import { type Result, withResult } from "../../scripts/full/page.js";

const names = ["Tests, Node 20", "Tests, Node 24", "Corpus"];

function result(name: string, more: Partial<Result> = {}): Result {
  return {
    name,
    outcome: "passed",
    date: new Date("2026-11-30T06:00:00Z"),
    minutes: 8,
    commit: "222d1f0",
    node: "24.21.0",
    command: "npx -y node@24 scripts/test.mjs",
    said: ["ℹ tests 900", "ℹ pass 900"],
    ...more,
  };
}

describe("the page of full runs", () => {
  test("says what was run, when and how it went, and what was not run yet", () => {
    const page = withResult("", names, result("Tests, Node 24"));
    const [, ...sections] = page.split(/^## /m);
    assert.deepEqual(sections, [
      "Tests, Node 20\n\nNot run yet.\n\n",
      "Tests, Node 24\n\n" +
        "Passed in 8 min; 2026-11-30; commit 222d1f0; Node 24.21.0; `npx -y node@24 scripts/test.mjs`.\n\n" +
        "    ℹ tests 900\n    ℹ pass 900\n\n",
      "Corpus\n\nNot run yet.\n",
    ]);
  });

  test("a run replaces the section of its job alone, whatever the order of runs", () => {
    const runs = [
      result("Corpus", { said: ["## not a heading", "", "3 workloads"] }),
      result("Tests, Node 24"),
      result("Tests, Node 20", { node: "20.20.2" }),
    ];
    const page = runs.reduce((text, run) => withResult(text, names, run), "");
    const other = runs.toReversed().reduce((text, run) => withResult(text, names, run), "");
    assert.equal(page, other);
    const again = withResult(page, names, result("Tests, Node 24", { outcome: "failed", commit: "0fb6ac0" }));
    assert.equal(again, page.replace(/(?<=Node 24\n\n)Passed(.*)222d1f0/, "**Failed**$10fb6ac0"));
    assert.match(again, /\n {4}## not a heading\n {4}\n {4}3 workloads\n/);
  });

  test("tells what was stopped, and forgets jobs that there are no longer", () => {
    const page = withResult("", ["Tests, Node 18", ...names], result("Tests, Node 18"));
    const stopped = withResult(page, names, result("Corpus", { outcome: "stopped", said: [] }));
    assert.match(stopped, /## Corpus\n\n\*\*Stopped\*\* after 8 min; .*`\.\n$/);
    assert.doesNotMatch(stopped, /Node 18/);
  });
});

describe("the jobs of full runs", () => {
  const jobs = listJobs("example.linmem");
  const chosen = (...words: string[]) => chooseJobs(jobs, words).map(({ name }) => name);

  test("are all run unless some are named", () => {
    assert.deepEqual(
      chosen(),
      jobs.map(({ name }) => name),
    );
    assert.equal(new Set(chosen()).size, jobs.length);
  });

  test("are chosen by part, and within it by what is in their names", () => {
    assert.deepEqual(chosen("engines", "24"), [
      "Tests, Node 24",
      "Specification, Node 24",
      "Example, Node 24",
    ]);
    assert.deepEqual(chosen("engines", "24", "specification"), ["Specification, Node 24"]);
    assert.deepEqual(chosen("corpus"), ["Corpus"]);
    assert.deepEqual(chosen("corpus", "check", "suite"), ["Bug suite, Node 20", "Bug suite, Node 24"]);
    assert.deepEqual(chosen("enginse"), []);
  });
});
