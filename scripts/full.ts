// Everything that takes too long for CI: all tests, the specification run and the example on every supported version of
// Node, checks on those that check in different ways, the whole corpus, all benchmarks. The last result of each job is
// kept in bench/FULL.md.
//
//   LINMEM_CORPUS=directory LINMEM_SPEC=directory npm run full
//   npm run full -- check                   one part: engines, check, corpus or bench
//   npm run full -- engines 24              of a part, the jobs that have "24" in their names
//   npm run full -- --list                  names of all jobs; nothing is run
//
// Versions of Node come from the npm package `node`. What is interrupted is written down as stopped. Exits with 1 when
// a job fails, with 2 when none was chosen.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chooseJobs, type Job, listJobs, parts } from "./full/jobs.js";
import { type Result, withResult } from "./full/page.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const page = join(root, "bench/FULL.md");
const folder = mkdtempSync(join(tmpdir(), "linmem-full-"));
const jobs = listJobs(join(folder, "example.linmem"));
const words = process.argv.slice(2).filter((word) => !word.startsWith("-"));
const chosen = chooseJobs(jobs, words);

if (process.argv.includes("--list")) {
  process.stdout.write(chosen.map(({ part, name }) => `${part}: ${name}\n`).join(""));
} else if (chosen.length === 0) {
  process.stderr.write(`full: no job is called ${words.join(" ")}; parts are ${parts.join(", ")}\n`);
  process.exitCode = 2;
} else {
  for (const job of chosen) {
    const result = await run(job);
    const before = existsSync(page) ? readFileSync(page, "utf8") : "";
    const names = jobs.map(({ name }) => name);
    writeFileSync(page, withResult(before, names, result));
    if (result.outcome !== "passed") process.exitCode = 1;
    if (result.outcome === "stopped") break;
  }
}
rmSync(folder, { recursive: true, force: true });

/** Runs a job in a group of processes of its own, so that all of it ends when this is interrupted. */
async function run({ name, version, command, telling }: Job): Promise<Result> {
  process.stdout.write(`${name}: ${command.join(" ")}\n`);
  const facts = { name, date: new Date(), commit: commitHere(), node: versionOf(version) };
  const start = performance.now();
  const child = spawn(command[0], command.slice(1), {
    cwd: root,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stopped = false;
  const stop = () => {
    stopped = true;
    if (child.pid) process.kill(-child.pid, "SIGTERM");
  };
  process.on("SIGINT", stop).on("SIGTERM", stop);

  const said: string[] = [];
  const last: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on("line", (line) => {
      if (telling.test(line)) {
        said.push(line);
        process.stdout.write(`  ${line}\n`);
      }
      if (last.push(line) > 15) last.shift();
    });
  }
  const code = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  process.off("SIGINT", stop).off("SIGTERM", stop);

  const outcome = stopped ? "stopped" : code === 0 ? "passed" : "failed";
  process.stdout.write(`${outcome}\n`);
  // Something that failed before it could tell anything says why at its end.
  if (outcome === "failed" && said.length === 0) said.push(...last);
  return {
    ...facts,
    outcome,
    minutes: Math.ceil((performance.now() - start) / 60_000),
    command: command.map((word) => word.replace(folder, "…")).join(" "),
    said,
  };
}

/** With a remark when there are changes that aren't committed; what runs write to bench/*.md is none. */
function commitHere(): string {
  const git = (...args: string[]) => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
  const changed = git("status", "--porcelain", "--", ".", ":!bench/*.md") !== "";
  return `${git("rev-parse", "--short", "HEAD")}${changed ? " and changes" : ""}`;
}

/** As Node itself says it; where it can't be had, what asks for it next fails and tells why. */
function versionOf(version: string | undefined): string {
  if (version === undefined) return process.versions.node;
  const ask = ["-y", `node@${version}`, "-p", "process.versions.node"];
  return spawnSync("npx", ask, { cwd: root, encoding: "utf8" }).stdout.trim() || version;
}
