// Profiles that are damaged or written in bad faith, as pages in Chromium: each opens with its readable part, in every
// view, without an error and without running what it says. Those that can't be read are refused with one line.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { type Browser, chromium } from "playwright-core";
import { analyzeInDetail } from "../../src/analyze/details.js";
import { readProfile } from "../../src/profile/reader.js";
import { htmlReport } from "../../src/report/html/html.js";
import { textReport } from "../../src/report/text.js";
import { chromiumPath, noChromium } from "../support/chromium.js";
import { syntheticProfile } from "../support/synthetic-profile.js";

const lines = [...syntheticProfile({ contexts: 30, blocks: 300, snapshots: 5 })].map((line) =>
  line.trimEnd(),
);
const joined = (all: readonly (object | string)[]) =>
  all.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join("");
const edited = (change: (record: Record<string, unknown>) => unknown) =>
  joined(
    lines.map((line) => {
      const record = JSON.parse(line);
      change(record);
      return record;
    }),
  );
const find = (type: string) => JSON.parse(lines.findLast((line) => line.includes(`"type":"${type}"`))!);
const frame = { kind: "js", function: "f", file: "a.mjs", line: 1, column: 1 };
const markup = "</script><script>window.owned = 1</script><img src=x onerror='window.owned = 2'>";

/** What is wrong with a profile, its text, and what the page's summary must say of it. */
const readable: Record<string, { text: string; says?: RegExp }> = {
  "that is cut within a line": { text: joined(lines).slice(0, -400), says: /was killed, or still runs/ },
  "without its end": { text: joined(lines.slice(0, -1)), says: /was killed, or still runs/ },
  "with lines that are no JSON": {
    text: joined([...lines.slice(0, 5), "{{{", "\u0000\u0001", ...lines.slice(5)]),
    says: /2 lines of the profile could not be understood/,
  },
  "with NaN and Infinity": {
    text: joined([
      ...lines,
      JSON.stringify(find("snapshot")).replace(/"pages":\d+/, '"pages":NaN'),
      '{"type":"grow","memory":1,"time":1e999,"fromPages":1,"deltaPages":1,"granted":true,"stack":1}',
    ]),
    says: /2 lines of the profile could not be understood/,
  },
  "with negative sizes": {
    text: joined([...lines, { ...find("snapshot"), pages: -5 }, { ...find("blocks"), count: -1 }]),
    says: /2 lines of the profile could not be understood/,
  },
  "with figures beyond what is exact": {
    text: edited((record) => {
      if (record.type === "snapshot") for (const totals of record.contexts as number[][]) totals[4] = 2 ** 70;
    }),
  },
  "with markup for names": {
    text: edited((record) => {
      if (record.type === "module") Object.assign(record, { name: markup, toolchain: markup });
      if (record.type === "header") Object.assign(record, { argv: ["node", markup], platform: markup });
      if (record.type === "frame") Object.assign(record, { function: markup, file: markup });
    }),
  },
  "with __proto__ for names and keys": {
    text: edited((record) => {
      if (record.type === "module") record.name = "__proto__";
      if (record.type === "frame") Object.assign(record, { function: "constructor", file: "__proto__" });
    }).replace('{"type":"warning"', '{"__proto__":{"owned":1},"type":"warning"'),
  },
  "with a million frames on a stack": {
    text: joined([
      ...lines,
      { type: "frame", id: 9001, ...frame },
      { type: "stack", id: 2_000_000, parent: 0, frames: new Array(1_000_000).fill(9001) },
      { type: "context", id: 9001, memory: 1, stack: 1, caller: 2_000_000 },
      { type: "snapshot", time: 9000, memory: 1, pages: 99, contexts: [[9001, 1, 0, 5e6, 5e6, 5e6, 0]] },
    ]),
  },
  "with references to what is not there": {
    text: edited((record) => {
      if (record.type === "context") Object.assign(record, { stack: 777_777, caller: 888_888 });
    }),
  },
  "with blocks that are no blocks": {
    text: joined([...lines, { ...find("blocks"), data: "/////////w==", count: 2 ** 40 }]),
  },
  "with times that run backwards": {
    text: edited((record) => {
      if (record.type === "snapshot") record.time = 1e6 - (record.time as number);
    }),
  },
  "with records of a later linmem": {
    text: joined([...lines.slice(0, 3), { type: "teleport", to: markup }, ...lines.slice(3)]),
  },
};

const refused: Record<string, { text: string; message: RegExp }> = {
  "of a newer version": {
    text: edited((record) => record.type === "header" && (record.version = 99)),
    message: /version 99.*update linmem/,
  },
  "that is two": {
    text: joined([...lines, ...lines]),
    message: /holds two runs, the second from line \d+ on/,
  },
  "that is none": { text: "<html>", message: /is not a linmem profile: line 1/ },
  "that is empty": { text: "", message: /is empty/ },
};

for (const [what, { text, message }] of Object.entries(refused)) {
  test(`a profile ${what} is refused in one line`, () => {
    assert.throws(
      () => readProfile(text, "p.linmem"),
      (error: Error) => message.test(error.message) && !error.message.includes("\n"),
    );
  });
}

describe("in Chromium, a profile", { skip: noChromium }, () => {
  const folder = mkdtempSync(join(tmpdir(), "linmem-hostile-"));
  let browser: Browser | undefined;
  after(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const [what, { text, says = /Live at the end/ }] of Object.entries(readable)) {
    test(`${what} opens with what can be read of it`, async () => {
      const details = analyzeInDetail(readProfile(text));
      assert.doesNotMatch(textReport(details.report), /NaN|undefined|Infinity/);
      const path = join(folder, "page.html");
      writeFileSync(path, (await htmlReport([{ title: what, details }])).join(""));
      browser ??= await chromium.launch({ executablePath: chromiumPath(), args: ["--no-sandbox"] });
      const page = await browser.newPage();
      try {
        const problems: string[] = [];
        page.on("pageerror", (error) => problems.push(String(error.stack ?? error)));
        page.on("console", (message) => problems.push(message.text()));
        await page.goto(pathToFileURL(path).href);
        await page.waitForSelector("html[data-ready]");
        assert.match((await page.locator("main").textContent())!, says);
        for (const tab of await page.getByRole("tab").all()) {
          await tab.click();
          await page.evaluate(() => new Promise(requestAnimationFrame));
          const shown = (await page.locator("main").textContent())!;
          assert.doesNotMatch(shown, /NaN|undefined|Infinity/, (await tab.textContent())!);
          assert.equal(await page.locator("main :is(img, svg, script, a, iframe)").count(), 0);
        }
        const owned = await page.evaluate(() => [
          (window as { owned?: number }).owned,
          ({} as { owned?: number }).owned,
        ]);
        assert.deepEqual([owned, problems], [[undefined, undefined], []]);
      } finally {
        await page.close();
      }
    });
  }
});
