// A page in Chromium that loads files of a folder, for tests of what runs in browsers.
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium, type Page } from "playwright-core";
import { serve } from "./site.js";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** The browser to test in: LINMEM_CHROMIUM, or the first of the usual names on the PATH. */
export function chromiumPath(): string | undefined {
  if (process.env.LINMEM_CHROMIUM) return process.env.LINMEM_CHROMIUM;
  const folders = (process.env.PATH ?? "").split(delimiter);
  return names
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find((path) => existsSync(path));
}

/** Why a test in Chromium is left out, for its `skip` option; false where there is one. */
export const noChromium =
  chromiumPath() === undefined && "NO CHROMIUM FOUND: not tested in a browser (apt-get install chromium)";

/**
 * Serves `folder`, opens `path` of it and runs `action` on the page. The page is isolated (shared memories work there).
 * Anything that the page throws or logs as an error fails it.
 */
export async function withPage<T>(
  folder: string,
  path: string,
  action: (page: Page) => Promise<T>,
): Promise<T> {
  const site = await serve(folder);
  const executablePath = chromiumPath();
  if (executablePath === undefined) throw new Error(String(noChromium));
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    const page = await browser.newPage();
    const problems: string[] = [];
    page.on("pageerror", (error) => problems.push(String(error.stack ?? error)));
    page.on("console", (message) => {
      if (message.type() === "error") problems.push(message.text());
    });
    await page.goto(`${site.address}/${path}`);
    const result = await action(page);
    if (problems.length > 0) throw new Error(problems.join("\n"));
    return result;
  } finally {
    await browser.close();
    site.close();
  }
}
