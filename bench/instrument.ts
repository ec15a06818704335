/** How fast modules are instrumented, against a read and write with binaryen.js, and what memory that takes. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { hasPackageFile, packageFile, root } from "./packages.js";
import { geometricMean, median } from "./statistics.js";
import { table } from "./tables.js";

const modules: readonly (readonly [string, string])[] = [
  ["web-tree-sitter", "web-tree-sitter/web-tree-sitter.wasm"],
  ["quickjs", "@jitl/quickjs-wasmfile-release-sync/dist/emscripten-module.wasm"],
  ["sql.js", "sql.js/dist/sql-wasm.wasm"],
  ["resvg", "@resvg/resvg-wasm/index_bg.wasm"],
  ["pdfium", "@embedpdf/pdfium/dist/pdfium.wasm"],
  ["canvaskit", "canvaskit-wasm/bin/canvaskit.wasm"],
  ["esbuild", "esbuild-wasm/esbuild.wasm"],
];
const freshRuns = 7;
const program = fileURLToPath(new URL("instrument-program.js", import.meta.url));

type Outcome = Record<"bytes" | "size" | "fresh" | "warm" | "memory", number>;

/** A process with what an earlier one left in `cache`. */
type Run = (path: string, mode: string, cache: string) => Outcome;

/** @param folder for the script with the instrumenter and for what V8 compiled of it */
async function runner(folder: string): Promise<Run> {
  const { bundleScript } = (await import(pathToFileURL(`${root}scripts/bundle-script.mjs`).href)) as {
    bundleScript(entry: string): Promise<string>;
  };
  const script = join(folder, "instrument.cjs");
  writeFileSync(script, await bundleScript(`${root}src/instrument/index.ts`));
  return (path, mode, cache) => {
    const args = [program, packageFile(path), mode, script, join(folder, cache)];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`${path} ${mode} failed: ${stderr}`);
    return JSON.parse(stdout) as Outcome;
  };
}

export async function measureInstrument(filter: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "linmem-bench-"));
  try {
    const run = await runner(folder);
    return report(
      modules
        .filter(([name, path]) => name.includes(filter) && hasPackageFile(path))
        .map(([name, path]) => measure(run, name, path)),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function measure(run: Run, name: string, path: string) {
  const rounds = Array.from({ length: freshRuns }, (_, round) => ({
    first: run(path, "fresh", `${name}.${round}`).fresh,
    ...run(path, "fresh", `${name}.0`),
  }));
  const warm = run(path, "warm", "warm");
  const binaryen = run(path, "binaryen", "binaryen");
  const speed = (time: number) => warm.bytes / time / 1000;
  return {
    name,
    bytes: warm.bytes,
    first: speed(median(rounds.map(({ first }) => first))),
    fresh: speed(median(rounds.map(({ fresh }) => fresh))),
    warm: speed(warm.warm),
    binaryenFresh: speed(binaryen.fresh),
    binaryenWarm: speed(binaryen.warm),
    size: warm.size / warm.bytes,
    memory: median(rounds.map(({ memory }) => memory)) / warm.bytes,
  };
}

function report(figures: readonly ReturnType<typeof measure>[]): string {
  const rows = figures.map((it) => [
    it.name,
    (it.bytes / 1e6).toFixed(2),
    it.first.toFixed(1),
    it.fresh.toFixed(1),
    it.warm.toFixed(1),
    it.binaryenFresh.toFixed(1),
    it.binaryenWarm.toFixed(1),
    (it.fresh / it.binaryenFresh).toFixed(0),
    (it.warm / it.binaryenWarm).toFixed(0),
    it.size.toFixed(3),
    it.memory.toFixed(1),
  ]);
  const header =
    "module|MB|first, MB/s|fresh, MB/s|warm, MB/s|binaryen fresh|binaryen warm|times, fresh|times, warm|output size|peak memory".split(
      "|",
    );
  const mean = (pick: (it: (typeof figures)[number]) => number) =>
    geometricMean(figures.map(pick)).toFixed(1);
  return [
    table(header, rows),
    "",
    `Geometric means: ${mean(({ fresh }) => fresh)} MB/s in a fresh process (goal: at least 30; ${mean(({ first }) => first)} in the first one ever), ${mean(({ warm }) => warm)} warm (goal: at least 60). Output size and peak memory are multiples of the module's size (goal: memory at most 5 times).`,
  ].join("\n");
}
