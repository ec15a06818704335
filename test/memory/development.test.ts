// Development mode with a forced collector, each way in a process of its own.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { withTypeScript } from "../support/typescript.js";

const script = fileURLToPath(new URL("support/unreleased.ts", import.meta.url));

interface Outcome {
  reports: { handle: string; stack: string }[];
  live: { blocks: number; bytes: number };
  stderr: string;
}

function run(way: string, ...more: string[]): Outcome {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ["--expose-gc", withTypeScript, script, way, ...more],
    { encoding: "utf8" },
  );
  assert.equal(status, 0, stderr);
  return { ...JSON.parse(stdout), stderr };
}

test("a handle that is collected unreleased is reported with the stack that made it", () => {
  const { reports, live } = run("forgotten");
  assert.equal(reports.length, 1);
  assert.match(reports[0].handle, /^string block of 9 bytes at 0x/);
  const [first] = reports[0].stack.split("\n");
  assert.match(first, /forgetText .*unreleased\.ts/);
  // The collector releases nothing.
  assert.deepEqual(live, { blocks: 1, bytes: 10 });
});

test("without a listener it is a warning", () => {
  const { reports, stderr } = run("forgotten", "warn");
  assert.equal(reports.length, 0);
  assert.match(
    stderr,
    /linmem: string block of 9 bytes at 0x\w+ was garbage-collected without being released/,
  );
  assert.match(stderr, /forgetText/);
});

test("handles that were released, given away or are still held are not reported", () => {
  assert.deepEqual(run("released").reports, []);
  assert.deepEqual(run("released").live, { blocks: 0, bytes: 0 });
  assert.deepEqual(run("held").reports, []);
});

test("handles of a scope that is lost are reported", () => {
  assert.match(run("lost with its scope").reports[0].handle, /^array block \(3 f32\) of 12 bytes/);
});

test("only handles made in development mode are reported, as long as it lasts", () => {
  assert.deepEqual(run("off again").reports, []);
  assert.deepEqual(run("made before").reports, []);
});
