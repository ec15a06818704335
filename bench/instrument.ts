/** How fast modules are instrumented, against a read and write with binaryen.js, and what memory that takes. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { hasPackageFile, packageFile } from "./packages.js";
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

function run(path: string, mode: string): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, packageFile(path), mode], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`${path} ${mode} failed: ${stderr}`);
  return JSON.parse(stdout) as Outcome;
}

export function measureInstrument(filter: string): string {
  const figures = modules
    .filter(([name, path]) => name.includes(filter) && hasPackageFile(path))
    .map(([name, path]) => {
      const fresh = Array.from({ length: freshRuns }, () => run(path, "fresh"));
      const warm = run(path, "warm");
      const binaryen = run(path, "binaryen");
      const speed = (time: number) => warm.bytes / time / 1000;
      return {
        name,
        bytes: warm.bytes,
        fresh: speed(median(fresh.map((it) => it.fresh))),
        warm: speed(warm.warm),
        binaryenFresh: speed(binaryen.fresh),
        binaryenWarm: speed(binaryen.warm),
        size: warm.size / warm.bytes,
        memory: median(fresh.map(({ memory }) => memory)) / warm.bytes,
      };
    });
  const rows = figures.map((it) => [
    it.name,
    (it.bytes / 1e6).toFixed(2),
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
    "module|MB|fresh, MB/s|warm, MB/s|binaryen fresh|binaryen warm|times, fresh|times, warm|output size|peak memory".split(
      "|",
    );
  const mean = (pick: (it: (typeof figures)[number]) => number) =>
    geometricMean(figures.map(pick)).toFixed(1);
  return [
    table(header, rows),
    "",
    `Geometric means: ${mean(({ fresh }) => fresh)} MB/s in a fresh process (goal: at least 30), ${mean(({ warm }) => warm)} warm (goal: at least 60). Output size and peak memory are multiples of the module's size (goal: memory at most 5 times).`,
  ].join("\n");
}
