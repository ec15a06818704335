// Finds allocators in modules whose names are known, after taking the names away, and prints how often it was right.
//
//   npm run strip-matrix                               builds with the toolchains that are here (strip-matrix/build.ts)
//   npm run strip-matrix -- packages/node_modules      also the modules with names in these folders
//   npm run strip-matrix -- --built                    what was built before, nothing more
//   npm run strip-matrix -- --only Zig --details       builds and tries only what has "Zig" in its name, tells of each
//   npm run strip-matrix -- --as-built                 without the forms that wasm-opt makes
//   npm run strip-matrix -- --held-out                 also details of the modules that rules must not be made from
//   npm run strip-matrix -- --write                    also into bench/STRIP-MATRIX.md
//
// Exits with 1 when a function was found that is none.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { findAllocator } from "../src/instrument/find-allocator.js";
import { detectToolchain } from "../src/instrument/toolchain.js";
import { decodeModule, type Module } from "../src/wasm/module.js";
import { type BuiltModule, buildModules } from "./strip-matrix/build.js";
import { exercise } from "./strip-matrix/exercised.js";
import { functionsWithCopies, inlinedLater, takenOver } from "./strip-matrix/inlined.js";
import { type Comparison, compare, type Kind, kinds, type Truth, truthOf } from "./strip-matrix/truth.js";
import { optimisations, optimised, stripped, withoutDebug } from "./strip-matrix/variants.js";

interface Result extends Comparison {
  toolchain: string;
  allocator: string;
  name: string;
  heldOut: boolean;
  /** Whether anything was found. */
  hooked: boolean;
  /** Whether the compiler put copies of what allocates or releases into other functions. */
  inlined: boolean;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    built: { type: "boolean" },
    only: { type: "string" },
    details: { type: "boolean" },
    "held-out": { type: "boolean" },
    write: { type: "boolean" },
    cache: { type: "string" },
    "as-built": { type: "boolean" },
  },
});

/** Larger modules take binaryen minutes. */
const largestOptimised = 1_200_000;

const cache = values.cache ?? fileURLToPath(new URL("../.cache/strip-matrix", import.meta.url));
const { only } = values;
const results: Result[] = [];
/** How many modules could be run. */
const runs = { confirmed: 0, contradicted: 0, nothing: 0 };
for (const module of modules()) {
  if (only && !`${module.toolchain}, ${module.allocator}, ${module.level}`.includes(only)) continue;
  process.stderr.write(".");
  measure(module);
}
process.stderr.write("\n");
if (results.length === 0) {
  process.stderr.write(
    `strip-matrix: nothing to measure${only ? `: no module has "${only}" in its name` : ""}\n`,
  );
  process.exit(2);
}
const text = report(results);
process.stdout.write(text);
if (values.write)
  writeFileSync(fileURLToPath(new URL("../bench/STRIP-MATRIX.md", import.meta.url)), page(text));
if (results.some((result) => pair(result) === "wrong")) process.exitCode = 1;

function modules(): BuiltModule[] {
  const built = values.built ? earlier() : buildModules(cache, only);
  return [...built, ...positionals.flatMap(collected)];
}

/** What is in the cache; names of files are `toolchain, allocator, level.wasm`. */
function earlier(): BuiltModule[] {
  const folder = join(cache, "built");
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".wasm")) : [];
  return names.flatMap((name) => {
    const [toolchain, allocator, level] = name.slice(0, -".wasm".length).split(", ");
    return level ? [{ file: join(folder, name), toolchain, allocator, level }] : [];
  });
}

/** Modules of packages whose names, or exports, tell where the allocator is. Each content once. */
function collected(folder: string): BuiltModule[] {
  const seen = new Set<string>();
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .sort()
    .flatMap((path) => {
      const file = join(folder, path);
      if (!path.endsWith(".wasm") || !statSync(file).isFile()) return [];
      const bytes = readFileSync(file);
      const digest = createHash("sha1").update(bytes).digest("hex");
      if (seen.has(digest)) return [];
      seen.add(digest);
      try {
        const module = decodeModule(bytes);
        const truth = new Set(truthOf(module, true).kinds.values());
        if (!truth.has("malloc")) return [];
        const [scope, name] = path.split(/[\\/]/);
        const packageName = scope.startsWith("@") ? `${scope}/${name}` : scope;
        const toolchain = `npm: ${detectToolchain(module).replace(/ .*/, "")}`;
        return [{ file, toolchain, allocator: packageName, level: basename(path) }];
      } catch {
        return [];
      }
    });
}

function measure({ file, toolchain, allocator, level }: BuiltModule): void {
  const bytes = new Uint8Array(readFileSync(file));
  // a package, or a toolchain with its version and level, is held out as a whole
  const group = toolchain.startsWith("npm") ? allocator : `${toolchain}, ${level}`;
  const heldOut = createHash("sha1").update(group).digest()[0] % 3 === 0;
  const whole = decodeModule(bytes);
  const forms = [{ name: "", bytes }];
  const isNamed = (whole.names.functions?.size ?? 0) > 0;
  const input = withoutDebug(whole);
  if (!values["as-built"] && isNamed && input.length <= largestOptimised) {
    // two levels each, other ones for each module; the same in every checkout
    const first = createHash("sha1").update(`${toolchain}, ${allocator}, ${level}`).digest()[1];
    for (const step of [0, 2]) {
      const optimisation = optimisations[(first + step) % optimisations.length];
      const again = cachedOptimised(file, input, optimisation);
      if (again) forms.push({ name: `, wasm-opt -${optimisation}`, bytes: again });
    }
  }
  const truthOfWhole = truthOf(whole, true);
  const copies = functionsWithCopies(whole, truthOfWhole);
  for (const form of forms) {
    const named = decodeModule(form.bytes);
    const truth = truthOf(named, true);
    const { functions } = findAllocator(decodeModule(stripped(named)));
    if (!new Set(truth.kinds.values()).has("malloc")) continue;
    const comparison = exercised(named, truth, compare(truth, functions, takenOver(truthOfWhole, truth)));
    results.push({
      toolchain,
      allocator,
      name: `${allocator}, ${level}${form.name}`,
      heldOut,
      hooked: functions.length > 0,
      inlined: copies.length > 0 || inlinedLater(truthOfWhole, truth).length > 0,
      ...comparison,
    });
  }
}

/** What a run of the exported functions shows, where they run: of a module without other names it decides. */
function exercised(module: Module, truth: Truth, comparison: Comparison): Comparison {
  const { outcome, how } = exercise(module);
  runs[outcome]++;
  const { verdicts, details } = comparison;
  if (outcome === "contradicted")
    return { verdicts: { ...verdicts, malloc: "wrong" }, details: [...details, how] };
  if (outcome === "nothing" || !truth.partial) return comparison;
  return { verdicts: { ...verdicts, malloc: "right", free: "right" }, details };
}

function cachedOptimised(
  file: string,
  bytes: Uint8Array<ArrayBuffer>,
  level: (typeof optimisations)[number],
): Uint8Array<ArrayBuffer> | undefined {
  const folder = join(cache, "optimised");
  mkdirSync(folder, { recursive: true });
  const digest = createHash("sha1").update(bytes).digest("hex").slice(0, 12);
  const path = join(folder, `${basename(file, ".wasm")} ${digest} ${level}.wasm`);
  if (existsSync(path)) {
    const known = new Uint8Array(readFileSync(path));
    return known.length > 0 ? known : undefined;
  }
  const made = optimised(bytes, level);
  writeFileSync(path, made ?? new Uint8Array());
  return made;
}

/** malloc and free together: one without the other is no use. */
function pair({ verdicts, hooked, inlined }: Result): "right" | "not found" | "wrong" | "nothing to hook" {
  const both = [verdicts.malloc, verdicts.free];
  if (kinds.some((kind) => verdicts[kind] === "wrong")) return "wrong";
  if (inlined) return hooked ? "wrong" : "nothing to hook";
  // where nothing releases (stub runtimes, releases inlined into a collector), to hook nothing is right
  if (verdicts.free === "none" && !hooked) return "nothing to hook";
  return both.every((verdict) => verdict === "right" || verdict === "none") ? "right" : "not found";
}

function tableOf(rows: readonly Result[]): string {
  const head = [
    "Toolchain",
    "modules",
    "malloc and free: right",
    "not found",
    "wrong",
    "nothing to hook",
    ...kinds,
  ];
  const lines = [head, head.map(() => "---")];
  const groups = new Map<string, Result[]>();
  for (const row of rows) groups.set(row.toolchain, [...(groups.get(row.toolchain) ?? []), row]);
  for (const [name, members] of [...groups].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }))) {
    lines.push(line(name, members));
  }
  lines.push(line("**All**", rows));
  return lines.map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}

/** Where the percentages are: what was not found, by toolchain and allocator, the most frequent first. */
function missedTable(rows: readonly Result[]): string {
  const groups = new Map<string, { missed: number; countable: number }>();
  for (const row of rows) {
    const verdict = pair(row);
    if (verdict === "nothing to hook") continue;
    const isPackage = row.toolchain.startsWith("npm");
    const name = `${row.toolchain.replace(/ [\d.]+$/, "")} | ${isPackage ? "" : row.allocator}`;
    const group = groups.get(name) ?? { missed: 0, countable: 0 };
    group.countable++;
    if (verdict !== "right") group.missed++;
    groups.set(name, group);
  }
  const countable = [...groups.values()].reduce((sum, group) => sum + group.countable, 0);
  const lines = [...groups]
    .filter(([, { missed }]) => missed > 0)
    .sort(([, a], [, b]) => b.missed - a.missed)
    .map(([name, group]) => {
      const share = ((100 * group.missed) / countable).toFixed(1);
      return `| ${name} | ${group.missed} of ${group.countable} | ${share} |\n`;
    });
  const head = "| Toolchain | allocator | not right | points of all |\n| --- | --- | --- | --- |\n";
  return lines.length > 0 ? head + lines.join("") : "Nothing.\n";
}

function line(name: string, members: readonly Result[]): string[] {
  const count = (verdict: string) => members.filter((member) => pair(member) === verdict).length;
  const countable = members.length - count("nothing to hook");
  const share = countable > 0 ? ` (${((100 * count("right")) / countable).toFixed(1)} %)` : "";
  const each = (kind: Kind) => {
    const of = (verdict: string) => members.filter(({ verdicts }) => verdicts[kind] === verdict).length;
    return `${of("right")} / ${of("not found")} / ${of("wrong")}`;
  };
  return [
    name,
    String(members.length),
    `${count("right")}${share}`,
    String(count("not found")),
    String(count("wrong")),
    String(count("nothing to hook")),
    ...kinds.map(each),
  ];
}

function report(all: readonly Result[]): string {
  const tuned = all.filter(({ heldOut }) => !heldOut);
  const held = all.filter(({ heldOut }) => heldOut);
  const shown = values["held-out"] ? all : tuned;
  const details = values.details
    ? shown
        .filter((row) => !["right", "nothing to hook"].includes(pair(row)) || row.details.length > 0)
        .map(
          (row) =>
            `- ${row.toolchain}, ${row.name}: ${pair(row)}${row.details.length > 0 ? `: ${row.details.join("; ")}` : ""}\n`,
        )
        .join("")
    : "";
  const parts = [
    "Modules that rules may be made from (kinds: right / not found / wrong):\n",
    tableOf(tuned),
    "Held out:\n",
    tableOf(held),
    "Where the percentages are, of those that rules may be made from:\n",
    missedTable(tuned),
    `Exported functions that run: in ${runs.confirmed} modules every block they give is recorded once and gone when it is released, ` +
      `in ${runs.contradicted} not; in ${runs.nothing} there are none, nothing is hooked, or they need the program around them.\n`,
    ...(details ? ["Not right:\n", details] : []),
  ];
  return `${parts.join("\n")}\n`;
}

/** The command as it was given; of folders elsewhere the last two names, which tell enough. */
function command(): string {
  const words = process.argv.slice(2).map((word) => {
    const short = isAbsolute(word) ? `…/${word.split(/[\\/]/).filter(Boolean).slice(-2).join("/")}` : word;
    return /\s/.test(short) ? `'${short}'` : short;
  });
  return ["npm run strip-matrix --", ...words].join(" ");
}

function page(tables: string): string {
  return `# Finding allocators without names

Modules whose names are known, with their names taken away and their exports numbered, against what the names \
say: \`${command()}\`, ${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}.
Each module as it was built, and twice more through wasm-opt. *Right*: every function through which blocks are made \
or released is hooked, and nothing else. Modules in which nothing releases \
(stub runtimes, releases that were inlined into a collector), or of which DWARF says that copies of what allocates or \
releases are in other functions, and in which nothing was hooked, are counted under *nothing to hook* and left out of \
the percentages; where there are such copies, to hook anything is wrong. A third of the toolchain, version and level groups and of the packages is \
held out: nobody looks at those while making rules. Where what modules export runs outside of its program, it is run: blocks that \`malloc\` gives \
have to be recorded, once, and be gone when \`free\` took them. That decides of modules of which only exports have names, and any other is wrong by it.

${tables}`;
}
