// Each example leaks on purpose: `linmem run` has to name the line that makes what is never released, and the
// example has to print what it prints alone. Runs dist/, so build first.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import type { Report } from "../src/analyze/report.js";
import { linmem } from "./attach/run-program.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const profiles = mkdtempSync(join(tmpdir(), "linmem-examples-"));
after(() => rmSync(profiles, { recursive: true, force: true }));

/** What is forgotten in each example: the function, and the source of the line that makes it. */
const forgotten: Record<string, { function: string; line: string }> = {
  "rust-debug": { function: "parse", line: "return note_new(" },
  thumbnails: { function: "thumbnail", line: "const badge = new Resvg(svg, {" },
};

/** Shown by docs/cli.md, whose test runs it under `linmem check`. */
const checked = ["memory-errors"];

/** Examples of the library, which do what they should: memory/examples.test.ts. */
const library = ["c-image-filter", "particles", "plugin-host", "rust-strings"];

function node(...args: string[]) {
  const { NODE_OPTIONS, NODE_TEST_CONTEXT, FORCE_COLOR, COLUMNS, ...env } = process.env;
  return spawnSync(process.execPath, args, { cwd: root, env, encoding: "utf8" });
}

describe("examples", () => {
  test("all are known here", () => {
    const folders = readdirSync(join(root, "examples"), { withFileTypes: true });
    assert.deepEqual(
      folders.filter((entry) => entry.isDirectory()).map(({ name }) => name),
      [...library, ...checked, ...Object.keys(forgotten), "vitest"].sort(),
    );
  });

  for (const [name, expected] of Object.entries(forgotten)) {
    const script = `examples/${name}/app.mjs`;
    const lines = readFileSync(join(root, script), "utf8").split("\n");
    const line = lines.findIndex((text) => text.includes(expected.line)) + 1;
    const profile = join(profiles, `${name}.linmem`);

    test(`${name}: the summary names the line, and the output is its own`, () => {
      const alone = node(script);
      const profiled = node(linmem, "run", "--out", profile, script);
      assert.equal(alone.status, 0, alone.stderr);
      assert.deepEqual([profiled.stdout, profiled.status], [alone.stdout, alone.status], profiled.stderr);
      const first = profiled.stderr.split("\n").find((text) => text.includes(" % "));
      assert.match(first ?? profiled.stderr, new RegExp(` ${expected.function} +${script}:${line}$`));
    });

    test(`${name}: so does the report`, () => {
      const text = node(linmem, "report", profile);
      assert.equal(text.status, 0, text.stderr);
      assert.ok(text.stdout.includes(`> ${expected.function} `), text.stdout);
      // whether it is a leak takes more snapshots than the shorter of these runs may have; the first finding has the line
      const named = `Diagnosis\\n[^\\n]+\\n +${expected.function} +${script}:${line}\\n`;
      assert.match(text.stdout, new RegExp(named));
      const json = node(linmem, "report", "--format", "json", profile);
      const [module] = (JSON.parse(json.stdout) as Report).modules;
      const [caller] = module.callers;
      assert.deepEqual([caller.frame?.function, caller.frame?.line], [expected.function, line]);
      assert.ok(caller.liveBytes >= 0.95 * module.heap!.liveBytes);
    });
  }

  const vitest = (name: string) =>
    node("node_modules/vitest/vitest.mjs", "run", "--root", "examples/vitest", name);

  test("vitest: the test of what leaks fails, with its line", () => {
    const source = readFileSync(join(root, "examples/vitest/leaky.ts"), "utf8").split("\n");
    const line = source.findIndex((text) => text.includes("new Resvg")) + 1;
    const { status, stdout, stderr } = vitest("leaky");
    const output = stripVTControlCharacters(stdout + stderr);
    assert.equal(status, 1, output);
    assert.match(output, /LeakError: toNotLeak: \S+ (?:Ki)?B in \d+ blocks more live after each run/);
    assert.match(output, new RegExp(`^ +thumbnail +examples/vitest/leaky\\.ts:${line}:17$`, "m"));
    // Vitest shows the source there.
    assert.match(output, new RegExp(`❯ thumbnail leaky\\.ts:${line}:17`));
  });

  test("vitest: mended, it passes", () => {
    const { status, stdout, stderr } = vitest("mended");
    assert.equal(status, 0, stdout + stderr);
    assert.match(stripVTControlCharacters(stdout), /Tests +1 passed/);
  });
});
