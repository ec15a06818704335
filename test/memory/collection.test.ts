// What keeps a memory alive, with a collector that runs when it is told to; and what liveMemories() says of it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { withTypeScript } from "../support/typescript.js";

interface Outcome {
  report: Record<string, { live: number; pages: number; instances: number; madeAt: string }>;
  most: number;
  left: number;
}

let outcome: Outcome;

before(() => {
  const program = fileURLToPath(new URL("./collection-program.ts", import.meta.url));
  const { stdout, stderr, status } = spawnSync(process.execPath, ["--expose-gc", withTypeScript, program], {
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  outcome = JSON.parse(stdout);
});

const frees = [
  "nothing",
  "nothing, after use",
  "nothing, with a listener that holds the memory",
  "nothing, shared",
  "nothing, made here",
  "the budget",
  "the list of live memories",
  "an error with its stack read",
  "a copy",
];
const keeps = [
  "the LinearMemory",
  "the WebAssembly.Memory",
  "the instance",
  "an export",
  "a view",
  "a view of a part",
  "a view made by hand",
  "a view of a memory made here",
  "a view of a shared memory",
  "a closure",
  "a subscription",
];

for (const name of frees) {
  test(`who holds ${name} lets the collector free the memory and its instance`, () => {
    const { live, instances } = outcome.report[name] ?? assert.fail();
    assert.deepEqual({ live, instances }, { live: 0, instances: 0 });
  });
}

for (const name of keeps) {
  test(`who holds ${name} keeps the memory, and liveMemories() says so`, () => {
    const { live, pages, madeAt } = outcome.report[name] ?? assert.fail();
    assert.deepEqual({ live, pages }, { live: 1, pages: 4 });
    assert.match(madeAt.split("\n")[0] ?? "", /collection-program\.ts/, "where it was made");
  });
}

test("every way was tried", () => {
  assert.deepEqual(Object.keys(outcome.report).sort(), [...frees, ...keeps].sort());
});

test("memories that are dropped go while the program runs", () => {
  assert.equal(outcome.left, 0);
  assert.ok(outcome.most < 100, `${outcome.most} were alive at once`);
});
