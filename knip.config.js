// Finds unused files, exports and dependencies. Entries follow package.json: dist/x.js is src/x.ts.
import { readFileSync } from "node:fs";

const manifest = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));
const published = [...Object.values(manifest.exports), ...Object.values(manifest.bin)]
  .flatMap((target) => (typeof target === "string" ? target : Object.values(target)))
  .filter((target) => target.endsWith(".js"))
  .map((target) => target.replace(/^(\.\/)?dist\//, "src/").replace(/\.js$/, ".ts"));

export default {
  // register.cts is named only to node, by path.
  entry: [
    ...published,
    "src/attach/node/register.cts",
    "test/**/*.test.ts",
    "bench/*.{ts,mjs}",
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
  // Named only in a command line, in scripts/test.mjs; read as files, in test/report/exports/.
  ignoreDependencies: ["tsx", "speedscope"],
  // Tests that need them skip where they are not.
  ignoreBinaries: ["go"],
  ignore: ["src/recorder/assembly/**", "test/**/fixtures/**"],
};
