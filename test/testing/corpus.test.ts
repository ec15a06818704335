// expectNoLeaks on packages as they are on npm, each in a process of its own, with what is known of them.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { corpusDirectory } from "../support/shared.js";

const corpus = corpusDirectory();
const linmem = new URL("../../src/testing/index.ts", import.meta.url).href;
const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
const folder = mkdtempSync(join(tmpdir(), "linmem-corpus-"));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Subject {
  /** Statements that define `clean` and `leak`, with `load` and `find` for the packages. */
  source: string;
  clean: boolean;
  /** What the failure has to say. */
  leak: RegExp;
}

const subjects: Record<string, Subject> = {
  resvg: {
    source: `
      const { initWasm, Resvg } = await load("@resvg/resvg-wasm");
      await initWasm(readFileSync(find("@resvg/resvg-wasm/index_bg.wasm")));
      const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><circle r="9"/></svg>';
      const clean = () => { const r = new Resvg(svg); r.free(); };
      function leak() { new Resvg(svg); }`,
    clean: true,
    leak: /\d+ blocks per run, made by\n +leak /,
  },
  "sql.js": {
    source: `
      const SQL = await (await load("sql.js")).default();
      const db = new SQL.Database();
      const clean = () => { const s = db.prepare("select 1"); s.step(); s.get(); s.free(); };
      function leak() { db.prepare("select 1").step(); }
      // SQLite has a reserve of its own (lookaside), which the first statements use up.
      options.warmup = 50;`,
    clean: true,
    leak: /blocks? per run, made by\n +leak /,
  },
  photon: {
    source: `
      const { PhotonImage } = find.require("@silvia-odwyer/photon-node");
      const pixels = new Uint8Array(16 * 16 * 4);
      // The collector releases what is forgotten.
      const clean = () => { new PhotonImage(pixels, 16, 16); };
      const held = [];
      function leak() { held.push(new PhotonImage(pixels, 16, 16)); }`,
    clean: true,
    leak: /made by\n +leak /,
  },
  "tree-sitter": {
    source: `
      const { Parser, Language } = await load("web-tree-sitter");
      await Parser.init();
      const language = await Language.load(find("@vscode/tree-sitter-wasm/wasm/tree-sitter-javascript.wasm"));
      const parser = new Parser();
      parser.setLanguage(language);
      const clean = () => { parser.parse("let a = 1;").delete(); };
      const held = [];
      function leak() { held.push(parser.parse("let a = 1;")); }`,
    clean: true,
    leak: /made by\n +leak /,
  },
  // transform() leaks in correct use.
  lightningcss: {
    source: `
      const { default: init, transform } = await load("lightningcss-wasm");
      await init();
      const code = Buffer.from(".a{color:red}".repeat(50));
      const clean = () => { transform({ filename: "a.css", code, minify: true }); };
      function leak() { clean(); }`,
    clean: false,
    leak: /made by\n(?: +.*\n)*? +leak /,
  },
};

function run(name: string, source: string): Promise<string[]> {
  const file = join(folder, `${name}.mjs`);
  writeFileSync(
    file,
    `import { expectNoLeaks } from ${JSON.stringify(linmem)};
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
const require = createRequire(${JSON.stringify(pathToFileURL(`${corpus}/package.json`).href)});
const find = (path) => require.resolve(path);
find.require = require;
const load = (name) => import(import.meta.resolve(name, ${JSON.stringify(pathToFileURL(`${corpus}/harness.mjs`).href)}));
const options = {};
${source}
for (const fn of [clean, leak]) {
  console.log(JSON.stringify(await expectNoLeaks(fn, options).then(() => "", (error) => error.message)));
}
process.exit();
`,
  );
  const { NODE_OPTIONS, NODE_TEST_CONTEXT, ...env } = process.env;
  return new Promise((resolve, reject) => {
    const args = ["--experimental-import-meta-resolve", "--no-warnings", "--import", tsx, file];
    execFile(
      process.execPath,
      args,
      { cwd: fileURLToPath(pathToFileURL(folder)), env },
      (error, stdout, stderr) => {
        if (error) reject(new Error(stderr));
        else
          resolve(
            stdout
              .trim()
              .split("\n")
              .map((line) => JSON.parse(line)),
          );
      },
    );
  });
}

describe("packages of the corpus", { skip: !corpus && "LINMEM_CORPUS is not set" }, () => {
  for (const [name, { source, clean, leak }] of Object.entries(subjects)) {
    test(name, async () => {
      const [first, second] = await run(name, source);
      if (clean) assert.equal(first, "");
      else assert.match(first!, /^expectNoLeaks: .* more live after each run/);
      assert.match(second!, leak);
      assert.match(second!, new RegExp(`${name}\\.mjs:\\d+:\\d+`));
    });
  }
});
