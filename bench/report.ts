// How large HTML reports get and how fast they are: 100,000 contexts and a million live blocks, in Chromium.
//
//   npm run bench:report
//
// Writes the table under "HTML reports" in bench/RESULTS.md.
import { spawnSync } from "node:child_process";
import { createWriteStream, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { pathToFileURL } from "node:url";
import { chromium, type Page } from "playwright-core";
import { chromiumPath } from "../test/support/chromium.js";
import { syntheticProfile } from "../test/support/synthetic-profile.js";
import { circumstances, writeResults } from "./results.js";

/** What was measured, and what it may be. */
const rows: [what: string, figure: string, goal: string][] = [];
const rounds = 7;
const frames = 90;
const megabyte = 1e6;

const folder = mkdtempSync(join(tmpdir(), "linmem-bench-"));
try {
  const profile = join(folder, "large.linmem");
  const report = join(folder, "large.html");
  const lines = syntheticProfile({ contexts: 100_000, blocks: 1_000_000, snapshots: 20 });
  await pipeline(Readable.from(lines), createWriteStream(profile));
  const begin = performance.now();
  const args = ["dist/cli/main.js", "report", profile, "--format", "html", "--out", report];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  print("profile", `${(statSync(profile).size / megabyte).toFixed(1)} MB`);
  print("report", `${(statSync(report).size / megabyte).toFixed(1)} MB`, "25 MB");
  print("made in", `${((performance.now() - begin) / 1000).toFixed(1)} s`);
  await inBrowser(report);
  writeResults(
    "html-reports",
    `A made-up profile of 100,000 contexts, 1,000,000 live blocks and 20 snapshots, in Chromium. ${circumstances("npm run bench:report")}

| What | | Goal |
|---|---:|---:|
${rows.map((row) => `| ${row.join(" | ")} |`).join("\n")}`,
  );
} finally {
  rmSync(folder, { recursive: true });
}

async function inBrowser(report: string): Promise<void> {
  const executablePath = chromiumPath();
  if (executablePath === undefined) throw new Error("no Chromium found: apt-get install chromium");
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    const opened: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
      await page.goto(`${pathToFileURL(report)}#flame`);
      await page.waitForSelector("html[data-ready]");
      // From the begin of the navigation to the first frame after the page was put together.
      opened.push(
        await page.evaluate(
          () => new Promise<number>((r) => requestAnimationFrame(() => r(performance.now()))),
        ),
      );
      await page.close();
    }
    print(`opens in, median of ${rounds}`, `${median(opened).toFixed(0)} ms`, "2000 ms");
    const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
    for (const [view, canvas] of [
      ["flame", ".scroller canvas"],
      ["map", ".map canvas + canvas"],
    ] as const) {
      await page.goto(`${pathToFileURL(report)}#${view}`);
      await page.reload();
      await page.waitForSelector("html[data-ready]");
      await page.waitForTimeout(500);
      for (const action of ["zoom", "hover"] as const) {
        print(`${view}, ${action}`, await rate(page, canvas, action), "30 frames/s");
      }
    }
  } finally {
    await browser.close();
  }
}

/** Frames a second, and the longest time between two, with an event before each frame. */
async function rate(page: Page, canvas: string, action: "zoom" | "hover"): Promise<string> {
  const times = await page.evaluate(
    async ({ canvas, action, frames }) => {
      const element = document.querySelector(canvas)!;
      const { left, top, width, height } = element.getBoundingClientRect();
      const times: number[] = [];
      for (let i = 0; i < frames; i++) {
        const part = (i % 30) / 30;
        const place = {
          clientX: left + width * (0.2 + 0.6 * part),
          clientY: top + height * (0.1 + 0.8 * part),
        };
        const more = { bubbles: true, cancelable: true, ctrlKey: true, deltaY: i % 30 < 15 ? -40 : 40 };
        element.dispatchEvent(
          action === "zoom"
            ? new WheelEvent("wheel", { ...place, ...more })
            : new PointerEvent("pointermove", { ...place, bubbles: true }),
        );
        times.push(await new Promise(requestAnimationFrame));
      }
      return times;
    },
    { canvas, action, frames },
  );
  const gaps = times.slice(1).map((time, i) => time - times[i]!);
  const all = times.at(-1)! - times[0]!;
  return `${((1000 * gaps.length) / all).toFixed(0)} frames/s, longest ${Math.max(...gaps).toFixed(0)} ms`;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

function print(what: string, figure: string, goal = ""): void {
  rows.push([what, figure, goal]);
  process.stdout.write(`${what.padEnd(24)}  ${figure}\n`);
}
