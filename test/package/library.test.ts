// The library of the packed tarball, in Node, Chromium and Firefox. Reads dist/, so build first (`npm test` does).
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { noChromium, withPage } from "../support/chromium.js";
import { noFirefox, withFirefoxPage } from "../support/firefox.js";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
let folder: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "linmem-library-"));
  const { stdout } = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], {
    cwd: root,
  });
  const [{ filename }] = Object.values(JSON.parse(stdout)) as [{ filename: string }];
  await run("tar", ["-xzf", join(folder, filename)], { cwd: folder });
  copyFileSync(fileURLToPath(new URL("./library/check.mjs", import.meta.url)), join(folder, "check.mjs"));
});
after(() => {
  rmSync(folder, { recursive: true, force: true });
});

test("the library of the tarball works in Node", async () => {
  const program = `
    const { check } = await import(${JSON.stringify(join(folder, "check.mjs"))});
    const name = "linmem";
    console.log(JSON.stringify(await check(await import(name))));`;
  writeFileSync(join(folder, "package", "main.mjs"), program);
  const { stdout } = await run(process.execPath, [join(folder, "package", "main.mjs")]);
  const found = JSON.parse(stdout);
  assert.equal(found.fourGiB, true);
  assert.equal(found.resident, existsSync("/proc/self/smaps"));
});

test("linmem/report of the tarball reads, diagnoses and compares profiles", async () => {
  const profile = fileURLToPath(new URL("../fixtures/profiles/photon.linmem", import.meta.url));
  const program = `
    const name = "linmem/report";
    const { readProfile, diagnose, report, formatReport, diff } = await import(name);
    const profile = await readProfile(${JSON.stringify(profile)});
    const made = report(profile);
    const kinds = diagnose(profile).map(({ kind }) => kind);
    console.log(JSON.stringify([kinds, made.modules.length, formatReport(made).split("\\n")[0], diff(made, made).rows]));
    await readProfile("nowhere.linmem").catch((error) => console.log(error.code, error.message));`;
  writeFileSync(join(folder, "package", "report.mjs"), program);
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"), "junction");
  const { stdout } = await run(process.execPath, [join(folder, "package", "report.mjs")]);
  const [found, error] = stdout.split("\n");
  assert.deepEqual(JSON.parse(found!), [["too-short"], 1, "node app.mjs --size large", []]);
  assert.equal(error, "ERR_LINMEM_PROFILE cannot read nowhere.linmem: there is no such file");
});

/** Runs in the page: the checks of library/check.mjs on the library, as it is served. */
async function checkInPage() {
  const path = "/check.mjs";
  const library = "/package/dist/index.js";
  const { check } = await import(path);
  return check(await import(library));
}

test("the library of the tarball works in Chromium, without a bundler", { skip: noChromium }, async () => {
  writeFileSync(join(folder, "page.html"), "<!doctype html><title>linmem</title>");
  const found = await withPage(folder, "page.html", (page) => page.evaluate(checkInPage));
  assert.equal(found.resident, false);
  assert.equal(found.resizable, true);
  assert.equal(found.addresses64, true);
});

test("the library of the tarball works in Firefox", { skip: noFirefox }, async () => {
  writeFileSync(join(folder, "page.html"), "<!doctype html><title>linmem</title>");
  const found = await withFirefoxPage(folder, "page.html", (page) => page.evaluate(checkInPage));
  assert.equal(found.resident, false);
});
