// What a profile costs in a terminal, and what its blocks cost at the end of a run.
//
//   npm run bench:terminal
//
// Writes the table under "Terminal reports and blocks" in bench/RESULTS.md.
import { spawnSync } from "node:child_process";
import { createWriteStream, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { encodeBlocks } from "../src/profile/blocks.js";
import { createRecorder } from "../src/recorder/index.js";
import { examineBlocks } from "../src/recorder/reachability.js";
import { syntheticProfile } from "../test/support/synthetic-profile.js";
import { circumstances, writeResults } from "./results.js";

const rows: [what: string, figure: string][] = [];
const rounds = 5;
const million = 1_000_000;
const megabyte = 1e6;

const folder = mkdtempSync(join(tmpdir(), "linmem-bench-"));
try {
  for (const [snapshots, blocks] of [
    [2, 0],
    [20, million],
  ] as const) {
    const profile = join(folder, `${snapshots}.linmem`);
    const lines = syntheticProfile({ contexts: 100_000, blocks, snapshots });
    await pipeline(Readable.from(lines), createWriteStream(profile));
    const bytes = statSync(profile).size;
    print(`profile of ${snapshots} snapshots, ${blocks} blocks`, `${(bytes / megabyte).toFixed(1)} MB`);
    const read =
      "const { readProfileFile } = await import('./dist/profile/file.js'); await readProfileFile(process.argv[1]);";
    measure("  read", bytes, ["--input-type=module", "--eval", read, profile]);
    measure("  its report", bytes, ["dist/cli/main.js", "report", profile]);
    measure("  its table", bytes, ["dist/cli/main.js", "table", profile, "--sort", "peak"]);
  }
} finally {
  rmSync(folder, { recursive: true });
}
millionBlocks();
writeResults(
  "terminal-reports",
  `Made-up profiles of 100,000 contexts, most of their bytes stacks. Medians of ${rounds} processes, memory beyond that of an
empty process. Goals: report in 2 s, reading within 3 times the file. ${circumstances("npm run bench:terminal")}

| What | |
|---|---:|
${rows.map((row) => `| ${row.join(" | ")} |`).join("\n")}`,
);

/** Median time of processes, and the median of the most memory that each needed beyond an empty one. */
function measure(what: string, bytes: number, args: readonly string[]): void {
  const after = "process.on('exit', () => process.stderr.write('\\n' + process.resourceUsage().maxRSS));";
  const run = (given: readonly string[]) => {
    const begin = performance.now();
    const { status, stderr } = spawnSync(
      process.execPath,
      ["--import", `data:text/javascript,${after}`, ...given],
      {
        encoding: "utf8",
        maxBuffer: 1 << 28,
      },
    );
    if (status !== 0) throw new Error(stderr);
    return { time: performance.now() - begin, memory: Number(stderr.split("\n").at(-1)) * 1024 };
  };
  const empty = run(["--eval", "0"]);
  const all = Array.from({ length: rounds }, () => run(args));
  const memory = median(all.map((one) => one.memory)) - empty.memory;
  print(
    what,
    `${(median(all.map(({ time }) => time)) / 1000).toFixed(2)} s, ${(memory / megabyte).toFixed(0)} MB, ` +
      `${(memory / bytes).toFixed(1)} times the file`,
  );
}

/** Handing out, examining and writing a million live blocks of 64 bytes, of which each points to the next. */
function millionBlocks(): void {
  const recorder = createRecorder({ contextSeen: () => true, captureCaller: () => 0, isNested: () => false });
  const { alloc, allocSlowly, leave } = recorder.imports as unknown as {
    /** Less than 0: nothing was done. */
    alloc(address: number, bytes: number, context: bigint): number;
    allocSlowly(address: number, bytes: number, context: bigint): void;
    leave(): void;
  };
  const memory = new ArrayBuffer(128 << 20);
  const words = new Uint32Array(memory);
  for (let i = 0; i < million; i++) {
    const address = (1 << 20) + 80 * ((i * 7919) % million);
    const context = BigInt(2 + 2 * (i % 100));
    if (alloc(address, 64, context) < 0) allocSlowly(address, 64, context);
    words[address / 4] = (1 << 20) + 80 * (((i + 1) * 7919) % million);
    if (i % 200 === 0) leave();
  }
  leave();
  words[0] = 1 << 20;
  const times: Record<"handed out" | "examined" | "encoded", number[]> = {
    "handed out": [],
    examined: [],
    encoded: [],
  };
  let length = 0;
  for (let round = 0; round < rounds; round++) {
    let begin = performance.now();
    const lap = (name: keyof typeof times) => {
      const now = performance.now();
      times[name].push(now - begin);
      begin = now;
    };
    const blocks = recorder.blocks()!;
    if (blocks.count !== million) throw new Error(`${blocks.count} blocks`);
    lap("handed out");
    if (!examineBlocks(memory, blocks, { ranges: [[0, 1 << 20]], values: [] }, () => false))
      throw new Error();
    lap("examined");
    length = 0;
    for (const record of encodeBlocks(blocks, 1, 0)) length += JSON.stringify(record).length;
    lap("encoded");
  }
  for (const [name, all] of Object.entries(times))
    print(`a million blocks, ${name}`, `${median(all).toFixed(0)} ms`);
  print("a million blocks, in the profile", `${(length / megabyte).toFixed(1)} MB`);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

function print(what: string, figure: string): void {
  rows.push([what.trim(), figure]);
  process.stdout.write(`${what.padEnd(44)}  ${figure}\n`);
}
