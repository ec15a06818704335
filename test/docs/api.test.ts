// docs/api is what `npm run docs` makes of the doc comments as they are now. TypeDoc itself fails on an export without
// a comment, on one whose parts are not exported, and on a link that leads nowhere (typedoc.json).
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as library from "../../src/index.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const committed = join(root, "docs/api");
const pagesOf = (folder: string) =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(join(folder, name)).isFile())
    .map((name) => name.replaceAll("\\", "/"))
    .sort();

describe("docs/api", () => {
  let made: string;

  before(() => {
    made = mkdtempSync(join(tmpdir(), "linmem-api-"));
    const typedoc = join(root, "node_modules/typedoc/bin/typedoc");
    const { status, stdout, stderr } = spawnSync(process.execPath, [typedoc, "--out", made], {
      cwd: root,
      encoding: "utf8",
    });
    assert.equal(status, 0, `${stdout}${stderr}`);
  });
  after(() => rmSync(made, { recursive: true, force: true }));

  test("is up to date: `npm run docs` makes it", () => {
    assert.deepEqual(pagesOf(committed), pagesOf(made));
    for (const page of pagesOf(made)) {
      const [now, before] = [made, committed].map((folder) => readFileSync(join(folder, page), "utf8"));
      assert.equal(before, now, `docs/api/${page}: run npm run docs`);
    }
  });

  test("has a page for everything that can be imported", () => {
    const pages = new Set(pagesOf(committed).map((page) => page.replace(/^.*\/|\.md$/g, "")));
    assert.deepEqual(
      Object.keys(library).filter((name) => !pages.has(name)),
      [],
    );
  });
});
