// The blocks that a run leaves in its profile, and what leads to them. Runs dist/, so build first.
import assert from "node:assert/strict";
import { after, afterEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { decodeBlocks, reach } from "../../src/profile/blocks.js";
import { readProfileFile } from "../../src/profile/file.js";
import { Sandbox } from "./run-program.js";

const sandbox = new Sandbox();
after(() => sandbox.remove());
afterEach(() => sandbox.clear());

const fixture = (name: string) =>
  JSON.stringify(fileURLToPath(new URL(`../fixtures/causes/${name}.wasm`, import.meta.url)));

/** Flags and sizes of the blocks at the end of a program that has the causes' exports as `c`. */
async function run(layout: string, source: string): Promise<string[]> {
  const program = `import { readFileSync } from "node:fs";
let called = () => {};
const c = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(${fixture(layout)})), { env: { call: () => called() } }).exports;
${source}`;
  const { code, stderr } = await sandbox.linmem([
    "run",
    "-q",
    "-o",
    "p.linmem",
    sandbox.write("p.mjs", program),
  ]);
  assert.equal(code, 0, stderr);
  const profile = await readProfileFile(`${sandbox.folder}/p.linmem`);
  assert.equal(profile.damagedLines, 0);
  const [memory] = profile.memories.values();
  const { count, sizes, flags, contexts, lost } = decodeBlocks(memory!.blocks);
  assert.equal(lost, 0);
  assert.equal(count, memory!.heap!.liveBlocks);
  assert.equal(memory!.layouts.length, 1);
  for (const context of contexts) assert.ok(memory!.contexts.get(context));
  const names = Object.entries(reach);
  return Array.from(
    flags,
    (flag, i) => `${sizes[i]} ${names.find(([, value]) => value === flag)![0]}`,
  ).sort();
}

for (const layout of ["stack-first", "no-stack-first"]) {
  describe(`blocks at the end, ${layout}`, () => {
    test("are told apart by what leads to them", async () => {
      const found = await run(
        layout,
        `c._initialize();
c.keep(96); c.keep(196);
c.cache(0, 296); c.cache(0, 300); c.cache(3, 396);
c.make(496); c.release(c.make(500));
c.make_chain(3, 596);
c.forget_ring(696);`,
      );
      assert.deepEqual(found, [
        "100 referenced",
        "200 referenced",
        "304 referenced",
        "400 referenced",
        "500 unreferenced",
        "600 fromUnreferenced",
        "600 fromUnreferenced",
        "600 unreferenced",
        "700 fromUnreferenced",
        "700 unreferenced",
      ]);
    });

    test("are not examined when wasm is running at the end", async () => {
      const found = await run(layout, "c.keep(96); called = () => process.exit(0); c.outside();");
      assert.deepEqual(found, ["100 notExamined"]);
    });
  });
}

test("every instance has its own", async () => {
  const program = `import { readFileSync } from "node:fs";
const module = new WebAssembly.Module(readFileSync(${fixture("stack-first")}));
globalThis.all = [96, 196].map((size) => {
  const { exports } = new WebAssembly.Instance(module, { env: { call() {} } });
  exports.keep(size);
  return exports;
});`;
  await sandbox.linmem(["run", "-q", "-o", "p.linmem", sandbox.write("p.mjs", program)]);
  const profile = await readProfileFile(`${sandbox.folder}/p.linmem`);
  assert.deepEqual(
    [...profile.memories.values()].map((memory) => [...decodeBlocks(memory.blocks).sizes]),
    [[100], [200]],
  );
});

test("snapshots come fast at the beginning, also in a program that never returns to its event loop", async () => {
  const program = `import { readFileSync } from "node:fs";
const c = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(${fixture("stack-first")})), { env: { call() {} } }).exports;
for (const end = performance.now() + 400; performance.now() < end; ) c.make(16);`;
  await sandbox.linmem(["run", "-q", "-o", "p.linmem", sandbox.write("p.mjs", program)]);
  const profile = await readProfileFile(`${sandbox.folder}/p.linmem`);
  const [memory] = profile.memories.values();
  assert.ok(memory!.timeline.length >= 4, `${memory!.timeline.length} snapshots`);
  const live = memory!.timeline.map(({ liveBytes }) => liveBytes!);
  assert.deepEqual(
    live,
    [...live].sort((a, b) => a - b),
  );
  const history = [...memory!.contexts.values()].map(({ history }) => history.length / 4);
  assert.ok(Math.max(...history) >= 3);
});
