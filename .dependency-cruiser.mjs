// The layers of ARCHITECTURE.md, as rules. A change of a layer is a change of the table below.
// test/package/layers.test.ts shows that each rule fails on code that breaks it.

/** Which folder (or file) of src/ may import which others. Everything may import itself. */
const layers = {
  "errors.ts": [],
  "base64.ts": [],
  "memory/": ["errors.ts", "wasm/"],
  "wasm/": ["errors.ts"],
  "instrument/": ["errors.ts", "base64.ts", "wasm/"],
  "recorder/": ["errors.ts", "base64.ts", "profile/"],
  "check/": ["errors.ts", "base64.ts", "profile/"],
  "profile/": ["errors.ts"],
  "analyze/": ["errors.ts", "profile/", "wasm/names", "wasm/dwarf", "wasm/go-program"],
  "report/": ["errors.ts", "analyze/"],
  "attach/": ["errors.ts", "memory/", "instrument/", "recorder/", "check/", "profile/"],
  "names/": ["attach/natives"],
  "testing/": ["errors.ts", "attach/", "analyze/", "report/", "profile/", "names/"],
  "ui/": ["report/"],
  "cli/": [
    "errors.ts",
    "memory/",
    "wasm/",
    "instrument/",
    "recorder/",
    "check/",
    "profile/",
    "analyze/",
    "report/",
    "attach/",
    "names/",
    "testing/",
  ],
  "index.ts": ["errors.ts", "memory/"],
  "index-node.ts": ["index.ts", "memory/"],
  "report.ts": ["errors.ts", "profile/", "analyze/", "report/", "names/"],
};

/** Layers that may use another one's types, but not its code. */
const typesOnly = { "recorder/": "profile/", "attach/": "memory/", "testing/": "profile/", "ui/": "report/" };

/** What of it they may use all the same: the page of reports is bundled, and writes figures as all reports do. */
const codeAllowed = { "ui/": ["report/format.ts", "report/html/data.ts"] };

/** What only a test runner loads, and imports that runner. */
const runnerFiles = ["^src/testing/vitest\\.ts$", "^src/testing/jest\\.cts$"];

/** Where `node:` imports are allowed. */
const nodeCode = [
  "^src/cli/",
  "^src/attach/node",
  "^src/names/",
  "^src/profile/file[^/]*\\.ts$",
  "^src/memory/node-",
  "^src/testing/outside\\.cts$",
];

/** `memory/` and `errors.ts` as path patterns: a folder, one file, or the start of a file name. */
const pattern = (layer) => `^src/${layer.replaceAll(".", "\\.")}${layer.endsWith(".ts") ? "$" : ""}`;
const patterns = (names) => names.map(pattern);

export default {
  forbidden: [
    ...Object.entries(layers).map(([layer, allowed]) => ({
      name: `layer-${layer.replace(/\.ts$|\/$/, "")}`,
      severity: "error",
      comment: `src/${layer} may import only: ${allowed.join(", ") || "nothing"}`,
      from: { path: pattern(layer) },
      to: { path: "^src/", pathNot: patterns([layer, ...allowed]) },
    })),
    ...Object.entries(typesOnly).map(([layer, target]) => ({
      name: `types-only-${layer.slice(0, -1)}`,
      severity: "error",
      comment: `src/${layer} may use only types of src/${target}: write \`import type\``,
      from: { path: pattern(layer) },
      to: {
        path: pattern(target),
        pathNot: patterns(codeAllowed[layer] ?? []),
        dependencyTypesNot: ["type-only"],
      },
    })),
    {
      name: "unknown-layer",
      severity: "error",
      comment: "every file of src/ belongs to a layer of the table",
      from: { path: "^src/", pathNot: patterns(Object.keys(layers)) },
      to: {},
    },
    {
      name: "no-node",
      severity: "error",
      comment:
        "node: imports only in src/cli/, src/names/, src/attach/node*, src/profile/file*.ts, src/memory/node-*.ts and src/testing/outside.cts",
      from: { path: "^src/", pathNot: nodeCode },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "no-node-in-browsers",
      severity: "error",
      comment:
        "what browsers load of the library does not lead to src/memory/node-*.ts: only src/index-node.ts does",
      from: { path: ["^src/memory/", "^src/index\\.ts$"], pathNot: "^src/memory/node-" },
      to: { path: "^src/memory/node-" },
    },
    {
      name: "no-cycle",
      severity: "error",
      comment: "no circular imports",
      from: {},
      to: { circular: true },
    },
    {
      name: "no-dev-dependency",
      severity: "error",
      comment:
        "what is published needs only dependencies (src/ui/ is bundled; runners' own files run in them)",
      from: { path: "^src/", pathNot: ["^src/ui/", ...runnerFiles] },
      to: { dependencyTypes: ["npm-dev"], pathNot: "node_modules/@types/" },
    },
    {
      name: "no-undeclared-dependency",
      severity: "error",
      comment: "an imported package is declared in package.json (@jest/globals is Jest itself)",
      from: { path: "^src/", pathNot: runnerFiles },
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown"] },
    },
    {
      name: "no-outside",
      severity: "error",
      comment: "src/ imports no tests, scripts or benchmarks",
      from: { path: "^src/" },
      to: { path: "^(test|bench|scripts)/" },
    },
    {
      name: "no-unresolvable",
      severity: "error",
      comment: "an import that does not exist",
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^src/[^/]+/assembly/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
  },
};
