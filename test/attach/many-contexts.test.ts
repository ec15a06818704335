// A program with more calling contexts than there is time to look at. Runs dist/, so build first.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { analyze } from "../../src/analyze/analyze.js";
import { readProfileFile } from "../../src/profile/file.js";
import { assemble } from "../instrument/support.js";
import { ofType, Sandbox } from "./run-program.js";

const sandbox = new Sandbox();
after(() => sandbox.remove());

const depth = 16;
const blocksOfTree = 2 ** (depth + 1) - 1;

/** Each node of a binary tree of calls has a context of its own, and makes a block of 8 bytes. */
const tree = `(module
  (memory (export "memory") 40)
  (global $top (mut i32) (i32.const 1024))
  (func $malloc (export "malloc") (param $size i32) (result i32)
    global.get $top
    (global.set $top (i32.add (global.get $top) (local.get $size))))
  (func (export "free") (param i32))
  (func $tree (export "tree") (param $depth i32)
    (drop (call $malloc (i32.const 8)))
    (if (local.get $depth) (then
      (call $tree (i32.sub (local.get $depth) (i32.const 1)))
      (call $tree (i32.sub (local.get $depth) (i32.const 1)))))))`;

test("beyond the time for contexts all is counted, callers are known, and contexts are looked at later or listed", async () => {
  writeFileSync(join(sandbox.folder, "tree.wasm"), assemble(tree));
  const script = sandbox.write(
    "tree.mjs",
    `import { readFileSync } from "node:fs";
const { instance } = await WebAssembly.instantiate(readFileSync("tree.wasm"));
function plant(above) { if (above === 0) instance.exports.tree(${depth}); else plant(above - 1); }
for (let tree = 0; tree < 2; tree++) plant(100);`,
  );
  const { code, stderr } = await sandbox.linmem(["run", ...["--out", "tree.linmem"], script]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /no time was left to look at the calls in wasm behind \d+\s+calling contexts/);

  const records = sandbox.records("tree.linmem");
  const stacks = new Map<number, number[]>();
  for (const { id, stack } of ofType(records, "context")) {
    stacks.set(id, [...(stacks.get(id) ?? []), stack]);
  }
  const seenLater = [...stacks.values()].filter(([first, ...later]) => first === 0 && later.length > 0);
  assert.ok(seenLater.length > 0, "some are looked at in a later allocation");
  assert.ok(seenLater.every(([, ...later]) => later.length === 1 && later[0] > 0));
  const callerOf = new Map(ofType(records, "context").map(({ id, caller }) => [id, caller]));
  // one record for each context; that with id 0 takes what comes beyond the bound of contexts
  const isUnknown = (id: number) => id > 0 && stacks.get(id)!.at(-1) === 0 && callerOf.get(id) === 0;
  const unknown = [...stacks.keys()].filter(isUnknown).length;
  const { message } = ofType(records, "warning").find(({ code }) => code === "contexts-not-captured")!;
  assert.equal(Number(/\d+/.exec(message)), unknown);
  assert.ok(unknown > 0 && unknown < blocksOfTree);

  const { modules } = analyze(await readProfileFile(join(sandbox.folder, "tree.linmem")));
  const { heap, callers } = modules[0];
  assert.equal(heap!.allocations, 2 * blocksOfTree);
  assert.equal(heap!.liveBytes, 2 * blocksOfTree * 8);
  const known = callers.filter(({ frame }) => frame?.function === "plant");
  assert.equal(
    known.reduce((sum, { liveBytes }) => sum + liveBytes, 0),
    2 * blocksOfTree * 8,
  );
});
