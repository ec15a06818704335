// Draws docs/report.svg: the report on the example, as a terminal shows it. Run it from the repository's root, so
// that paths are relative: npm run picture
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { terminalPicture } from "./terminal-picture.js";

const columns = 100;
const mostLines = 36;
const example = "examples/thumbnails/app.mjs";
const target = "docs/report.svg";

const folder = mkdtempSync(join(tmpdir(), "linmem-picture-"));
try {
  const profile = join(folder, "app.linmem");
  linmem("run", "--quiet", "--out", profile, example);
  const report = linmem("report", profile).trimEnd().split("\n");
  // The picture ends between two paragraphs.
  const shown = report.slice(0, report.lastIndexOf("", mostLines));
  const lines = ["\u001b[1m$\u001b[22m linmem report app.linmem", ...shown, "", "\u001b[2m…\u001b[22m"];
  const title = `linmem report on ${example}`;
  writeFileSync(target, terminalPicture(lines, { columns, title }));
} finally {
  rmSync(folder, { recursive: true });
}

function linmem(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["dist/cli/main.js", ...args], {
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "", FORCE_COLOR: "1", COLUMNS: String(columns) },
  });
  if (status !== 0) throw new Error(`linmem ${args[0]} ended with ${status}: ${stderr}`);
  return stdout;
}
