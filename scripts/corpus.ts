// Runs every workload of the corpus with and without linmem and prints a table: is the output the same, is what
// leaks attributed to the function that leaks it, what does it cost.
//
//   LINMEM_CORPUS=directory npm run corpus                    the directory may also be an argument
//   npm run corpus -- directory photon resvg                  only these workloads
//   npm run corpus -- directory --n 100                       compares 100 with 300 steps, instead of 40 with 120
//   npm run corpus -- directory --write                       also into bench/CORPUS.md
//
// Exits with 1 when an output differs.
import { existsSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { formatBytes } from "../src/report/format.js";
import {
  Corpus,
  type Finished,
  type Growth,
  growth,
  type Holding,
  leakingMode,
  workloadNames,
} from "../test/corpus/workloads.js";
import { corpusDirectory } from "../test/support/shared.js";

interface Row {
  name: string;
  same: boolean;
  /** Share of the bytes that it holds more that name the function which leaks. */
  attributed?: string;
  cells: string[];
  notes: string[];
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { n: { type: "string", default: "40" }, write: { type: "boolean" } },
});
const given = positionals[0] !== undefined && existsSync(positionals[0]) ? positionals.shift() : undefined;
const directory = given ?? corpusDirectory();
const n = Number(values.n);

if (!directory || !existsSync(directory) || !(n >= 1)) {
  process.stderr.write("corpus: name the corpus' directory, in LINMEM_CORPUS or as an argument\n");
  process.exitCode = 2;
} else {
  const names = workloadNames(directory);
  const unknown = positionals.filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    process.stderr.write(`corpus: no such workload: ${unknown.join(", ")}\n`);
    process.exitCode = 2;
  } else {
    await measureAll(directory, positionals.length > 0 ? positionals : names);
  }
}

async function measureAll(folder: string, names: readonly string[]): Promise<void> {
  const corpus = new Corpus(folder);
  const rows: Row[] = [];
  try {
    for (const name of names) {
      process.stderr.write(`${name} `);
      rows.push(await measure(corpus, name));
    }
  } finally {
    process.stderr.write("\n");
    corpus.remove();
  }
  const text = table(rows);
  process.stdout.write(text);
  if (values.write) writeFileSync(fileURLToPath(new URL("../bench/CORPUS.md", import.meta.url)), page(text));
  process.stdout.write(`\n${summary(rows)}\n`);
  if (rows.some(({ same }) => !same)) process.exitCode = 1;
}

async function measure(corpus: Corpus, name: string): Promise<Row> {
  const raw = await corpus.raw(name, "once");
  const profiled = await corpus.profiled(name, "once");
  const same = raw.stdout === profiled.stdout && raw.code === profiled.code;
  const mode = leakingMode(name);
  const rawLong = await corpus.raw(name, mode, String(3 * n));
  const [less, more] = [await corpus.holding(name, mode, n), await corpus.holding(name, mode, 3 * n)];
  const [freed, freedMore] =
    mode === "free"
      ? [less, more]
      : [await corpus.holding(name, "free", n), await corpus.holding(name, "free", 3 * n)];
  const held = growth(less, more);
  const { recorded } = more;
  const attributed = recorded && held.bytes > 0 ? await attribution(corpus, name, mode, held) : undefined;
  return {
    name,
    same,
    attributed,
    cells: [
      mode,
      recorded
        ? bytes(held.bytes) + (held.at === "peak" && held.bytes > 0 ? " at the high-water mark" : "")
        : `memory ${bytes(more.memoryBytes - less.memoryBytes)}`,
      attributed ?? "–",
      recorded ? bytes(freedMore.end.bytes - freed.end.bytes) : "–",
      recorded ? `${more.captured.toLocaleString("en")} of ${more.outlived.toLocaleString("en")}` : "–",
      recorded ? `${Math.round(more.captureTime)} ms` : "–",
      times(raw, profiled),
      times(rawLong, more.run),
    ],
    notes: [...new Set([...more.reasons, ...countedNote(more)])],
  };
}

/** The share that names the workload's own function; where that is little, also what it is with the causes of callbacks. */
async function attribution(corpus: Corpus, name: string, mode: "leak" | "free", held: Growth) {
  const share = held.attributed / held.bytes;
  if (share >= 0.95) return percent(share);
  const options = ["--async-causes"];
  const caused = growth(
    await corpus.holding(name, mode, n, options),
    await corpus.holding(name, mode, 3 * n, options),
  );
  return `${percent(share)}, with \`--async-causes\` ${percent(caused.attributed / caused.bytes)}`;
}

/** What is said of a guest instead of what it holds. */
function countedNote({ counted }: Holding): string[] {
  if (counted.blocks === 0) return [];
  const { blocks, bytes, collections } = counted;
  const ran = collections > 0 ? `; its collector ran ${collections.toLocaleString("en")} times` : "";
  return [
    `a guest with a collector of its own: ${formatBytes(bytes)} in ${blocks.toLocaleString("en")} blocks counted by stack${ran}`,
  ];
}

/** For whoever only wants to know whether all is well. */
function summary(rows: readonly Row[]): string {
  const same = rows.filter((row) => row.same).length;
  const shares = rows.flatMap(({ name, attributed }) => (attributed ? [`${name} ${attributed}`] : []));
  return `${rows.length} workloads, ${same} with the output that they have without linmem\nattributed: ${shares.join(", ")}`;
}

function table(rows: readonly Row[]): string {
  const head = [
    "Workload",
    "`once` as without linmem",
    "mode",
    `held more by ${3 * n} than by ${n} steps`,
    "attributed",
    `\`free\`: held more by ${3 * n} than by ${n}`,
    "callers captured",
    "spent on captures",
    "time of `once`, raw and profiled",
    `time of ${3 * n} steps, raw and profiled`,
  ];
  const lines = [head, head.map(() => "---")];
  for (const { name, same, cells } of rows) lines.push([name, same ? "yes" : "**no**", ...cells]);
  const notes = rows.flatMap(({ name, notes }) => notes.map((note) => `- ${name}: ${note}\n`));
  const text = lines.map((cells) => `| ${cells.join(" | ")} |\n`).join("");
  return notes.length > 0 ? `${text}\nWhere it is not known what is live:\n\n${notes.join("")}` : text;
}

function page(text: string): string {
  const { model } = cpus()[0] ?? { model: "unknown processor" };
  return `# Corpus

Real packages from npm under \`linmem run\`, as \`npm run corpus -- --write\` measured them: \
${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${process.platform} ${process.arch}, \
${cpus().length} × ${model}.

- *Attributed*: of the bytes by which ${3 * n} steps hold more than ${n}, the share whose stack names the \
workload's own function that forgets to release (\`leak\`; in lightningcss \`free\`, which leaks in correct use).
- More than 100 % are attributed where the rest of what is held became less.
- *At the high-water mark*: a FinalizationRegistry of the package released most of it before the program ended, \
which it does without linmem too.
- *Callers captured*: of the blocks that outlived the call from JavaScript that made them.
- anan keeps in \`free\` too: the package pins each program that it gives to JavaScript until a FinalizationRegistry takes
  it, which never happens in a loop without a pause. With pauses and collections its memory stays the same.
- undici makes a parser of 64 bytes for each connection, in the callback of its socket: no frame of the workload is on that
  stack. It goes on with the one on which the connection was opened (docs/cli.md).
- Times are those of whole processes, start included, one run each: sizes rather than results. \
\`npm run bench\` measures the steady state.

${text}`;
}

function bytes(count: number): string {
  return count < 0 ? `−${formatBytes(-count)}` : formatBytes(count);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function times(raw: Finished, profiled: Finished): string {
  const seconds = (time: number) => `${(time / 1000).toFixed(2)} s`;
  return `${seconds(raw.time)}, ${seconds(profiled.time)}`;
}
