/**
 * One process that instruments one module: `node instrument-program.js <path> fresh|warm|binaryen <script> <cache>`.
 * Prints times in milliseconds, the size of the result and the memory that the process took for it, in bytes. The
 * instrumenter is loaded as `linmem run` does it: a script, with what an earlier process left in the folder `cache`.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import type * as Instrument from "../src/instrument/index.js";
import { packageFile, root } from "./packages.js";
import { median } from "./statistics.js";

interface BinaryenModule {
  setFeatures(features: number): void;
  emitBinary(): Uint8Array;
  dispose(): void;
}

interface Binaryen {
  Features: { All: number };
  readBinaryWithFeatures?(bytes: Uint8Array, features: number): BinaryenModule;
  readBinary(bytes: Uint8Array): BinaryenModule;
}

const [path, mode, script, cache] = process.argv.slice(2);
const bytes = new Uint8Array(readFileSync(path));

function repeat(milliseconds: number, work: () => void): number[] {
  const times: number[] = [];
  for (const end = performance.now() + milliseconds; performance.now() < end; ) {
    const start = performance.now();
    work();
    times.push(performance.now() - start);
  }
  return times;
}

const peak = () => process.resourceUsage().maxRSS * 1024;
const result: Record<string, number> = { bytes: bytes.length };
if (mode === "binaryen") {
  const url = pathToFileURL(packageFile("binaryen/index.js")).href;
  const { default: binaryen } = (await import(url)) as { default: Binaryen };
  const roundTrip = () => {
    const module =
      binaryen.readBinaryWithFeatures?.(bytes, binaryen.Features.All) ?? binaryen.readBinary(bytes);
    result.size = module.emitBinary().length;
    module.dispose();
  };
  const times = repeat(2000, roundTrip);
  result.fresh = times[0];
  result.warm = median(times.length > 1 ? times.slice(1) : times);
} else {
  const require = createRequire(import.meta.url);
  const { runScript } = require(`${root}dist/attach/node/compiled-script.cjs`);
  const { value, keep } = runScript(script, cache);
  const { instrument } = value(require, pathToFileURL(script).href) as typeof Instrument;
  const before = peak();
  const start = performance.now();
  result.size = instrument(bytes).bytes.length;
  result.fresh = performance.now() - start;
  result.memory = peak() - before;
  if (mode === "warm") {
    repeat(1000, () => instrument(bytes));
    result.warm = median(repeat(1000, () => instrument(bytes)));
  } else {
    keep();
  }
}
process.stdout.write(JSON.stringify(result));
