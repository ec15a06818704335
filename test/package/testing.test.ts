// linmem/testing as its users have it: installed in node_modules, in the real test runners, with real packages.
// Reads dist/, so build first (`npm test` does).
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "linmem-testing-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const heap = JSON.stringify(readFileSync(join(root, "test/fixtures/heaps/c.wasm"), "base64"));

/** A package with glue that compiles its module when it is loaded, as wasm-bindgen writes it for Node. */
const glue = `
const bytes = Buffer.from(${heap}, "base64");
const { exports: wasm } = new WebAssembly.Instance(new WebAssembly.Module(bytes), {});
wasm._initialize();
class Point {
  constructor(x, y) { this.address = wasm.make_point(x, y); }
  free() { wasm.free(this.address); }
}
module.exports = { Point };
`;

/** A program in TypeScript, whose lines are not those of what runs. */
const program = `
type Shape = { x: number };

interface Drawing {
  shapes: Shape[];
}

import { Point } from "points";

export function good(): void {
  const point: { free(): void } = new Point(1, 2);
  point.free();
}

export function bad(drawing?: Drawing): void {
  new Point(1, 2); // leaks
}
`;
const leakLine = program.split("\n").findIndex((line) => line.includes("// leaks")) + 1;

function run(args: string[], env: NodeJS.ProcessEnv = {}): Promise<{ code: number; output: string }> {
  const { NODE_OPTIONS, NODE_TEST_CONTEXT, FORCE_COLOR, ...rest } = process.env;
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: folder, env: { ...rest, ...env } }, (error, stdout, stderr) => {
      const output = stripVTControlCharacters(stdout + stderr);
      resolve({ code: error ? Number(error.code) : 0, output });
    });
  });
}

const vitest = ["node_modules/vitest/vitest.mjs", "run"];
const jest = ["node_modules/jest/bin/jest.js"];

/** That the tests of a run came out as they should, and the leak is told with its line. */
function assertLeakTold({ code, output }: { code: number; output: string }, line: RegExp): void {
  assert.equal(code, 1, output);
  assert.match(output, /LeakError\]?: (?:expectNoLeaks|toNotLeak): 28 B in 1 block more live after each run/);
  assert.match(output, line);
}

before(() => {
  const installed = join(folder, "node_modules");
  mkdirSync(join(installed, "points"), { recursive: true });
  mkdirSync(join(installed, "linmem"));
  cpSync(join(root, "dist"), join(installed, "linmem/dist"), { recursive: true });
  cpSync(join(root, "package.json"), join(installed, "linmem/package.json"));
  for (const name of ["vitest", "jest", "gecko-profiler-demangle"]) {
    symlinkSync(join(root, "node_modules", name), join(installed, name), "junction");
  }
  writeFileSync(join(installed, "points/package.json"), '{ "name": "points", "main": "points.js" }');
  writeFileSync(join(installed, "points/points.js"), glue);
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }');
  writeFileSync(join(folder, "program.ts"), program);
});

describe("Vitest", () => {
  before(() => {
    writeFileSync(
      join(folder, "vitest.config.mjs"),
      'export default { test: { setupFiles: ["linmem/testing/vitest"], include: ["*.vitest.ts"], testTimeout: 60_000 } };',
    );
    writeFileSync(
      join(folder, "points.vitest.ts"),
      `import { expect, test } from "vitest";
import { expectNoLeaks, measureMemory } from "linmem/testing";
import { bad, good } from "./program.js";

test("good", async () => {
  await expectNoLeaks(good);
  await expect(good).toNotLeak();
  await expect(good).toStayWithin("28 B");
  await expect(bad).not.toNotLeak();
  await expect(bad).toNotLeak({ allow: /bad/ });
  const { result, ...measured } = await measureMemory(good);
  expect(measured).toEqual({
    peakBytes: 28, allocatedBytes: 28, allocatedBlocks: 1, grownPages: 0, liveBytes: 0, liveBlocks: 0,
  });
});
test("bad function", () => expectNoLeaks(() => bad()));
test("bad matcher", () => expect(() => bad()).toNotLeak());
test("too much", () => expect(good).toStayWithin("27 B"));
`,
    );
  });

  for (const options of ["--pool=forks", "--pool=threads", "--pool=vmThreads", "--pool=forks --no-isolate"]) {
    test(options, async () => {
      const ended = await run([...vitest, ...options.split(" ")]);
      assertLeakTold(ended, new RegExp(`made by\n +bad +program\\.ts:${leakLine}:3\n`));
      assert.match(ended.output, new RegExp(`❯ bad program\\.ts:${leakLine}:3`));
      assert.match(ended.output, /toStayWithin: a peak of 28 B live, .*; allowed are 27 B/);
      assert.match(ended.output, /Tests +3 failed \| 1 passed/);
      for (const name of ["bad function", "bad matcher", "too much"]) {
        assert.ok(ended.output.includes(`× ${name}`), ended.output);
      }
    });
  }
});

describe("Jest", () => {
  const commonjs = `
const { Point } = require("points");

function good() {
  new Point(1, 2).free();
}

function bad() {
  new Point(1, 2); // leaks
}
module.exports = { good, bad };
`;
  const leakInJavaScript = commonjs.split("\n").findIndex((line) => line.includes("// leaks")) + 1;
  const tests = `
test("good", async () => {
  await expectNoLeaks(good);
  await expect(good).toNotLeak();
  await expect(good).toStayWithin("28 B");
  await expect(bad).not.toNotLeak();
  expect((await measureMemory(good)).peakBytes).toBe(28);
});
test("bad function", () => expectNoLeaks(() => bad()));
test("bad matcher", () => expect(() => bad()).toNotLeak());
test("too much", () => expect(good).toStayWithin("27 B"));
`;
  before(() => {
    writeFileSync(
      join(folder, "jest.config.json"),
      JSON.stringify({
        setupFilesAfterEnv: ["linmem/testing/jest"],
        testMatch: ["**/*.jest.cjs", "**/*.jest.mjs"],
        transform: {},
        watchman: false,
        testTimeout: 60_000,
      }),
    );
    writeFileSync(join(folder, "program.cjs"), commonjs);
    writeFileSync(
      join(folder, "points.jest.cjs"),
      `const { expectNoLeaks, measureMemory } = require("linmem/testing");
const { bad, good } = require("./program.cjs");${tests}`,
    );
    writeFileSync(
      join(folder, "points.jest.mjs"),
      `import { expect, test } from "@jest/globals";
import { expectNoLeaks, measureMemory } from "linmem/testing";
import program from "./program.cjs";
const { bad, good } = program;${tests}`,
    );
  });

  for (const [name, args] of [
    ["CommonJS", [...jest, "points.jest.cjs"]],
    ["ES modules", ["--experimental-vm-modules", ...jest, "points.jest.mjs"]],
  ] as const) {
    test(name, async () => {
      const ended = await run([...args, "--config", "jest.config.json"]);
      assertLeakTold(ended, new RegExp(`made by\n +bad +program\\.cjs:${leakInJavaScript}:3\n`));
      assert.match(ended.output, /toStayWithin: a peak of 28 B live, .*; allowed are 27 B/);
      assert.match(ended.output, /Tests: +3 failed, 1 passed/);
    });
  }
});

describe("node:test", () => {
  const line = /made by\n +bad +points\.\w+\.[cm]js:\d+:\d+\n/;
  const body = `
const bad = () => { new Point(1, 2); };
test("good", () => expectNoLeaks(() => { new Point(1, 2).free(); }));
test("bad", () => expectNoLeaks(bad));
`;

  test("imported before the package", async () => {
    writeFileSync(
      join(folder, "points.first.mjs"),
      `import { test } from "node:test";
import { expectNoLeaks } from "linmem/testing";
import { Point } from "points";${body}`,
    );
    const ended = await run(["--test", "--test-reporter=spec", "points.first.mjs"]);
    assertLeakTold(ended, line);
    assert.match(ended.output, /pass 1\n.*fail 1\n/s);
  });

  test("imported after it, with --import", async () => {
    writeFileSync(
      join(folder, "points.late.mjs"),
      `import { Point } from "points";
import { test } from "node:test";
import { expectNoLeaks } from "linmem/testing";${body}`,
    );
    assertLeakTold(
      await run(["--import", "linmem/testing/register", "--test", "--test-reporter=spec", "points.late.mjs"]),
      line,
    );
  });

  test("imported after it, without: one line says what could not be seen", async () => {
    const { code, output } = await run(["--test", "--test-reporter=spec", "points.late.mjs"]);
    assert.equal(code, 0, output);
    const said = output.split("\n").filter((text) => text.includes("allocated nothing that linmem sees"));
    assert.equal(said.length, 1, output);
    assert.match(said[0]!, /load linmem first: import "linmem\/testing" before the package/);
  });

  test("required", async () => {
    writeFileSync(
      join(folder, "points.required.cjs"),
      `const { test } = require("node:test");
const { expectNoLeaks } = require("linmem/testing");
const { Point } = require("points");${body}`,
    );
    const ended = await run(["--test", "--test-reporter=spec", "points.required.cjs"]);
    assertLeakTold(ended, line);
    assert.doesNotMatch(ended.output, /ExperimentalWarning/);
  });

  test("a module that the test sends to a worker thread links there", async () => {
    writeFileSync(
      join(folder, "points.worker.mjs"),
      `import "linmem/testing";
import { Worker } from "node:worker_threads";
const module = new WebAssembly.Module(Buffer.from(${heap}, "base64"));
const worker = new Worker(
  \`const { parentPort, workerData } = require("node:worker_threads");
  const { exports } = new WebAssembly.Instance(workerData, {});
  exports._initialize();
  parentPort.postMessage([exports.malloc(8) > 0, process.execArgv.length]);\`,
  { eval: true, workerData: module },
);
worker.on("message", (message) => console.log(JSON.stringify(message)));
`,
    );
    const { code, output } = await run(["points.worker.mjs"]);
    assert.deepEqual([code, output], [0, "[true,0]\n"]);
  });

  test("under linmem run, which records it as well", async () => {
    const cli = join(root, "dist/cli/main.js");
    const ended = await run([cli, "run", "--out", "run.linmem", "points.first.mjs"]);
    assert.match(ended.output, /LeakError/);
    assert.match(ended.output, /^linmem: .* live in \d+ blocks? at the end/m);
  });
});

test("the answers do not vary: a share of npm run repeat:leaks", async () => {
  const { code, output } = await run([join(root, "scripts/repeat-leaks.mjs"), "12"]);
  assert.equal(code, 0, output);
  assert.match(output, /^12 clean and 12 leaking tests, 0 wrong answers/);
});
