// The layer rules, run on a small made-up source tree: each rule must fail on code that breaks it,
// and let through what the table of ARCHITECTURE.md allows.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { cruise, type ICruiseOptions, type IViolation } from "dependency-cruiser";
import extractDepcruiseOptions from "dependency-cruiser/config-utl/extract-depcruise-options";
import extractTSConfig from "dependency-cruiser/config-utl/extract-ts-config";

const root = fileURLToPath(new URL("../..", import.meta.url));
const depcruise = join(root, "node_modules/dependency-cruiser/bin/dependency-cruise.mjs");

/** One file of each layer. `wasm/names` stands for the parts of wasm/ that analyze/ may use. */
const layers = {
  errors: "src/errors.ts",
  memory: "src/memory/heap.ts",
  wasm: "src/wasm/decode.ts",
  "wasm/names": "src/wasm/names.ts",
  instrument: "src/instrument/wrap.ts",
  recorder: "src/recorder/host.ts",
  check: "src/check/index.ts",
  profile: "src/profile/records.ts",
  analyze: "src/analyze/leaks.ts",
  report: "src/report/text.ts",
  attach: "src/attach/hook.ts",
  "attach/natives": "src/attach/natives.ts",
  names: "src/names/demangle.ts",
  testing: "src/testing/index.ts",
  ui: "src/ui/app.ts",
  cli: "src/cli/run.ts",
  index: "src/index.ts",
  "index-node": "src/index-node.ts",
  "report.ts": "src/report.ts",
};
type Layer = keyof typeof layers;
const names = Object.keys(layers) as Layer[];

/** The design's table, written a second time: what a layer may import, code and types. */
const allowed: Record<Layer, Layer[]> = {
  errors: [],
  memory: ["errors", "wasm", "wasm/names"],
  wasm: ["errors", "wasm/names"],
  "wasm/names": ["errors", "wasm"],
  instrument: ["errors", "wasm", "wasm/names"],
  recorder: ["errors"],
  check: ["errors", "profile"],
  profile: ["errors"],
  analyze: ["errors", "profile", "wasm/names"],
  report: ["errors", "analyze"],
  attach: ["errors", "instrument", "recorder", "check", "profile", "attach/natives"],
  "attach/natives": ["errors", "instrument", "recorder", "check", "profile", "attach"],
  names: ["attach/natives"],
  testing: ["errors", "attach", "attach/natives", "analyze", "report", "names"],
  ui: [],
  cli: names.filter(
    (name) => name !== "ui" && name !== "index" && name !== "index-node" && name !== "report.ts",
  ),
  index: ["errors", "memory"],
  "index-node": ["index", "memory"],
  "report.ts": ["errors", "profile", "analyze", "report", "names"],
};
const allowedTypes: Partial<Record<Layer, Layer[]>> = {
  recorder: ["profile"],
  attach: ["memory"],
  "attach/natives": ["memory"],
  testing: ["profile"],
  ui: ["report"],
};

const options = (await extractDepcruiseOptions(join(root, ".dependency-cruiser.mjs"))) as ICruiseOptions;
const trees = mkdtempSync(join(tmpdir(), "linmem-layers-"));
let tree: string;

after(() => rmSync(trees, { recursive: true, force: true }));

/** Lays out `files` (path to text) as a package of its own and returns what the rules say about it. */
async function violations(files: Record<string, string>): Promise<readonly IViolation[]> {
  // a place of its own each time: the tool remembers what it found
  tree = mkdtempSync(join(trees, "tree-"));
  const all = {
    "package.json": JSON.stringify({
      type: "module",
      dependencies: { declared: "1.0.0" },
      devDependencies: { tool: "1.0.0" },
    }),
    "tsconfig.json": JSON.stringify({ compilerOptions: { module: "NodeNext", target: "ES2022" } }),
    ...Object.fromEntries(
      ["declared", "tool", "undeclared"].flatMap((name) => [
        [`node_modules/${name}/package.json`, JSON.stringify({ name, version: "1.0.0", main: "index.js" })],
        [`node_modules/${name}/index.js`, "module.exports = 1;\n"],
      ]),
    ),
    ...files,
  };
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
  // in this process: the tool's start takes longer than what it does
  process.chdir(tree);
  try {
    const { output } = await cruise(["src"], options, undefined, {
      tsConfig: extractTSConfig("tsconfig.json"),
    });
    assert.ok(typeof output === "object");
    return output.summary.violations;
  } finally {
    process.chdir(root);
  }
}

/** An import path from one file of the tree to another. */
function specifier(from: string, to: string): string {
  const up = from.split("/").length - 2;
  return `${up === 0 ? "./" : "../".repeat(up)}${to.slice("src/".length).replace(/\.ts$/, ".js")}`;
}

/** One importing file for each pair of layers, next to the layer's own file, and the rules' verdict on it. */
async function refusedPairs(statement: (path: string) => string): Promise<Set<string>> {
  const files: Record<string, string> = {};
  const pairs = new Map<string, string>();
  for (const name of names) files[layers[name]] = "export const value = 1;\nexport type Value = number;\n";
  for (const from of names) {
    for (const to of names) {
      if (from === to) continue;
      // The single-file layers can't have a second file: their imports are tested in one go below.
      if (layers[from].split("/").length === 2) continue;
      const path = layers[from].replace(/\.ts$/, `-to-${to.replace("/", "-")}.ts`);
      files[path] = statement(specifier(path, layers[to]));
      pairs.set(`${path} ${layers[to]}`, `${from} -> ${to}`);
    }
  }
  const refused = new Set<string>();
  for (const { from, to } of await violations(files)) {
    const pair = pairs.get(`${from} ${to}`);
    assert.ok(pair, `unexpected violation ${from} -> ${to}`);
    refused.add(pair);
  }
  return refused;
}

function expectedPairs(table: (from: Layer) => Layer[]): Set<string> {
  const folders = names.filter((name) => layers[name].split("/").length > 2);
  return new Set(
    folders.flatMap((from) =>
      names.filter((to) => to !== from && !table(from).includes(to)).map((to) => `${from} -> ${to}`),
    ),
  );
}

test("an import of code is refused exactly where the table does not allow it", async () => {
  const refused = await refusedPairs(
    (path) => `import { value } from "${path}";\nexport const copy = value;\n`,
  );
  assert.deepEqual([...refused].sort(), [...expectedPairs((from) => allowed[from])].sort());
});

test("an import of types is refused exactly where the table does not allow it", async () => {
  const refused = await refusedPairs(
    (path) => `import type { Value } from "${path}";\nexport const copy: Value = 1;\n`,
  );
  assert.deepEqual(
    [...refused].sort(),
    [...expectedPairs((from) => [...allowed[from], ...(allowedTypes[from] ?? [])])].sort(),
  );
});

test("errors.ts imports nothing, index.ts only memory/ and errors.ts, index-node.ts also index.ts", async () => {
  const found = await violations({
    "src/index-node.ts": `import "./memory/heap.js";\nimport "./index.js";\nimport "./wasm/leb.js";\n`,
    "src/errors.ts": `import "./wasm/leb.js";\n`,
    "src/index.ts": `import "./memory/heap.js";\nimport "./errors.js";\nimport "./wasm/leb.js";\n`,
    "src/wasm/leb.ts": "export const leb = 1;\n",
    "src/memory/heap.ts": "export const heap = 1;\n",
  });
  assert.deepEqual(found.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`).sort(), [
    "layer-errors: src/errors.ts -> src/wasm/leb.ts",
    "layer-index-node: src/index-node.ts -> src/wasm/leb.ts",
    "layer-index: src/index.ts -> src/wasm/leb.ts",
  ]);
});

/** Each remaining rule with code that breaks it, and code near it that does not. */
const rules: { rule: string; broken: Record<string, string>; fine: Record<string, string> }[] = [
  {
    rule: "unknown-layer",
    broken: { "src/helpers/bytes.ts": `import "../errors.js";\n`, "src/errors.ts": "export {};\n" },
    fine: { "src/wasm/bytes.ts": `import "../errors.js";\n`, "src/errors.ts": "export {};\n" },
  },
  {
    rule: "no-node",
    broken: { "src/profile/reader.ts": `import { readFileSync } from "node:fs";\nreadFileSync("x");\n` },
    fine: {
      "src/profile/file-reader.ts": `import { readFileSync } from "node:fs";\nreadFileSync("x");\n`,
      "src/attach/node/register.ts": `import { register } from "node:module";\nregister("x");\n`,
      "src/attach/node-worker.ts": `import { Worker } from "node:worker_threads";\nnew Worker("x");\n`,
      "src/cli/run.ts": `import { readFileSync } from "node:fs";\nreadFileSync("x");\n`,
    },
  },
  {
    rule: "no-node",
    broken: {
      "src/attach/page.ts": `import type { Worker } from "worker_threads";\nexport type W = Worker;\n`,
    },
    fine: {},
  },
  {
    rule: "no-node",
    broken: { "src/memory/resident.ts": `import { readFileSync } from "node:fs";\nreadFileSync("x");\n` },
    fine: { "src/memory/node-resident.ts": `import { readFileSync } from "node:fs";\nreadFileSync("x");\n` },
  },
  {
    rule: "no-node-in-browsers",
    broken: {
      "src/memory/registry.ts": `import "./node-resident.js";\n`,
      "src/memory/node-resident.ts": "export {};\n",
    },
    fine: {
      "src/index-node.ts": `import "./memory/node-resident.js";\n`,
      "src/memory/node-resident.ts": `import "./node-smaps.js";\n`,
      "src/memory/node-smaps.ts": "export {};\n",
    },
  },
  {
    rule: "no-cycle",
    broken: {
      "src/wasm/a.ts": `import { b } from "./b.js";\nexport const a = b;\n`,
      "src/wasm/b.ts": `import { a } from "./a.js";\nexport const b = a;\n`,
    },
    fine: { "src/wasm/a.ts": `import "./b.js";\nexport const a = 1;\n`, "src/wasm/b.ts": "export {};\n" },
  },
  {
    rule: "types-only-ui",
    broken: {
      "src/ui/app.ts": `import { value } from "../report/text.js";\nexport const own = value;\n`,
      "src/report/text.ts": "export const value = 1;\n",
    },
    fine: {
      "src/ui/app.ts": `import { value } from "../report/format.js";\nexport const own = value;\n`,
      "src/report/format.ts": "export const value = 1;\n",
    },
  },
  {
    rule: "no-dev-dependency",
    broken: { "src/cli/run.ts": `import "tool";\n` },
    fine: { "src/cli/run.ts": `import "declared";\n`, "src/ui/app.ts": `import "tool";\n` },
  },
  { rule: "no-undeclared-dependency", broken: { "src/cli/run.ts": `import "undeclared";\n` }, fine: {} },
  {
    rule: "no-outside",
    broken: {
      "src/cli/run.ts": `import "../../test/helper.js";\n`,
      "test/helper.ts": "export {};\n",
    },
    fine: {},
  },
  { rule: "no-unresolvable", broken: { "src/wasm/a.ts": `import "./missing.js";\n` }, fine: {} },
];

for (const { rule, broken, fine } of rules) {
  test(`${rule} refuses ${Object.keys(broken)[0]}`, async () => {
    const found = await violations(broken);
    assert.deepEqual([...new Set(found.map((it) => it.rule.name))], [rule]);
    if (Object.keys(fine).length > 0) assert.deepEqual(await violations(fine), []);
  });
}

test("a violation ends the command with an error", async () => {
  await violations({ "src/wasm/a.ts": `import "./missing.js";\n` });
  assert.throws(() =>
    execFileSync(process.execPath, [depcruise, "src", "--config", join(root, ".dependency-cruiser.mjs")], {
      cwd: tree,
      stdio: "ignore",
    }),
  );
});
