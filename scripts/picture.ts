// Draws the pictures of the documentation from real runs of the examples: docs/report.svg, the report as a terminal
// shows it, and views of the HTML report as Chromium shows them. Run it from the repository's root, so that paths are
// relative: npm run picture
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { chromiumPath } from "../test/support/chromium.js";
import { terminalPicture } from "./terminal-picture.js";

const columns = 100;
const mostLines = 36;
const example = "examples/thumbnails/app.mjs";
const target = "docs/report.svg";
const views = [
  { view: "flame", example: "examples/rust-debug/app.mjs", target: "docs/flame-graph.png", height: 650 },
  { view: "map", example, target: "docs/heap-map.png", height: 1000 },
];

const failing = { target: "docs/failing-test.svg", folder: "examples/vitest", columns: 90 };

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
  writeFileSync(failing.target, failingTest());
  for (const view of views) await viewPicture(view);
} finally {
  rmSync(folder, { recursive: true });
}

/** What Vitest prints of the example that leaks. */
function failingTest(): string {
  const command = ["vitest", "run", "--root", failing.folder, "leaky"];
  const { status, stdout, stderr } = spawnSync("npx", command, {
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: undefined, FORCE_COLOR: "1", COLUMNS: String(failing.columns) },
  });
  if (status !== 1) throw new Error(`the test that leaks ended with ${status}: ${stdout}${stderr}`);
  const printed = `${stdout}\n${stderr}`.split("\n");
  const begin = printed.findIndex((line) => line.includes("LeakError"));
  const length = printed.slice(begin).findIndex((line) => line.includes("⎯⎯⎯⎯"));
  if (begin < 0 || length < 0) throw new Error(`no LeakError in ${stdout}${stderr}`);
  const shown = printed
    .slice(begin, begin + length)
    .join("\n")
    .trimEnd()
    .split("\n");
  const lines = [`\u001b[1m$\u001b[22m npx ${command.join(" ")}`, ...shown];
  const title = "A test that fails: how much more is live after each run, and the line that made it";
  return terminalPicture(lines, { columns: failing.columns, title });
}

async function viewPicture({ view, example, target, height }: (typeof views)[number]): Promise<void> {
  const [profile, page] = [join(folder, `${view}.linmem`), join(folder, `${view}.html`)];
  linmem("run", "--quiet", "--out", profile, example);
  linmem("report", profile, "--format", "html", "--out", page);
  const executablePath = chromiumPath();
  if (executablePath === undefined) throw new Error("no Chromium found: apt-get install chromium");
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    const shown = await browser.newPage({ viewport: { width: 1000, height } });
    await shown.goto(`${pathToFileURL(page)}#${view}`);
    await shown.waitForSelector("html[data-ready]");
    await shown.waitForTimeout(500);
    await shown.screenshot({ path: target });
  } finally {
    await browser.close();
  }
}

function linmem(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["dist/cli/main.js", ...args], {
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "", FORCE_COLOR: "1", COLUMNS: String(columns) },
  });
  if (status !== 0) throw new Error(`linmem ${args[0]} ended with ${status}: ${stderr}`);
  return stdout;
}
