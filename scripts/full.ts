// Everything that takes too long for CI: all tests, the specification run and the example on every supported
// version of Node, the whole corpus, all benchmarks. Writes what it saw to bench/FULL.md.
//
//   LINMEM_CORPUS=directory LINMEM_SPEC=directory npm run full
//   npm run full -- engines            only the part on several versions of Node (or: corpus, bench)
//
// Versions of Node come from the npm package `node`. Exits with 1 when a part fails.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const versions = ["20", "22", "24", "26"];
const parts = ["engines", "corpus", "bench"];
const chosen = process.argv.slice(2);
const unknown = chosen.find((part) => !parts.includes(part));

interface Outcome {
  what: string;
  command: string;
  passed: boolean;
  /** The lines of its output that say how it went. */
  said: string[];
}

const outcomes: Outcome[] = [];

function attempt(what: string, command: string[], telling: RegExp): void {
  process.stdout.write(`${what}: ${command.join(" ")}\n`);
  const { status, stdout, stderr } = spawnSync(command[0], command.slice(1), {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  const said = `${stdout}\n${stderr}`.split("\n").filter((line) => telling.test(line));
  const passed = status === 0;
  process.stdout.write(`${passed ? "passed" : "FAILED"}\n${said.map((line) => `  ${line}\n`).join("")}`);
  outcomes.push({ what, command: command.join(" "), passed, said });
}

function engines(): void {
  const folder = mkdtempSync(join(tmpdir(), "linmem-full-"));
  for (const version of versions) {
    const node = ["npx", "-y", `node@${version}`];
    attempt(`Tests, Node ${version}`, [...node, "scripts/test.mjs"], /^ℹ (tests|pass|fail|skipped) /);
    const spec = [...node, "--import=tsx", "scripts/spec.ts"];
    attempt(`Specification, Node ${version}`, spec, /assertions|differences|^Node/);
    const profile = join(folder, `${version}.linmem`);
    const example = ["dist/cli/main.js", "run", "--out", profile, "examples/thumbnails/app.mjs"];
    attempt(`Example, Node ${version}`, [...node, ...example], /app\.mjs:\d+$/);
  }
  rmSync(folder, { recursive: true });
}

function markdown(): string {
  const sections = outcomes.map(
    ({ what, command, passed, said }) =>
      `## ${what}: ${passed ? "passed" : "failed"}\n\n` +
      `\`${command.replaceAll(tmpdir(), "…")}\`\n\n\`\`\`\n${said.join("\n")}\n\`\`\`\n`,
  );
  const head = `# Full run\n\n${new Date().toISOString().slice(0, 10)}, ${process.platform} ${process.arch}; \`npm run full\`.\n`;
  return [head, ...sections].join("\n");
}

if (unknown !== undefined) {
  process.stderr.write(`full: no part named ${unknown}: engines, corpus or bench\n`);
  process.exitCode = 2;
} else {
  const wanted = (part: string) => chosen.length === 0 || chosen.includes(part);
  if (wanted("engines")) engines();
  if (wanted("corpus")) attempt("Corpus", ["npm", "run", "corpus", "--", "--write"], /^\|/);
  if (wanted("bench")) {
    attempt("Benchmarks", ["npm", "run", "bench", "--", "--write"], /^\||mean/);
    attempt("Bounds", ["npm", "run", "bench:bounds", "--", "--write"], /^\|/);
  }
  writeFileSync(join(root, "bench/FULL.md"), markdown());
  if (outcomes.some(({ passed }) => !passed)) process.exitCode = 1;
}
