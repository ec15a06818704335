/**
 * What LinearMemory costs over typed arrays, DataView and TextEncoder by hand, and what the ways that it did not take
 * would have cost: `npm run bench:memory`, with `-- --write` into RESULTS.md.
 */
import { runStrings } from "./memory-strings.js";
import { runViews } from "./memory-views.js";
import { circumstances, writeResults } from "./results.js";

const write = process.argv.includes("--write");
const text = [
  "## Library",
  runViews(),
  runStrings(),
  `Measured ${circumstances("npm run bench:memory -- --write")}`,
].join("\n\n");
process.stdout.write(`${text}\n`);
if (write) writeResults("library", text);
