/**
 * What finding the allocator takes of `instrument()`, and of modules whose names were taken away:
 * `LINMEM_CORPUS=directory npm run bench:finding -- [filter] [--write]`. Processor time, all in one process, in turn; a
 * module is decoded anew for each round. In one thread (`--single-threaded`): otherwise what the engine's other threads clear
 * away of the round before falls on whatever is being measured, ten times as much as finding takes.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { stripped } from "../scripts/strip-matrix/variants.js";
import { findAllocator } from "../src/instrument/find-allocator.js";
import { damagedNames, instrument } from "../src/instrument/index.js";
import { findCallers } from "../src/instrument/reachability.js";
import { detectToolchain } from "../src/instrument/toolchain.js";
import { findSites } from "../src/instrument/walker.js";
import { decodeModule } from "../src/wasm/module.js";
import { corpusDirectory } from "../test/support/shared.js";
import { circumstances, writeResults } from "./results.js";
import { median } from "./statistics.js";
import { table } from "./tables.js";

const modules: readonly (readonly [string, string])[] = [
  ["photon", "@silvia-odwyer/photon-node/photon_rs_bg.wasm"],
  ["resvg", "@resvg/resvg-wasm/index_bg.wasm"],
  ["lightningcss", "lightningcss-wasm/lightningcss_node.wasm"],
  ["tiktoken", "tiktoken/tiktoken_bg.wasm"],
  ["source-map", "source-map/lib/mappings.wasm"],
  ["pdfium", "@embedpdf/pdfium/dist/pdfium.wasm"],
  ["quickjs debug", "@jitl/quickjs-wasmfile-debug-sync/dist/emscripten-module.wasm"],
  ["quickjs", "@jitl/quickjs-wasmfile-release-sync/dist/emscripten-module.wasm"],
  ["sql.js debug", "sql.js/dist/sql-wasm-debug.wasm"],
  ["sql.js", "sql.js/dist/sql-wasm.wasm"],
  ["web-tree-sitter debug", "web-tree-sitter/debug/web-tree-sitter.wasm"],
  ["web-tree-sitter", "web-tree-sitter/web-tree-sitter.wasm"],
  ["anan", "@fluffylabs/anan-as/dist/build/release.wasm"],
  ["gofmt", "@wasm-fmt/gofmt/gofmt.wasm"],
  ["esbuild", "esbuild-wasm/esbuild.wasm"],
  ["md4w", "md4w/js/md4w-fast.wasm"],
];
const warmUp = 3;
const rounds = 9;

/** Milliseconds of processor time. */
function timed(work: () => void): number {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

/**
 * What the rest of `instrument()` decodes of any module counts with the rest: types, exports and data, names for the
 * toolchain and for damage, producers for the toolchain. So does turning the calls round, from which it sees what reaches
 * the allocator.
 */
function find(bytes: Uint8Array<ArrayBuffer>): number {
  const module = decodeModule(bytes);
  const sites = findSites(module);
  detectToolchain(module);
  damagedNames(module);
  void [module.types, module.imports, module.functions, module.exports, module.globals, module.elements];
  void module.initialData;
  const callers = findCallers(module, sites);
  return timed(() => findAllocator(module, [], sites, undefined, callers));
}

function measure(name: string, bytes: Uint8Array<ArrayBuffer>): string[] {
  const nameless = new Uint8Array(stripped(decodeModule(bytes)));
  const figures = Array.from({ length: warmUp + rounds }, () => {
    const finding = find(bytes);
    const whole = timed(() => instrument(bytes));
    return { finding, whole, share: finding / Math.max(whole - finding, whole / 100) };
  }).slice(warmUp);
  const first = find(nameless);
  const again = Array.from({ length: 2 }, () => find(nameless));
  const { functions } = findAllocator(decodeModule(bytes));
  const { names } = decodeModule(bytes);
  return [
    name,
    (bytes.length / 1e6).toFixed(2),
    (names.functions?.size ?? 0) > 0 ? "yes" : "no",
    functions[0]?.evidence.replace(/ .*/, "") ?? "–",
    median(figures.map(({ finding }) => finding)).toFixed(1),
    median(figures.map(({ whole }) => whole)).toFixed(1),
    shareText(median(figures.map(({ share }) => share))),
    median([first, ...again]).toFixed(0),
  ];
}

/** In percent; what is tried out takes nearly all there is. */
function shareText(share: number): string {
  return share > 10 ? "nearly all" : `${(100 * share).toFixed(0)} %`;
}

const filter = process.argv.slice(2).find((word) => !word.startsWith("--")) ?? "";
const corpus = corpusDirectory();
const rows = modules.flatMap(([name, path]) => {
  const file = join(corpus ?? "", "node_modules", path);
  if (!corpus || !existsSync(file) || !name.includes(filter)) return [];
  process.stderr.write(`${name} `);
  return [measure(name, new Uint8Array(readFileSync(file)))];
});
if (rows.length === 0) {
  process.stderr.write("bench: no module of the corpus: name its directory in LINMEM_CORPUS\n");
  process.exit(2);
}
const header = [
  "module",
  "MB",
  "names",
  "found by",
  "finding, ms",
  "instrument(), ms",
  "finding to the rest",
  "stripped, ms",
];
const text = `Processor time of one thread, medians of ${rounds} rounds after ${warmUp}, all in one process. Finding to the rest: what it adds to the rest \
of \`instrument()\`, of each round; goal: at most 20 % where there are names. What the rest reads in any case (names, types, data, who calls whom) counts with it. Stripped: finding once names and exports are gone, median of 3.

${table(header, rows)}

Measured ${circumstances("npm run bench:finding")}`;
process.stdout.write(`\n${text}\n`);
if (process.argv.includes("--write")) writeResults("finding", text);
