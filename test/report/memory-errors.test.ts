// What `linmem check` says before its findings.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Report } from "../../src/analyze/report.js";
import { checkText } from "../../src/report/memory-errors.js";

test("what is not checked is said once, however many threads have the module", () => {
  const modules = [1, 2, 3].map((id) => ({ id, name: id < 3 ? "core" : "other" }));
  const warnings = modules.map(({ id }) => ({
    code: "not-checked",
    message: "nothing of it is checked: its memory is shared between threads",
    module: id,
  }));
  const report = { run: { complete: true }, modules, warnings, memoryErrors: [] } as unknown as Report;
  assert.equal(
    checkText(report, { width: 100 }),
    `linmem: no memory errors
  core: nothing of it is checked: its memory is shared between threads
  other: nothing of it is checked: its memory is shared between threads
`,
  );
});
