/**
 * What a part of the library costs over typed arrays, DataView, TextEncoder and exports by hand, and what the ways that
 * it did not take would have cost. Called by `npm run bench memory`, once for each part.
 */
import { runFields } from "./memory-fields.js";
import { runHeap } from "./memory-heap.js";
import { libraryParts } from "./memory-parts.js";
import { runStrings } from "./memory-strings.js";
import { runViews } from "./memory-views.js";
import { circumstances, writeResults } from "./results.js";

const measure: { [P in (typeof libraryParts)[number]]: { title: string; run: () => string } } = {
  views: { title: "Library: views", run: runViews },
  strings: { title: "Library: text", run: runStrings },
  heap: { title: "Library: heaps", run: runHeap },
  fields: { title: "Library: structs", run: runFields },
};

const part = libraryParts.find((name) => name === process.argv[2]);
if (part === undefined) throw new Error(`no part ${process.argv[2]}: ${libraryParts.join(", ")}`);
const version = `Node ${process.version.slice(1).split(".")[0]}`;
const { title, run } = measure[part];
const how = `Measured ${circumstances(`npm run bench memory ${part}`)}`;
const text = `## ${title}, ${version}\n\n${run()}\n\n${how}`;
process.stdout.write(`${text}\n\n`);
if (process.argv.includes("--write")) writeResults(`library ${part} ${version}`, text);
