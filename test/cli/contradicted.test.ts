// Functions that look like an allocator, also when they are tried out, of which only the run shows that they are none.
// Runs dist/, so build first.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, describe, test } from "node:test";
import { stripped } from "../../scripts/strip-matrix/variants.js";
import { analyze } from "../../src/analyze/analyze.js";
import { readProfileFile } from "../../src/profile/file.js";
import { textReport } from "../../src/report/text.js";
import { decodeModule } from "../../src/wasm/module.js";
import { Sandbox } from "../attach/run-program.js";
import { assemble } from "../instrument/support.js";
import { heapOfListsText, release } from "../support/heap-of-lists.js";

const sandbox = new Sandbox();
after(() => sandbox.remove());
afterEach(() => sandbox.clear());

/** Exports are numbered: 0 the memory, 1 a node with a text, 2 what drops it, 3 a text, then what is added. */
async function reportOf(added: string, program: string, options: string[] = []) {
  const text = heapOfListsText({ release }).replace(/\)\s*$/, `${added})`);
  writeFileSync(join(sandbox.folder, "lists.wasm"), stripped(decodeModule(assemble(text))));
  const script = sandbox.write(
    "program.mjs",
    `import { readFileSync } from "node:fs";
const { instance } = await WebAssembly.instantiate(readFileSync("lists.wasm"));
const [, node, drop, text, added] = Object.values(instance.exports);
${program}`,
  );
  const { code, stderr } = await sandbox.linmem(["run", "-q", ...options, script]);
  assert.equal(code, 0, stderr);
  const [profile] = sandbox.profiles();
  const report = analyze(await readProfileFile(join(sandbox.folder, profile!)));
  const module = report.modules.find(({ name }) => /lists/.test(name)) ?? report.modules[0]!;
  return { module, report, text: textReport(report) };
}

const nodes = "for (let i = 0; i < 200; i++) { const made = node(); if (i % 2) drop(made); }";

describe("an allocator that was found by trying out", () => {
  test("is believed where the run agrees", async () => {
    const { module, text } = await reportOf("", nodes);
    assert.deepEqual(
      module.allocator.map(({ role }) => role),
      ["malloc", "free"],
    );
    assert.equal(module.heap?.liveBlocks, 200);
    assert.doesNotMatch(text, /did not behave/);
  });

  const impostors = [
    [
      "gives blocks out again that nobody released",
      '(func (export "forget") (global.set $top (i32.const 4096)))',
      `for (let i = 0; i < 20; i++) { ${nodes} added(); }`,
      /blocks \d+ given out again without having been released/,
    ],
    [
      "releases what it never gave",
      '(func (export "release") (param i32) (call $release (local.get 0)))',
      `${nodes} for (let i = 0; i < 20; i++) { const made = node(); added(made + 8); }`,
      /blocks \d+ released without having been allocated/,
    ],
    [
      "gives blocks that lie in others",
      '(func (export "shift") (global.set $top (i32.sub (global.get $top) (i32.const 24000))))',
      "for (let i = 0; i < 200; i++) { node(); added(); }",
      /\d+ in one another/,
    ],
  ] as const;
  for (const [what, added, program, said] of impostors) {
    test(`is dropped where it ${what}, and the report says so`, async () => {
      const { module, report, text } = await reportOf(added, program);
      assert.deepEqual([module.allocator, module.heap, module.contexts], [[], undefined, []]);
      assert.match(module.reason!, said);
      assert.match(text.replaceAll(/\s+/g, " "), /what looked like its allocator .* did not behave so/);
      assert.deepEqual(
        report.findings.filter(({ kind }) => kind === "leak" || kind === "churn"),
        [],
      );
    });
  }

  test("stays where the user named it", async () => {
    const [, added, program] = impostors[0];
    const { module } = await reportOf(added, program, ["--allocator", "malloc=0,free=1"]);
    assert.deepEqual(
      module.allocator.map(({ role, evidence }) => [role, evidence]),
      [
        ["malloc", "--allocator"],
        ["free", "--allocator"],
      ],
    );
    assert.ok(module.heap!.missedFrees > 0);
  });
});
