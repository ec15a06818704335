// Finds unused files, exports and dependencies. Entries follow package.json: dist/x.js is src/x.ts.
import { readFileSync } from "node:fs";

const manifest = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));
/** The paths of an entry under `exports`, whatever its conditions. */
const paths = (target) => (typeof target === "string" ? [target] : Object.values(target).flatMap(paths));
const published = [...Object.values(manifest.exports), ...Object.values(manifest.bin)]
  .flatMap(paths)
  .filter((path) => /\.c?js$/.test(path))
  .map((path) => path.replace(/^(\.\/)?dist\//, "src/").replace(/\.(c?)js$/, ".$1ts"));

export default {
  // register.cts and realm.ts are named only to node, by path.
  entry: [
    ...published,
    "src/attach/node/register.cts",
    // Bundled by scripts/build-attach.mjs.
    "src/attach/node/start.ts",
    // Bundled by scripts/build-ui.mjs.
    "src/ui/main.tsx",
    "src/testing/realm.ts",
    // Compiled by scripts/build-wasm.mjs, twice.
    "src/memory/heap/core/core.ts",
    "src/memory/heap/words.ts",
    "test/**/*.test.ts",
    "bench/*.{ts,mjs}",
    "bench/heap/main.ts",
    "bench/check/{main,resident}.ts",
    "scripts/*.{ts,mjs}",
    "examples/*/*.mjs",
  ],
  project: [
    "src/**/*.{ts,tsx}",
    "test/**/*.ts",
    "bench/**/*.{ts,mjs}",
    "scripts/**/*.{ts,mjs}",
    "examples/**/*.mjs",
  ],
  // The shape of a thing may be public before somebody else needs its name.
  ignoreExportsUsedInFile: { interface: true, type: true },
  // tsx and jest are named only in command lines; @jest/globals is what Jest answers itself; speedscope is read as
  // files, in test/report/exports/.
  ignoreDependencies: ["tsx", "jest", "@jest/globals", "speedscope"],
  // What needs them is left out where they are not.
  ignoreBinaries: ["emcc", "em-config", "go"],
  ignore: ["src/*/assembly/**", "test/**/fixtures/**"],
};
