// The examples of the library print what they promise, and leave nothing behind. Runs dist/, so build first.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { linmem } from "../attach/run-program.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const profiles = mkdtempSync(join(tmpdir(), "linmem-library-examples-"));
after(() => rmSync(profiles, { recursive: true, force: true }));

function run(...args: string[]) {
  const { NODE_OPTIONS, NODE_TEST_CONTEXT, FORCE_COLOR, COLUMNS, ...env } = process.env;
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { cwd: root, env, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return { stdout, stderr };
}

const example = (name: string, ...args: string[]) =>
  run("--import=tsx", `examples/${name}/app.ts`, ...args).stdout;

test("rust-strings: text and a struct in, a struct out, everything released", () => {
  assert.equal(
    example("rust-strings"),
    [
      "12 words, 9 different, longest 6, average 3.9: The quick brown fox jumps over the lazy dog. The dog sleeps.",
      "10 words, 10 different, longest 10, average 5.4: Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
      "4 words, 3 different, longest 7, average 4.3: Портной шил, шил — и сшил.",
      "blocks still owned here: 0",
      "",
    ].join("\n"),
  );
});

test("rust-strings: linmem run shows the forgotten release, and nothing where there is none", () => {
  const script = "examples/rust-strings/app.ts";
  const profile = (name: string) => join(profiles, `${name}.linmem`);
  const profiled = (name: string, ...args: string[]) =>
    run(linmem, "run", "--out", profile(name), "--import=tsx", script, ...args);
  const lines = readFileSync(join(root, script), "utf8").split("\n");
  const line = lines.findIndex((text) => text.includes("const stats = analyze(")) + 1;
  const { stdout, stderr } = profiled("forgotten", "--forget");
  assert.equal(stdout, example("rust-strings"));
  assert.match(stderr, /KiB live in 1,503 blocks at the end/);
  assert.match(stderr, new RegExp(`100 % +1,503 +forgetfulStatistics +${script}:${line}\n`));
  assert.doesNotMatch(profiled("released").stderr, /statistics/i);
});

test("c-image-filter: pixels go in and out, the result is a struct", () => {
  const lines = example("c-image-filter").trimEnd().split("\n");
  assert.equal(lines.length, 22);
  assert.match(lines[4], /^ +#+ +$/);
  assert.match(lines[14], /-\+\*\*#+\*\*\+-/);
  assert.deepEqual(lines.slice(20), [
    "brightness 71.7 on average; 505 92 64 60 56 183 0 0",
    "blocks still owned here: 0",
  ]);
});

test("particles: a heap for a kernel without one, compacted as it runs", () => {
  const lines = example("particles").trimEnd().split("\n");
  const sky = lines.slice(0, 20);
  assert.ok(sky.every((line) => /^[ .:*#@]{0,64}$/.test(line)) && sky.join("").includes("@"), sky.join("\n"));
  const [rockets, blocks, owned] = lines.slice(20);
  assert.match(rockets, /^303 rockets, \d+ of them still burning with \d{4,} particles$/);
  assert.match(blocks, /^\d+ blocks, which take 1\.0[0-5] times their size; any were moved: true$/);
  assert.equal(owned, "blocks still owned here: 0");
});

test("plugin-host: a greedy and a broken plugin hurt nobody", () => {
  assert.equal(
    example("plugin-host"),
    `polite says: hello, Ada
greedy says: hello, Grace
greedy was refused memory 1 time(s): it has 4 of 4 pages
greedy took 3 more pages
broken trapped: memory access out of bounds
the host stopped: out of bounds: 78 bytes at 0x0 of a region of 0x40 bytes
polite says: hello, Barbara
polite was visited 2 times and still has 1 pages
isolated instance of at most 4 pages was used, but it is released
`,
  );
});
