// The page as a browser shows it: opened from disk in Chromium and clicked through, and driven from a page around it in
// Firefox. It may load nothing, and nothing that a profile says may become markup or script.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import type { AxeResults } from "axe-core";
import { type Browser, chromium, type Page } from "playwright-core";
import type { Browser as FirefoxBrowser, Page as FirefoxPage } from "puppeteer-core";
import { analyzeInDetail } from "../../src/analyze/details.js";
import { readProfile } from "../../src/profile/reader.js";
import { htmlReport } from "../../src/report/html/html.js";
import { profileWith, wasmFrame } from "../report/exports/support.js";
import { chromiumPath, noChromium } from "../support/chromium.js";
import { launchFirefox, noFirefox } from "../support/firefox.js";
import { syntheticProfile } from "../support/synthetic-profile.js";

const folder = mkdtempSync(join(tmpdir(), "linmem-page-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const small = () => syntheticProfile({ contexts: 200, blocks: 3000, snapshots: 8 });
const smaller = () => syntheticProfile({ contexts: 200, blocks: 1000, snapshots: 8 });

/** Markup, script and addresses that would show that they were taken for more than text. */
const hostile = [
  "</script><script>window.owned = 1</script>",
  "<img src=x onerror='window.owned = 2'>",
  "javascript:window.owned=3",
  '"><svg onload="window.owned=4">',
  "--><!--<script>",
  "\u202egnp.exe",
  "__proto__",
  "{{7*7}}",
];

async function write(
  name: string,
  ...profiles: { title: string; text: string | Iterable<string> }[]
): Promise<string> {
  const pieces = await htmlReport(
    profiles.map(({ title, text }) => ({ title, details: analyzeInDetail(readProfile(text)) })),
    { directory: "/srv/app" },
  );
  writeFileSync(join(folder, name), pieces.join(""));
  return name;
}

let browser: Browser | undefined;
after(() => browser?.close());

/** Opens a report from disk. Fails when the page asks for anything else, or reports an error. */
async function open(name: string, view: string, check: (page: Page) => Promise<void>): Promise<void> {
  browser ??= await chromium.launch({ executablePath: chromiumPath(), args: ["--no-sandbox"] });
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  try {
    const address = pathToFileURL(join(folder, name)).href;
    const problems: string[] = [];
    page.on("request", (request) => {
      if (request.url().replace(/#.*/, "") !== address) problems.push(`asks for ${request.url()}`);
    });
    page.on("pageerror", (error) => problems.push(String(error.stack ?? error)));
    page.on("console", (message) => problems.push(message.text()));
    page.on("dialog", (dialog) => {
      problems.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    await page.goto(`${address}#${view}`);
    await page.waitForSelector("html[data-ready]");
    await check(page);
    assert.deepEqual(problems, []);
  } finally {
    await page.close();
  }
}

describe("the page in Chromium", { skip: noChromium }, () => {
  test("has a tab for each view, by mouse and by keyboard", async () => {
    await open(await write("small.html", { title: "app.linmem", text: small() }), "summary", async (page) => {
      assert.equal(await page.title(), "app.linmem - linmem");
      const tabs = await page.getByRole("tab").allTextContents();
      assert.deepEqual(tabs, ["Summary", "Flame graph", "Timeline", "Heap map", "Memories"]);
      for (const tab of tabs) {
        await page.getByRole("tab", { name: tab }).click();
        assert.equal(await page.getByRole("tabpanel", { name: tab }).count(), 1, tab);
      }
      await page.keyboard.press("Home");
      assert.equal(await page.evaluate(() => document.activeElement?.id), "tab-summary");
      await page.keyboard.press("ArrowRight");
      assert.equal(await page.getByRole("tab", { selected: true }).textContent(), "Flame graph");
    });
  });

  test("summary: who made most opens into stacks", async () => {
    await open("small.html", "summary", async (page) => {
      assert.match((await page.locator(".tiles").textContent())!, /3,000 blocks/);
      const [first] = await page.locator(".rows > li").all();
      await first!.locator("summary").first().click();
      await first!.locator("li summary").first().click();
      const frames = await first!.locator(".stack li").allTextContents();
      assert.match(frames[0]!, /^malloc app\.wasm:0x2000$/);
      assert.match(frames.at(-1)!, /^handle\d+ (src\/|lib\/)/);
    });
  });

  test("flame graph: keys walk, zoom and come back; a click does the same", async () => {
    await open("small.html", "flame", async (page) => {
      const about = page.locator(".about [role=status]");
      const all = (await about.textContent())!;
      assert.match(all, /^All: .*100 % of/);
      await page.locator(".scroller").focus();
      await page.keyboard.press("ArrowDown");
      const first = (await about.textContent())!;
      assert.match(first, /^handle\d+, /);
      await page.keyboard.press("ArrowDown");
      const second = (await about.textContent())!;
      await page.keyboard.press("ArrowRight");
      assert.notEqual(await about.textContent(), second);
      await page.keyboard.press("ArrowLeft");
      assert.equal(await about.textContent(), second);
      await page.keyboard.press("ArrowUp");
      assert.equal(await about.textContent(), first);
      await page.keyboard.press("Escape");
      assert.equal(await about.textContent(), all);
      await page.locator(".scroller canvas").click({ position: { x: 60, y: 30 } });
      assert.equal(await about.textContent(), first, "the largest is on the left");
      assert.match((await page.locator(".contexts h3").textContent())!, /^Through handle/);
    });
  });

  test("flame graph: figures, filters and marks", async () => {
    await open("small.html", "flame", async (page) => {
      const about = page.locator(".about [role=status]");
      const live = (await about.textContent())!;
      await page.locator(".filters select").first().selectOption("allocations");
      assert.match((await about.textContent())!, /of [\d,]+$/);
      await page.locator(".filters select").first().selectOption("live");
      await page.getByLabel("Only stacks with").fill("handle7");
      assert.notEqual(await about.textContent(), live);
      await page.getByRole("button", { name: "Clear filters" }).click();
      assert.equal(await about.textContent(), live);
      await page.getByLabel("Package").selectOption("lib");
      assert.notEqual(await about.textContent(), live);
      await page.getByRole("button", { name: "Clear filters" }).click();
      await page.locator("body").press("/");
      await page.keyboard.type("no such function");
      assert.match((await page.locator("output").textContent())!, /^Found in 0 B, 0 %/);
    });
  });

  test("flame graph: bottom-up begins with what called the allocator, and has the same sum", async () => {
    await open("small.html", "flame", async (page) => {
      const about = page.locator(".about [role=status]");
      const all = await about.textContent();
      await page.getByLabel("bottom-up").check();
      assert.equal(await about.textContent(), all);
      await page.locator(".scroller").focus();
      await page.keyboard.press("ArrowDown");
      const inner = (await about.textContent())!;
      assert.doesNotMatch(inner, /^malloc/);
      const title = (await page.locator(".contexts h3").textContent())!;
      assert.ok(title.startsWith(`Through ${inner.slice(0, inner.indexOf(","))}`), title);
      await page.locator(".contexts summary").first().click();
      const [allocator, called] = await page.locator(".contexts .stack li").allTextContents();
      assert.match(allocator!, /^malloc/);
      assert.ok(called!.startsWith(inner.slice(0, inner.indexOf(","))), called);
    });
  });

  test("a finding leads to the flame graph of its caller", async () => {
    const text = readFileSync(new URL("../fixtures/profiles/photon.linmem", import.meta.url), "utf8");
    const details = analyzeInDetail(readProfile(text));
    const stack = details.report.modules[0]!.contexts[0]!.stack;
    const caller = stack.find(({ kind }) => kind === "js")!;
    const finding = {
      kind: "leak",
      severity: "problem",
      title: "It leaks",
      evidence: [],
      advice: "Release it.",
      bytes: 1,
      module: details.report.modules[0]!.id,
      certainty: 1,
      caller,
      stack,
    } as const;
    details.report.findings = [{ ...finding, evidence: [], stack: [...stack] }];
    writeFileSync(join(folder, "finding.html"), (await htmlReport([{ title: "x", details }])).join(""));
    await open("finding.html", "summary", async (page) => {
      await page.getByRole("button", { name: /^Show in the flame graph ?: It leaks$/ }).click();
      assert.equal(await page.getByRole("tab", { selected: true }).textContent(), "Flame graph");
      assert.match(await page.getByLabel("Only stacks with").inputValue(), new RegExp(`:${caller.line}:?$`));
      await page.locator(".contexts summary").first().click();
      assert.match((await page.locator(".contexts .stack").textContent())!, new RegExp(`:${caller.line}\\b`));
    });
  });

  test("a run without memories says so, promises no brush, and has no empty tables", async () => {
    const text = readFileSync(new URL("../fixtures/profiles/no-wasm.linmem", import.meta.url), "utf8");
    await write("no-wasm.html", { title: "no-wasm.linmem", text });
    await open("no-wasm.html", "summary", async (page) => {
      for (const tab of ["Summary", "Timeline", "Heap map", "Memories"]) {
        await page.getByRole("tab", { name: tab }).click();
        const shown = (await page.locator("main").textContent())!;
        assert.match(shown, /No memory came to life in this run/, tab);
        assert.doesNotMatch(shown, /Drag over/);
        assert.equal(await page.locator("main thead").count(), 0);
      }
    });
  });

  test("timeline: the legend has the figures of the end", async () => {
    await open("small.html", "timeline", async (page) => {
      const legend = (await page.locator(".u-legend").textContent())!;
      assert.doesNotMatch(legend, /--/);
      const about = (await page.locator("figcaption").textContent())!;
      const live = /of which (.*) live/.exec(about)![1]!;
      assert.ok(legend.includes(`live${live}`), `${legend} has ${live}`);
    });
  });

  test("timeline: where no live blocks are known the legend has no place for them", async () => {
    const lines = [...smaller()].filter((line) => !line.startsWith('{"type":"blocks"'));
    const text = lines.map((line) => {
      if (!line.startsWith('{"type":"snapshot"')) return line;
      const { heap, ...snapshot } = JSON.parse(line);
      return `${JSON.stringify({ ...snapshot, contexts: [] })}\n`;
    });
    await open(await write("sizes.html", { title: "app.linmem", text }), "timeline", async (page) => {
      const legend = await page.locator(".u-legend .u-label").allTextContents();
      assert.deepEqual(legend, ["time", "memory"]);
      assert.match((await page.locator("figcaption").textContent())!, /^Size over time: .* at the end\./);
    });
  });

  test("timeline: a brush restricts the other views", async () => {
    await open("small.html", "timeline", async (page) => {
      const grows = await page.locator(".rows > li").count();
      assert.ok(grows >= 1);
      const over = (await page.locator(".u-over").boundingBox())!;
      await page.mouse.move(over.x + over.width * 0.6, over.y + 40);
      await page.mouse.down();
      await page.mouse.move(over.x + over.width * 0.9, over.y + 60, { steps: 4 });
      await page.mouse.up();
      assert.match((await page.locator("h3").first().textContent())!, /from \d.* to \d/);
      await page.getByRole("tab", { name: "Flame graph" }).click();
      const part = await page.locator(".about [role=status]").textContent();
      await page.getByRole("button", { name: "show the whole run" }).click();
      assert.notEqual(await page.locator(".about [role=status]").textContent(), part);
      // The same without a pointer.
      await page.getByRole("tab", { name: "Timeline" }).click();
      await page.getByLabel("to", { exact: true }).fill("10");
      await page.getByLabel("to", { exact: true }).blur();
      assert.match((await page.locator("main").textContent())!, /No memory grew/);
    });
  });

  test("heap map: from the whole memory to one block and its stack", async () => {
    await open("small.html", "map", async (page) => {
      assert.match((await page.locator("main").textContent())!, /3,000 live blocks/);
      await page.locator(".map").focus();
      await page.keyboard.press("ArrowRight");
      assert.match((await page.locator("h3").textContent())!, /^Block at 0x[0-9a-f]+, /);
      const range = () => page.locator(".toolbar .text").textContent();
      const whole = await range();
      await page.keyboard.press("Enter");
      assert.notEqual(await range(), whole);
      assert.match((await page.locator(".stack li").first().textContent())!, /malloc/);
      // by caller there are fewer groups than by function and caller
      const groups = async () => {
        const rest = /([\d,]+) others?/.exec((await page.locator(".map-legend").textContent())!);
        return Number(rest![1]!.replaceAll(",", ""));
      };
      const callers = await groups();
      await page.getByLabel("Colour by").selectOption("function");
      assert.ok((await groups()) > callers);
      const box = (await page.locator(".map canvas").nth(1).boundingBox())!;
      await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
      assert.match((await page.locator(".tooltip").textContent())!, /^0x[0-9a-f]+: block of /);
      await page.keyboard.press("Escape");
      assert.equal(await range(), whole);
    });
  });

  test("memories lead to their timeline", async () => {
    await open("small.html", "memories", async (page) => {
      await page.getByRole("button", { name: "Timeline" }).click();
      assert.equal(await page.getByRole("tab", { selected: true }).textContent(), "Timeline");
      assert.equal(await page.getByLabel("Memory").inputValue(), "1");
    });
  });

  test("two profiles are compared", async () => {
    const before = { title: "before.linmem", text: smaller() };
    await write("two.html", before, { title: "after.linmem", text: small() });
    await open("two.html", "", async (page) => {
      assert.equal(await page.getByRole("tab", { selected: true }).textContent(), "Diff");
      assert.match(
        (await page.locator("main p").first().textContent())!,
        /From before.linmem to after.linmem/,
      );
      assert.ok((await page.locator(".rows > li").count()) > 5);
      await page.getByRole("tab", { name: "Summary" }).click();
      assert.match((await page.locator(".tiles").textContent())!, /3,000 blocks/);
      await page.getByLabel("Profile").selectOption("0");
      assert.match((await page.locator(".tiles").textContent())!, /1,000 blocks/);
    });
  });

  test("fits a narrow screen, in the dark", async () => {
    await open("small.html", "flame", async (page) => {
      await page.setViewportSize({ width: 360, height: 700 });
      await page.emulateMedia({ colorScheme: "dark" });
      await page.waitForSelector("html[data-theme=dark]");
      for (const tab of await page.getByRole("tab").all()) {
        await tab.click();
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= 360, `${await tab.textContent()} is ${wide} pixels wide`);
      }
    });
  });

  test("shows hostile names as text, in every view", async () => {
    const text = profileWith(hostile.map((name) => [wasmFrame(name, name), wasmFrame("outer")]));
    await write("hostile.html", { title: hostile[0]!, text });
    await open("hostile.html", "summary", async (page) => {
      for (const tab of await page.getByRole("tab").all()) {
        await tab.click();
        const closed = page.locator("details:not([open]) > summary");
        while ((await closed.count()) > 0) await closed.first().click();
        assert.equal(await page.locator("main :is(img, svg, script, a, iframe)").count(), 0);
      }
      assert.equal(await page.evaluate(() => (window as { owned?: number }).owned), undefined);
      await page.getByRole("tab", { name: "Flame graph" }).click();
      const shown = (await page.locator(".contexts").textContent())!;
      assert.ok(shown.includes("</script><script>window.owned = 1</script>"));
      assert.ok(!shown.includes("\u202e"));
    });
  });

  test("runs no other script, even if one got into it", async () => {
    browser ??= await chromium.launch({ executablePath: chromiumPath(), args: ["--no-sandbox"] });
    const page = await browser.newPage();
    await page.goto(pathToFileURL(join(folder, "hostile.html")).href);
    await page.waitForSelector("html[data-ready]");
    const refused = await page.evaluate(async () => {
      const found: string[] = [];
      document.addEventListener("securitypolicyviolation", (event) => found.push(event.effectiveDirective));
      document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.owned = 5'>");
      const script = document.createElement("script");
      script.textContent = "window.owned = 6";
      document.body.append(script);
      await fetch("https://example.com/").catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 300));
      return { found, owned: (window as { owned?: number }).owned };
    });
    assert.equal(refused.owned, undefined);
    assert.deepEqual([...new Set(refused.found)].sort(), [
      "connect-src",
      "img-src",
      "script-src-attr",
      "script-src-elem",
    ]);
    await page.close();
  });

  test("says so when its data are damaged", async () => {
    const pieces = await htmlReport([{ title: "x", details: analyzeInDetail(readProfile(profileWith([]))) }]);
    const damaged = pieces.join("").replace(/(id="linmem-data">.{40})[^<]*/, "$1");
    writeFileSync(join(folder, "damaged.html"), damaged);
    browser ??= await chromium.launch({ executablePath: chromiumPath(), args: ["--no-sandbox"] });
    const page = await browser.newPage();
    await page.goto(pathToFileURL(join(folder, "damaged.html")).href);
    await page.getByText("This report can't be shown").waitFor();
    await page.close();
  });
});

/** Rules of WCAG that a machine can check, on every view with all that opens opened. */
describe("the page for screen readers", { skip: noChromium }, () => {
  const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  for (const colorScheme of ["light", "dark"] as const) {
    test(`has names, roles, headings and contrast, ${colorScheme}`, async () => {
      const text = readFileSync(new URL("../fixtures/profiles/photon.linmem", import.meta.url), "utf8");
      await write("readers.html", { title: "before", text: smaller() }, { title: "after", text });
      await open("readers.html", "summary", async (page) => {
        await page.emulateMedia({ colorScheme });
        await page.evaluate(axe);
        let checked = 0;
        for (const tab of await page.getByRole("tab").all()) {
          await tab.click();
          for (const closed of await page.locator("details:not([open]) > summary").all()) {
            if (await closed.isVisible()) await closed.click();
          }
          const { violations, passes } = await page.evaluate(async () => {
            const { axe } = window as unknown as { axe: { run(): Promise<AxeResults> } };
            return axe.run();
          });
          const found = violations.map(({ id, nodes }) => `${id}: ${nodes[0]!.html}`);
          assert.deepEqual(found, [], (await tab.textContent())!);
          checked += passes.length;
        }
        assert.ok(checked > 150, `${checked} rules had something to check`);
      });
    });
  }
});

describe("the page in Firefox", { skip: noFirefox }, () => {
  let firefox: FirefoxBrowser;
  let page: FirefoxPage;
  before(async () => {
    await write("firefox.html", { title: "app.linmem", text: small() });
    firefox = await launchFirefox();
    page = await firefox.newPage();
    await page.setViewport({ width: 1200, height: 900 });
    await page.goto(pathToFileURL(join(folder, "firefox.html")).href);
    await page.waitForSelector("html[data-ready]");
  });
  after(() => firefox?.close());

  const text = (selector: string) => page.$eval(selector, (element) => element.textContent ?? "");
  const show = async (view: string) => {
    await page.click(`#tab-${view}`);
    await page.waitForSelector(`[role=tabpanel][aria-labelledby=tab-${view}]`);
  };
  /** Colours in each picture of the view: one that nothing was drawn on has a single one. */
  const drawn = async () => {
    await page.evaluate(
      () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 100))),
    );
    return page.$$eval("main canvas", (canvases) =>
      canvases.map((canvas) => {
        const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size;
      }),
    );
  };

  test("draws every view", async () => {
    for (const [view, pictures] of Object.entries({
      summary: 0,
      flame: 1,
      timeline: 1,
      map: 2,
      memories: 0,
    })) {
      await show(view);
      const colors = await drawn();
      assert.equal(colors.length, pictures, view);
      for (const count of colors) assert.ok(count > 3, `${view} has ${count} colours`);
    }
    assert.match(await text("main"), /17 pages|at first/);
  });

  test("flame graph: keys walk and zoom, a click does the same, the search finds", async () => {
    await show("flame");
    const about = () => text(".about [role=status]");
    const all = await about();
    assert.match(all, /^All: .*100 % of/);
    await page.focus(".scroller");
    await page.keyboard.press("ArrowDown");
    const first = await about();
    assert.match(first, /^handle\d+, /);
    await page.keyboard.press("Escape");
    assert.equal(await about(), all);
    await page.click(".scroller canvas", { offset: { x: 60, y: 30 } });
    assert.equal(await about(), first);
    await page.focus("body");
    await page.keyboard.press("/");
    await page.keyboard.type("no such function");
    assert.match(await text("output"), /^Found in 0 B, 0 %/);
  });

  test("timeline: a brush restricts the other views", async () => {
    await show("timeline");
    const over = (await (await page.$(".u-over"))!.boundingBox())!;
    await page.mouse.move(over.x + over.width * 0.6, over.y + 40);
    await page.mouse.down();
    await page.mouse.move(over.x + over.width * 0.9, over.y + 60, { steps: 4 });
    await page.mouse.up();
    assert.match(await text("h3"), /from \d.* to \d/);
    await show("flame");
    assert.match(await text(".filters"), /show the whole run/);
    await page.locator("::-p-text(show the whole run)").click();
    assert.doesNotMatch(await text(".filters"), /show the whole run/);
  });

  test("heap map: hover names a block, keys go to its stack", async () => {
    await show("map");
    const [, map] = await page.$$(".map canvas");
    const box = (await map!.boundingBox())!;
    const said: string[] = [];
    for (let part = 1; part < 10; part++) {
      await page.mouse.move(box.x + (box.width * part) / 10, box.y + box.height / 2);
      said.push(await text(".tooltip"));
    }
    assert.ok(
      said.every((one) => /^0x[0-9a-f]+: (block of|heap, no live block)/.test(one)),
      said.join(),
    );
    assert.ok(
      said.some((one) => one.includes("block of")),
      said.join(),
    );
    await page.focus(".map");
    await page.keyboard.press("ArrowRight");
    assert.match(await text("h3"), /^Block at 0x[0-9a-f]+, /);
    assert.match(await text(".stack li"), /malloc/);
  });
});
