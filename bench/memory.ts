/**
 * What LinearMemory costs over typed arrays, DataView and TextEncoder by hand, and what the ways that it did not take
 * would have cost: `npm run bench:memory`, with `-- --write` into RESULTS.md,
 * into a section for each version of Node.
 */
import { runStrings } from "./memory-strings.js";
import { runViews } from "./memory-views.js";
import { circumstances, writeResults } from "./results.js";

const write = process.argv.includes("--write");
const version = `Node ${process.version.slice(1).split(".")[0]}`;
const text = [
  `## Library, ${version}`,
  runViews(),
  runStrings(),
  `Measured ${circumstances("npm run bench:memory -- --write")}`,
].join("\n\n");
process.stdout.write(`${text}\n`);
if (write) writeResults(`library ${version}`, text);
