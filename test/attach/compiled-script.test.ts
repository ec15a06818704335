// What V8 compiled of a script is used by the next process, and never where it does not fit.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const built = fileURLToPath(new URL("../../dist/attach/node/compiled-script.cjs", import.meta.url));
let folder: string;
let cache: string;
let script: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "linmem compiled "));
  cache = join(folder, "cache");
  script = join(folder, "script.cjs");
  writeFileSync(script, `(function double(n) { return n * 2; })`);
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Runs the script in a process of its own that keeps what was compiled, and says what came out and was read. */
async function runInProcess(
  options: string[] = [],
  inBetween = "",
): Promise<{ answer: number; used: boolean }> {
  const { stdout } = await run(process.execPath, [
    ...options,
    "--eval",
    `const vm = require("node:vm");
     let used = false;
     vm.Script = class extends vm.Script {
       constructor(source, options) {
         super(source, options);
         used = options.cachedData !== undefined && !this.cachedDataRejected;
       }
     };
     const { runScript } = require(${JSON.stringify(built)});
     const { value, keep } = runScript(${JSON.stringify(script)}, ${JSON.stringify(cache)});
     const answer = value(21);
     ${inBetween}
     keep();
     console.log(JSON.stringify({ answer, used }));`,
  ]);
  return JSON.parse(stdout);
}

const kept = () => readdirSync(cache).map((name) => join(cache, name));

test("the first process keeps what it compiled, the next one uses it and leaves it as it is", async () => {
  assert.deepEqual(await runInProcess(), { answer: 42, used: false });
  const [file, ...others] = kept();
  assert.deepEqual(others, []);
  const { ino } = statSync(file);
  assert.deepEqual(await runInProcess(), { answer: 42, used: true });
  assert.deepEqual(kept(), [file]);
  assert.equal(statSync(file).ino, ino, "was not written again");
});

test("another script, also one of the same length, is compiled", async () => {
  await runInProcess();
  writeFileSync(script, `(function double(n) { return n * 3; })`);
  assert.deepEqual(await runInProcess(), { answer: 63, used: false });
  assert.deepEqual(await runInProcess(), { answer: 63, used: true });
});

test("a damaged or cut file is not used, and replaced", async () => {
  await runInProcess();
  const [file] = kept();
  const whole = readFileSync(file);
  for (let at = 0; at < whole.length; at += Math.ceil(whole.length / 8)) {
    const damaged = Buffer.from(whole);
    damaged[at] ^= 0x10;
    for (const content of [damaged, whole.subarray(0, at)]) {
      writeFileSync(file, content);
      assert.deepEqual(await runInProcess(), { answer: 42, used: false }, `at byte ${at}`);
      assert.deepEqual(await runInProcess(), { answer: 42, used: true }, `after byte ${at}`);
    }
  }
});

test("flags of V8 that change its code have a file of their own", async () => {
  await runInProcess();
  assert.deepEqual(await runInProcess(["--no-opt"]), { answer: 42, used: false });
  assert.deepEqual(await runInProcess(["--no-opt"]), { answer: 42, used: true });
  assert.deepEqual(await runInProcess(), { answer: 42, used: true });
  assert.equal(kept().length, 2);
});

test("nothing is kept by a program that has set flags since", async () => {
  await runInProcess([], `require("node:v8").setFlagsFromString("--no-opt");`);
  assert.throws(kept, { code: "ENOENT" });
});

test("where nobody can write the script runs all the same", async () => {
  writeFileSync(cache, "a file where the folder should be");
  assert.deepEqual(await runInProcess(), { answer: 42, used: false });
  rmSync(cache);
  mkdirSync(cache);
  chmodSync(cache, 0o555);
  const { answer } = await runInProcess();
  assert.equal(answer, 42);
});
