// docs/linear-memory.md: every TypeScript block passes the compiler and prints the text block below it. Reads dist/,
// so build first.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
const page = readFileSync(join(root, "docs/linear-memory.md"), "utf8");

interface Snippet {
  heading: string;
  code: string;
  output: string;
  file: string;
}

/** The snippets and their output, and that no other kind of block is there. */
function snippets(): Snippet[] {
  const found: Snippet[] = [];
  let heading = "";
  let open: Snippet | undefined;
  for (const [, title, language, body = ""] of page.matchAll(/^## ([^\n]*)$|^```(\w*)\n(.*?)^```$/gms)) {
    if (title !== undefined) {
      heading = title;
    } else if (language === "ts") {
      assert.equal(open, undefined, `${heading}: a snippet without output`);
      open = { heading, code: body, output: "", file: `snippet-${found.length}.mts` };
    } else {
      assert.ok(language === "text" && open !== undefined, `${heading}: output without a snippet`);
      found.push({ ...open, output: body });
      open = undefined;
    }
  }
  assert.equal(open, undefined);
  return found;
}

describe("docs/linear-memory.md", () => {
  let folder: string;

  before(() => {
    // Inside the repository, where "linmem" is this package.
    mkdirSync(join(root, ".cache"), { recursive: true });
    folder = mkdtempSync(join(root, ".cache/docs-"));
    for (const { file, code } of snippets()) writeFileSync(join(folder, file), code);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test("has the snippets that it promises", () => {
    assert.ok(snippets().length >= 10);
  });

  test("passes the compiler", async () => {
    const options = { extends: join(root, "tsconfig.json"), include: ["*.mts"], exclude: [] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(options));
    await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", folder]);
  });

  test("has every code that an error of the library can have", () => {
    const all = readdirSync(join(root, "src/memory"), { recursive: true, encoding: "utf8" });
    const files = all.filter((name) => name.endsWith(".ts"));
    const sources = files.map((name) => readFileSync(join(root, "src/memory", name), "utf8"));
    // These three are thrown by classes of their own.
    const own = ["ERR_LINMEM_RELEASED", "ERR_LINMEM_DOUBLE_RELEASE", "ERR_LINMEM_DECODE"];
    const codes = new Set([
      ...own,
      ...sources.flatMap((text) => text.match(/(?<=")ERR_LINMEM_\w+(?=")/g) ?? []),
    ]);
    const rows = [...page.matchAll(/^\| `(ERR_LINMEM_\w+)` \|/gm)].map(([, code]) => code);
    assert.deepEqual([...rows].sort(), [...codes].sort());
  });

  for (const { heading, file, output } of snippets()) {
    test(`${heading}: ${file} prints what the page says`, async () => {
      const { stdout } = await run(process.execPath, ["--import=tsx", join(folder, file)], { cwd: root });
      assert.equal(stdout, output);
    });
  }
});
