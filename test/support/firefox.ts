// A page in the Firefox of the system. playwright-core drives only builds of its own, so nothing drives this one: the
// page does its work when it is loaded, and sends the result by itself.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
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

/** Serves `folder`, opens `path` of it, and returns what the page sends by POST: a JSON object, `{ error }` for a failure. */
export async function resultOfPage(folder: string, path: string): Promise<Record<string, unknown>> {
  const executable = firefoxPath();
  if (executable === undefined) throw new Error(String(noFirefox));
  let received: (body: string) => void = () => {};
  const body = new Promise<string>((resolve) => {
    received = resolve;
  });
  const site = await serve(folder, received);
  const profile = mkdtempSync(join(tmpdir(), "linmem-firefox-"));
  const browser = spawn(
    executable,
    ["--headless", "--no-remote", "--profile", profile, `${site.address}/${path}`],
    { stdio: "ignore", env: { ...process.env, HOME: profile } },
  );
  const ended = new Promise<never>((_, reject) => {
    browser.on("error", reject);
    browser.on("exit", (code) =>
      reject(new Error(`Firefox ended with ${code} before the page sent a result`)),
    );
  });
  const late = new Promise<never>((_, reject) => {
    setTimeout(
      () => reject(new Error("no result from the page in Firefox within two minutes")),
      120_000,
    ).unref();
  });
  try {
    return JSON.parse(await Promise.race([body, ended, late]));
  } finally {
    ended.catch(() => {});
    browser.kill();
    if (browser.exitCode === null) await new Promise((resolve) => browser.once("exit", resolve));
    site.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
