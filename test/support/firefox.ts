// Pages in the Firefox of the system. playwright-core drives only builds of its own; puppeteer-core drives any, by
// WebDriver BiDi.
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { serve } from "./site.js";

/** The browser to test in: LINMEM_FIREFOX, or the first of the usual names on the PATH. */
function firefoxPath(): string | undefined {
  if (process.env.LINMEM_FIREFOX) return process.env.LINMEM_FIREFOX;
  const folders = (process.env.PATH ?? "").split(delimiter);
  return ["firefox", "firefox-esr"]
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find((path) => existsSync(path));
}

/** Why a test in Firefox is left out, for its `skip` option; false where there is one. */
export const noFirefox =
  firefoxPath() === undefined && "NO FIREFOX FOUND: not tested in it (apt-get install firefox-esr)";

/** Starts it; whoever calls closes it. */
export function launchFirefox(): Promise<Browser> {
  const executablePath = firefoxPath();
  if (executablePath === undefined) throw new Error(String(noFirefox));
  return puppeteer.launch({ browser: "firefox", executablePath, timeout: 60_000 });
}

/** Serves `folder`, opens `path` of it and runs `action` on the page. */
export async function withFirefoxPage<T>(
  folder: string,
  path: string,
  action: (page: Page) => Promise<T>,
): Promise<T> {
  const site = await serve(folder);
  try {
    const browser = await launchFirefox();
    try {
      const page = await browser.newPage();
      await page.goto(`${site.address}/${path}`);
      return await action(page);
    } finally {
      await browser.close();
    }
  } finally {
    site.close();
  }
}
