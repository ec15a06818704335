/**
 * `npm run bench:symbols -- [--write] [module.wasm …]`: looks up source positions in modules with much DWARF: one
 * of 100 MiB, made of copies of the debug sections of a Rust program, and those that are named. Prints
 * markdown, and with --write puts it into bench/RESULTS.md.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { openFile } from "../src/cli/symbol-files.js";
import { findPositions } from "../src/wasm/dwarf/index.js";
import { decodeModule, encodeModule, makeSection } from "../src/wasm/module.js";
import { sectionId } from "../src/wasm/types.js";
import { root } from "./packages.js";
import { circumstances, writeResults } from "./results.js";

const repeated = new Set([".debug_info", ".debug_line", ".debug_str"]);
const mebibyte = 1 << 20;

/** A module of about `size` bytes, whose debug information is that of another one in copies. */
function enlarge(path: string, size: number): string {
  const module = decodeModule(new Uint8Array(readFileSync(path)));
  const payload = (name: string) => {
    const { bytes, payloadStart } = module.custom(name)!;
    return bytes.subarray(payloadStart);
  };
  const one = [...repeated].reduce((sum, name) => sum + payload(name).length, 0);
  const copies = Math.ceil(size / one);
  const sections = module.sections.map((section) => {
    if (!repeated.has(section.name ?? "")) return section;
    const part = payload(section.name!);
    const all = new Uint8Array(part.length * copies);
    for (let i = 0; i < copies; i++) all.set(part, i * part.length);
    return makeSection(sectionId.custom, all, section.name);
  });
  const file = join(folder, `${basename(path, ".wasm")}-large.wasm`);
  writeFileSync(file, encodeModule(sections));
  return file;
}

interface Row {
  name: string;
  megabytes: number;
  addresses: number;
  found: number;
  milliseconds: number;
  memory: number;
  read: number;
}

/** The most that this process ever had. Linux tells `getrusage` what the parent had, if that was more. */
function peakBytes(): number {
  try {
    const [, kibibytes] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8"))!;
    return Number(kibibytes) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}

function measure(path: string, count: number): Row {
  const file = openFile(path);
  const { start, end } = file.code!;
  const step = (end - start) / count;
  const addresses = Array.from({ length: count }, (_, i) => Math.floor(1 + i * step));
  const { source } = file;
  const readAt = source.read;
  let read = 0;
  source.read = (from, to) => {
    read += to - from;
    return readAt(from, to);
  };
  const before = process.memoryUsage().rss;
  const began = performance.now();
  const { positions, notes } = findPositions(file.debug, addresses);
  const milliseconds = performance.now() - began;
  // the largest that the process ever was: garbage counts too
  const memory = Math.max(0, peakBytes() - before) / mebibyte;
  if (notes.length > 0) throw new Error(notes.join("; "));
  file.close();
  return {
    name: basename(path),
    megabytes: statSync(path).size / mebibyte,
    addresses: count,
    found: positions.size,
    milliseconds,
    memory,
    read: read / mebibyte,
  };
}

/** Measures in a process of its own, whose peak is that of the lookup alone. */
function measureApart(path: string, count: number): Row {
  const script = fileURLToPath(import.meta.url);
  const output = execFileSync(process.execPath, [script, "--measure", path, String(count)], {
    encoding: "utf8",
  });
  return JSON.parse(output);
}

let folder = "";

function main(): void {
  const named = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
  const files = [...named, enlarge(`${root}test/fixtures/symbols/rust-4-O0.wasm`, 100 * mebibyte)];
  const rows = files.flatMap((path) => [measureApart(path, 20), measureApart(path, 500)]);
  const lines = [
    "## Symbols",
    "",
    "Looking up addresses spread evenly over the code of a module with DWARF, from its file. Memory: peak of the process over what it had before, its code and garbage included. rust-4-O0-large: the debug information of a small Rust program in copies, all of whose units have to be looked at.",
    "",
    "| module | MiB | addresses | with a position | ms | MiB read | MiB memory |",
    "|---|---:|---:|---:|---:|---:|---:|",
    ...rows.map(
      ({ name, megabytes, addresses, found, milliseconds, memory, read }) =>
        `| ${name} | ${megabytes.toFixed(1)} | ${addresses} | ${found} | ${milliseconds.toFixed(0)} | ${read.toFixed(1)} | ${memory.toFixed(0)} |`,
    ),
    "",
    `Measured ${circumstances("npm run bench:symbols")}`,
  ];
  const text = lines.join("\n");
  process.stdout.write(`${text}\n`);
  if (process.argv.includes("--write")) writeResults("symbols", text);
}

if (process.argv[2] === "--measure") {
  process.stdout.write(JSON.stringify(measure(process.argv[3], Number(process.argv[4]))));
} else {
  folder = mkdtempSync(join(tmpdir(), "linmem-symbols-"));
  try {
    main();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
