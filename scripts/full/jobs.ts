// What `npm run full` runs, in order.

export interface Job {
  /** One of those that can be named on the command line. */
  part: string;
  name: string;
  /** Of Node, as its npm package is asked for; without it, the one that runs this. */
  version?: string;
  command: readonly string[];
  /** Lines of its output that say how it went. */
  telling: RegExp;
}

export const parts = ["engines", "check", "corpus", "bench"];

/** Node 20 is the oldest that is supported; of later ones, those that are maintained. */
const versions = ["20", "22", "24", "26"];

/** Without multiple memories, and with them: checks that call the checker, and checks that are inline. */
const checked = ["20", "24"];

/** `profile` is a file that the example may write. */
export function listJobs(profile: string): Job[] {
  return [
    ...versions.flatMap((version) => engineJobs(version, profile)),
    ...checked.flatMap(checkJobs),
    job(
      "corpus",
      "Corpus",
      ["npm", "run", "corpus", "--", "--write"],
      /^\d+ workloads|^attributed|\*\*no\*\*/,
    ),
    ...benchJobs(),
  ];
}

/** Those that a command line asks for: of its parts, or of all, and with each other word of it in their name. */
export function chooseJobs(jobs: readonly Job[], words: readonly string[]): Job[] {
  const named = words.filter((word) => parts.includes(word));
  const others = words.filter((word) => !parts.includes(word)).map((word) => word.toLowerCase());
  return jobs.filter(
    ({ part, name }) =>
      (named.length === 0 || named.includes(part)) &&
      others.every((word) => name.toLowerCase().includes(word)),
  );
}

/** Counts, what was skipped and why, what failed. */
const tests = /^ℹ (tests|pass|fail|cancelled|skipped|todo) |^\s*﹣ |^test at /;

function engineJobs(version: string, profile: string): Job[] {
  const on = (name: string, command: string[], telling: RegExp) =>
    onVersion(version, "engines", name, command, telling);
  const example = ["dist/cli/main.js", "run", "--out", profile, "examples/thumbnails/app.mjs"];
  return [
    on("Tests", ["scripts/test.mjs"], tests),
    on("Specification", ["--import=tsx", "scripts/spec.ts"], /assertions|skipped|outcomes|differences/),
    on("Example", example, /app\.mjs:\d+$/),
  ];
}

function checkJobs(version: string): Job[] {
  const on = (name: string, command: string[], telling: RegExp) =>
    onVersion(version, "check", name, command, telling);
  return [
    on("Tests of checks", ["scripts/test.mjs", "check/", "cli/check"], tests),
    on(
      "Bug suite",
      ["--import=tsx", "scripts/bug-suite.ts"],
      /^Node|^\| (module|all) |different cases|^Known|^Of \d/,
    ),
    on("Corpus under checks", ["--import=tsx", "scripts/check-corpus.ts"], / errors {2}/),
  ];
}

/** Their figures are in bench/RESULTS.md, where they write them. */
function benchJobs(): Job[] {
  const bench = (name: string, script: string, ...options: string[]) =>
    job("bench", name, ["npm", "run", script, ...options], /mean/i);
  const write = ["--", "--write"];
  return [
    bench("Benchmarks", "bench", ...write),
    bench("Bounds of the recorder", "bench:bounds", ...write),
    bench("Cost of checks", "bench:check", ...write),
    bench("Source positions", "bench:symbols", ...write),
    bench("Terminal reports", "bench:terminal"),
    bench("HTML reports", "bench:report"),
  ];
}

function onVersion(version: string, part: string, name: string, command: string[], telling: RegExp): Job {
  const full = ["npx", "-y", `node@${version}`, ...command];
  return { ...job(part, `${name}, Node ${version}`, full, telling), version };
}

function job(part: string, name: string, command: readonly string[], telling: RegExp): Job {
  return { part, name, command, telling };
}
