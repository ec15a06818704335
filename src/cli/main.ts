#!/usr/bin/env node
// The command line. One file per command; this one registers them and alone decides the exit code:
// 0 done, 2 an expected failure (one line on standard error), 70 a fault of linmem's own, and for `run`
// whatever the profiled program ended with.
import { existsSync, readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { LinmemError } from "../errors.js";
import { ProgramEnded } from "./outcome.js";

const exitFailure = 2;
const exitFault = 70;

const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

const program = new Command("linmem")
  .description("See what a program's WebAssembly modules do with their linear memory.")
  .version(manifest.version, "-V, --version", "print the version")
  .helpOption("-h, --help", "print this help")
  .helpCommand(false)
  .showHelpAfterError(false)
  .exitOverride()
  .configureOutput({
    outputError: (text, write) => write(oneLine(advise(text.replace(/^error: |\.?\s*$/g, "")))),
  })
  // Options of `linmem` itself stand before the command, so that `run` can leave those after it to node.
  .enablePositionalOptions()
  .addHelpText("after", "\nlinmem <command> --help says more about a command.");

/** In the order of the help. Only the one that is asked for is loaded: all of them take twice as long to start. */
const commands: Record<string, () => Promise<Command>> = {
  run: async () => (await import("./run.js")).runCommand(),
  check: async () => (await import("./check.js")).checkCommand(),
  report: async () => (await import("./report.js")).reportCommand(),
  table: async () => (await import("./table.js")).tableCommand(),
  diff: async () => (await import("./diff.js")).diffCommand(),
  inspect: async () => (await import("./inspect.js")).inspectCommand(),
  instrument: async () => (await import("./instrument.js")).instrumentCommand(),
};
const [, , asked = ""] = process.argv;
for (const name of Object.hasOwn(commands, asked) ? [asked] : Object.keys(commands)) {
  program.addCommand((await commands[name]!()).copyInheritedSettings(program));
}

/** A message as the one line that goes to standard error. */
function oneLine(message: string): string {
  return `linmem: ${message.trim().replaceAll(/\s*\n\s*/g, " ")}\n`;
}

/** A message of commander's, which says what is wrong, with what to do about it. */
function advise(message: string): string {
  const [, option, value, reason] =
    /^option '(?:-\w, )?(--[\w-]+)[^']*' argument '(.*)' is invalid\. (.+?)\.?$/s.exec(message) ?? [];
  if (option) return `${option} ${value}: ${reason.replace(/^Allowed choices are/, "choose from")}`;
  const command = process.argv[2] ?? "";
  const known = program.commands.some((one) => one.name() === command);
  if (known) return `${message}; linmem ${command} --help shows what it takes`;
  if (message.startsWith("unknown command") && existsSync(command)) {
    return `${message}; to run a program: linmem run ${command}`;
  }
  return `${message}; linmem --help lists the commands`;
}

function fail(error: unknown): void {
  if (error instanceof CommanderError) {
    // Commander has printed its message, or the help or version that was asked for.
    process.exitCode = error.exitCode === 0 ? 0 : exitFailure;
  } else if (error instanceof ProgramEnded) {
    if (typeof error.outcome === "number") process.exitCode = error.outcome;
    else process.kill(process.pid, error.outcome);
  } else if (error instanceof LinmemError) {
    process.stderr.write(oneLine(error.message));
    process.exitCode = exitFailure;
  } else if ((error as NodeJS.ErrnoException | null)?.code !== "EPIPE") {
    const details = error instanceof Error ? error.stack : String(error);
    process.stderr.write(`linmem: a fault of linmem itself, please report it\n${details}\n`);
    process.exitCode = exitFault;
  }
}

// Whoever reads the output (`head`, a pager) may stop reading: that is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

try {
  await program.parseAsync();
} catch (error) {
  fail(error);
}
