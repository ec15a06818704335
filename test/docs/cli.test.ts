// docs/cli.md shows what the commands really print: every block that begins with `$ linmem` is run, and has to
// give the same lines but for figures, which differ from run to run. Runs dist/, so build first.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { linmem } from "../attach/run-program.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
// What the commands write belongs elsewhere than in the repository.
const folder = mkdtempSync(join(tmpdir(), "linmem-docs-"));
cpSync(join(root, "examples"), join(folder, "examples"), { recursive: true });
symlinkSync(join(root, "node_modules"), join(folder, "node_modules"), "junction");
after(() => rmSync(folder, { recursive: true, force: true }));

function run(args: readonly string[]): string {
  const { NODE_OPTIONS, NODE_TEST_CONTEXT, FORCE_COLOR, ...rest } = process.env;
  const { stdout, stderr } = spawnSync(process.execPath, [linmem, ...args], {
    cwd: folder,
    env: { ...rest, COLUMNS: "100" },
    encoding: "utf8",
  });
  return stdout + stderr;
}

/** A line without what differs from run to run: figures and the room they take, charts, the platform. */
function mask(line: string): string {
  return line
    .replace(/\bnode \S*main\.js report/, "linmem report")
    .replace(/, \w+ \w+, ran .* exit/, ", PLATFORM, ran TIME, exit")
    .replaceAll(/\d+(?:[.,]\d+)* (?:ms|s)\b/g, "TIME")
    .replaceAll(/\d+(?:[.,]\d+)*/g, "N")
    .replaceAll(/[▁▂▃▄▅▆▇█]+/g, "CHART")
    .replaceAll(/ +/g, " ");
}

/** Whether the lines are those expected, where `…` stands for any number of lines. */
function matches(lines: readonly string[], expected: readonly string[]): boolean {
  const [first, ...rest] = expected;
  if (first === undefined) return lines.length === 0;
  if (first === "…") return lines.some((_, i) => matches(lines.slice(i), rest)) || rest.length === 0;
  return lines.length > 0 && lines[0] === first && matches(lines.slice(1), rest);
}

describe("docs/cli.md", () => {
  const text = readFileSync(join(root, "docs/cli.md"), "utf8");
  const blocks = [...text.matchAll(/^```\n\$ linmem (.*)\n([\s\S]*?)^```$/gm)];

  test("shows every command at work", () => {
    const commands = new Set(blocks.map(([, command]) => command.split(" ")[0]));
    assert.deepEqual([...commands].sort(), [
      "check",
      "diff",
      "inspect",
      "instrument",
      "report",
      "run",
      "table",
    ]);
  });

  for (const [, command, output] of blocks) {
    test(`linmem ${command}`, () => {
      const printed = run(command.split(" ")).trimEnd().split("\n").map(mask);
      const expected = output.trimEnd().split("\n").map(mask);
      if (!matches(printed, expected)) assert.deepEqual(printed, expected);
    });
  }

  test("the README shows the same report of a Rust debug build", () => {
    const readme = readFileSync(join(root, "README.md"), "utf8");
    const shown = /^\$ linmem report debug\.linmem\n([\s\S]*?)^```$/m;
    assert.equal(shown.exec(readme)?.[1], shown.exec(text)?.[1]);
    assert.match(shown.exec(readme)?.[1] ?? "", /notes\.rs:\d+:\d+/);
  });

  test("names every option", () => {
    for (const name of ["run", "check", "report", "table", "diff", "inspect", "instrument"]) {
      const section = text.split(/^## /m).find((part) => part.startsWith(`linmem ${name}\n`)) ?? "";
      const options = run([name, "--help"]).matchAll(/^ {2}(-[^ ].*?) {2,}/gm);
      for (const [, option] of options) {
        if (option !== "-h, --help") assert.ok(section.includes(`| \`${option}\` |`), `${name} ${option}`);
      }
    }
  });
});
