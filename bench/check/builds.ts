/** The C program of the measurements (kernels.c), as Debian's Emscripten 3.1.6 builds it in different ways. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { root } from "../packages.js";

/** What Emscripten is told beside the options that all have. */
export const builds = {
  plain: [],
  asan: ["-fsanitize=address", "-sINITIAL_MEMORY=268435456"],
  "safe-heap": ["-sSAFE_HEAP=1"],
} as const;

export type BuildName = keyof typeof builds;

const options = "-O2 -sMODULARIZE -sENVIRONMENT=node -sALLOW_MEMORY_GROWTH --no-entry".split(" ");
const source = `${root}bench/check/kernels.c`;
const folder = `${root}.cache/bench-check/`;

/** Names of the kernels, as exported. */
export const kernels = [...readFileSync(source, "utf8").matchAll(/^KERNEL\((\w+)\)/gm)].map(
  ([, name]) => name,
);

/** Builds what is not there, or older than the source. */
export function ensureBuilds(): void {
  mkdirSync(folder, { recursive: true });
  // for the scripts that it makes
  writeFileSync(`${folder}package.json`, '{ "type": "commonjs" }');
  for (const [name, own] of Object.entries(builds)) {
    const file = `${folder}${name}.js`;
    const built = statSync(file, { throwIfNoEntry: false });
    if (built && built.mtimeMs > statSync(source).mtimeMs) continue;
    // Debian's Emscripten looks for packages of Debian's
    const env = { NODE_PATH: "/usr/share/nodejs", ...process.env };
    const { status, error } = spawnSync("emcc", [source, ...options, ...own, "-o", file], {
      stdio: "inherit",
      env,
    });
    if (error || status !== 0) throw new Error(`emcc could not build ${source}`);
  }
}

function moduleOf(name: BuildName): Buffer {
  return readFileSync(`${folder}${name}.wasm`);
}

/** A kernel: does so many units of work, and returns a checksum. */
export type Kernel = (rounds: number) => number;

/** Instantiates a build anew. Its memory is exported, or one that its script made. */
export async function loadBuild(name: BuildName): Promise<Record<string, Kernel>> {
  const require = createRequire(import.meta.url);
  const file = `${folder}${name}.js`;
  delete require.cache[file];
  const make = require(file) as (module: object) => Promise<Record<string, Kernel>>;
  const module = await make({ wasmBinary: moduleOf(name) });
  return Object.fromEntries(kernels.map((kernel) => [kernel, (rounds) => module[`_${kernel}`](rounds)]));
}
