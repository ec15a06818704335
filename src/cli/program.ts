/** What `linmem run` and `linmem check` are to run: a script with options of node, or after `--` any command. */
import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import type { Command } from "commander";
import { UsageError } from "../errors.js";

export interface Program {
  /** What to start, with what. */
  start: { command: string; args: readonly string[]; script: boolean };
  /** The script among the arguments for node; undefined when node is asked for something else, or not run. */
  script?: string;
}

/**
 * @param program the arguments of the command that are not its own
 * @throws UsageError when there is nothing to run
 */
export function programOf(command: Command, program: readonly string[]): Program {
  const [name, ...args] = program;
  if (name === undefined) throw new UsageError("nothing to run: name a script, or -- and a command");
  if (followsTerminator(command, program)) return { start: { command: name, args, script: false } };
  const script = findScript(program);
  if (script !== undefined) checkScript(script);
  const start = { command: process.execPath, args: program, script: true };
  return { start, ...(script !== undefined && { script }) };
}

/** Whether `--` stood before the program; commander takes it out of the arguments. */
function followsTerminator(command: Command, program: readonly string[]): boolean {
  let root = command;
  while (root.parent) root = root.parent;
  const { rawArgs } = root as unknown as { rawArgs: string[] };
  return rawArgs[rawArgs.length - program.length - 1] === "--";
}

/** Options of node whose value is the next argument. Others have theirs behind `=`. */
const optionsWithValue = new Set(
  `-r --require --import --loader --experimental-loader -C --conditions --env-file --env-file-if-exists --title
  --input-type --inspect-port --icu-data-dir --openssl-config --redirect-warnings --trace-event-categories
  --trace-event-file-pattern --report-directory --report-dir --report-filename --diagnostic-dir --watch-path
  --dns-result-order --unhandled-rejections --disable-warning --experimental-default-type --cpu-prof-dir
  --cpu-prof-name --cpu-prof-interval --heap-prof-dir --heap-prof-name --heap-prof-interval --test-name-pattern --test-reporter --test-reporter-destination --test-concurrency
  --localstorage-file --experimental-sea-config --build-sea --stack-trace-limit --max-http-header-size
  --secure-heap --secure-heap-min --tls-cipher-list --tls-keylog --allow-fs-read --allow-fs-write`.split(
    /\s+/,
  ),
);
/** Options after which there need not be a script. */
const optionsWithoutScript =
  /^(-e|--eval|-p|--print|-pe|-c|--check|-i|--interactive|--test|--run|-v|--version|-h|--help|-s)(=|$)/;

/** The script among the arguments for node; undefined when node is asked for something else. */
function findScript(program: readonly string[]): string | undefined {
  for (let i = 0; i < program.length; i++) {
    const argument = program[i];
    if (argument === "--") return program[i + 1];
    if (argument === "-" || optionsWithoutScript.test(argument)) return undefined;
    if (!argument.startsWith("-")) {
      if (i === 0 || existsSync(argument) || program[i - 1].includes("=")) return argument;
      // Maybe the value of an option that isn't known here: then a script that exists comes next.
      const next = program[i + 1];
      return next !== undefined && existsSync(next) ? next : argument;
    }
    if (optionsWithValue.has(argument)) i++;
  }
  return undefined;
}

/** Loaders may resolve what node itself does not: only what has no file of any extension is missing. */
function checkScript(script: string): void {
  if (/^[a-z]{2,}:/i.test(script)) return;
  const path = resolve(script);
  if (existsSync(path)) return;
  let siblings: string[] = [];
  try {
    siblings = readdirSync(dirname(path));
  } catch {
    // The folder is missing too.
  }
  if (!siblings.some((name) => name.startsWith(`${basename(path)}.`))) {
    throw new UsageError(`cannot run ${script}: there is no such file`);
  }
}
