/**
 * One process that instruments one module: `node instrument-program.js <path> fresh|warm|binaryen`. Prints times
 * in milliseconds, the size of the result and the memory that the process took for it, in bytes.
 */
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { instrument } from "../src/instrument/index.js";
import { packageFile } from "./packages.js";
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

const [path, mode] = process.argv.slice(2);
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
  const before = peak();
  const start = performance.now();
  result.size = instrument(bytes).bytes.length;
  result.fresh = performance.now() - start;
  result.memory = peak() - before;
  if (mode === "warm") {
    repeat(1000, () => instrument(bytes));
    result.warm = median(repeat(1000, () => instrument(bytes)));
  }
}
process.stdout.write(JSON.stringify(result));
