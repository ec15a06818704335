// Runs the bug suite and prints what is found in each of its modules, by each way of checking; and for its C sources, where
// Emscripten's compiler is installed, what its AddressSanitizer finds in the same cases.
//
//   npm run bug-suite              all of it
//   npm run bug-suite -- c-O2      modules whose name contains that, and no comparison
//
// Exits with 1 when something is missed that isn't known to be, a clean twin has a finding, or two ways differ.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { table } from "../bench/tables.js";
import { bugModules, bugsFolder, kindOf, knownMissed, runCase } from "../test/support/bug-suite.js";
import { waysToCheck } from "../test/support/checking.js";

const [filter] = process.argv.slice(2);
const chosen = bugModules.filter(({ file }) => file.includes(filter ?? ""));
const inline = waysToCheck.at(-1)!.inline;
let failed = false;

process.stdout.write(
  `Node.js ${process.version}; ways: ${waysToCheck.map(({ name }) => name).join(", ")}\n\n`,
);
const rows = chosen.map((module) => {
  let [found, missed, falseFindings, different] = [0, 0, 0, 0];
  let unexpected = 0;
  for (const name of module.cases) {
    const [first, ...others] = waysToCheck.map((way) => {
      if (runCase(module, name, { inline: way.inline, bad: false }).found.length > 0) falseFindings++;
      return runCase(module, name, { inline: way.inline, bad: true });
    });
    const isFound = first!.kinds[0] === kindOf(name);
    if (isFound) found++;
    else missed++;
    if (others.some((other) => other.found.join() !== first!.found.join())) different++;
    if (!isFound && knownMissed[module.file]?.[name] === undefined) unexpected++;
  }
  failed ||= unexpected + falseFindings + different > 0;
  return [module.file, ...[module.cases.length, found, missed, falseFindings, different].map(String)];
});
const total = ["all", "", "", "", "", ""].map((cell, column) =>
  column === 0 ? cell : String(rows.reduce((sum, row) => sum + Number(row[column]), 0)),
);
const titles = ["module", "cases", "found", "missed", "false", "ways differ"];
process.stdout.write(`${table(titles, [...rows, total])}\n`);
const names = new Set(chosen.flatMap(({ cases }) => cases));
process.stdout.write(`\n${names.size} different cases.\n`);
const reasons = new Map<string, string[]>();
for (const { file } of chosen) {
  for (const [name, why] of Object.entries(knownMissed[file] ?? {})) {
    reasons.set(why, [...(reasons.get(why) ?? []), `${file}: ${name}`]);
  }
}
if (reasons.size > 0) process.stdout.write("\nWhat is known to be missed, and why:\n");
for (const [why, cases] of reasons) {
  process.stdout.write(`- ${why}:\n${cases.map((name) => `    ${name}\n`).join("")}`);
}
if (filter === undefined) compareWithSanitizer();
if (failed) process.exitCode = 1;

/** Path of a build of a source with AddressSanitizer; undefined when it can't be made. */
function buildWithSanitizer(source: string): string | undefined {
  const folder = fileURLToPath(new URL("../.cache/bug-suite/", import.meta.url));
  mkdirSync(folder, { recursive: true });
  // for the scripts that emcc makes
  writeFileSync(`${folder}package.json`, '{ "type": "commonjs" }');
  const script = folder + source.replace(".c", ".js");
  if (existsSync(script)) return script;
  const options =
    "-O1 -fno-builtin -fsanitize=address -sINITIAL_MEMORY=268435456 -sMODULARIZE -sENVIRONMENT=node --no-entry";
  // Debian's Emscripten looks for packages of Debian's
  const env = { NODE_PATH: "/usr/share/nodejs", ...process.env };
  const { status } = spawnSync("emcc", [bugsFolder + source, ...options.split(" "), "-o", script], { env });
  return status === 0 ? script : undefined;
}

/** What AddressSanitizer says of a case, in its words. */
function sanitizerFinds(script: string, name: string): string {
  const wasm = script.replace(".js", ".wasm");
  const program = `const wasmBinary = require("fs").readFileSync(${JSON.stringify(wasm)});
    const print = (line) => process.stdout.write(line + "\\n");
    require(${JSON.stringify(script)})({ wasmBinary, printErr: print }).then((module) => module._${name}(1)).catch(print);`;
  const { stdout } = spawnSync(process.execPath, ["-e", program], { encoding: "utf8", timeout: 60_000 });
  const [, what = ""] = /ERROR: AddressSanitizer: ([^\n]*)/.exec(stdout) ?? [];
  return what.replace(/:? on( unknown)? address.*| on 0x.*| in thread.*|:? 0x.*/, "").trim();
}

function compareWithSanitizer(): void {
  const rows: string[][] = [];
  for (const [source, file] of [
    ["bugs.c", "c-O0.wasm"],
    ["beyond.c", "beyond.wasm"],
  ] as const) {
    const module = bugModules.find((it) => it.file === file)!;
    const script = buildWithSanitizer(source);
    if (script === undefined) {
      process.stdout.write("\nNo comparison with AddressSanitizer: emcc is not here, or failed.\n");
      return;
    }
    for (const name of module.cases) {
      const [own = ""] = runCase(module, name, { inline, bad: true }).kinds;
      rows.push([name, own, sanitizerFinds(script, name)]);
    }
  }
  const those = (condition: (own: string, other: string) => boolean) =>
    rows.filter(([, own, other]) => condition(own!, other!)).map(([name]) => name);
  const both = those((own, other) => own !== "" && other !== "");
  const more = those((own, other) => own !== "" && other === "");
  const less = those((own, other) => own === "" && other !== "");
  process.stdout.write(`\n${table(["case", "linmem check", "AddressSanitizer"], rows)}\n\n`);
  process.stdout.write(
    `Of ${rows.length} both find ${both.length}; only linmem check ${more.length}: ${more.join(", ")}; ` +
      `only AddressSanitizer ${less.length}: ${less.join(", ")}.\n`,
  );
}
