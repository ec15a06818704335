// Runs the tests: node's own runner, with TypeScript through typescript.mjs.
//
//   node scripts/test.mjs                      all of test/**/*.test.ts
//   node scripts/test.mjs wasm/ heap           only files whose path contains one of these
//   node scripts/test.mjs leb --test-only      options go to node
//
// Node 20 does not expand patterns itself, and without a file would end with success.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const options = process.argv.slice(2).filter((argument) => argument.startsWith("-"));
const filters = process.argv.slice(2).filter((argument) => !argument.startsWith("-"));

const files = readdirSync(`${root}test`, { recursive: true })
  .map((name) => `test/${name.replaceAll("\\", "/")}`)
  .filter((name) => name.endsWith(".test.ts") && !name.includes("/node_modules/"))
  .filter((name) => filters.length === 0 || filters.some((filter) => name.includes(filter)))
  .sort();
if (files.length === 0) {
  process.stderr.write(`test: no file under test/ matches ${filters.join(" ") || "*.test.ts"}\n`);
  process.exit(1);
}

const { status } = spawnSync(
  process.execPath,
  [
    "--import=./scripts/typescript.mjs",
    "--test",
    "--test-reporter=spec",
    `--test-concurrency=${availableParallelism()}`,
    ...options,
    ...files,
  ],
  { cwd: root, stdio: "inherit" },
);
process.exit(status ?? 1);
