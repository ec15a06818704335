/**
 * What the library costs over typed arrays, DataView, TextEncoder and exports by hand, and what the ways that it did
 * not take would have cost: `npm run bench:memory`, with `-- --write` into RESULTS.md, into sections for each version
 * of Node.
 */
import { runFields } from "./memory-fields.js";
import { runHeap } from "./memory-heap.js";
import { runStrings } from "./memory-strings.js";
import { runViews } from "./memory-views.js";
import { circumstances, writeResults } from "./results.js";

const write = process.argv.includes("--write");
const version = `Node ${process.version.slice(1).split(".")[0]}`;
const measured = () => `Measured ${circumstances("npm run bench:memory -- --write")}`;

function section(title: string, marker: string, parts: (() => string)[]): void {
  const text = [`## ${title}, ${version}`, ...parts.map((part) => part()), measured()].join("\n\n");
  process.stdout.write(`${text}\n\n`);
  if (write) writeResults(`${marker} ${version}`, text);
}

section("Library", "library", [runViews, runStrings]);
// Fields last: they leave the engine with slower reads of fields behind, see there.
section("Library: heaps and structs", "library heaps", [runHeap, runFields]);
