/**
 * Starts a program with linmem attached to it and to every node process below it, and stands aside: the program
 * has the terminal and the streams, signals are passed on, and it ends the launcher as it ended itself.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { RunOptions } from "./run-options.js";
import { runVariable } from "./run-options.js";
import { watchedSignals } from "./signals.js";

export interface LaunchOptions extends Omit<RunOptions, "launcher" | "noticeFolder"> {
  command: string;
  args: readonly string[];
}

export interface Launched {
  /** Exit code, or the signal that ended the program. */
  outcome: number | NodeJS.Signals;
  /** Whether linmem got into any process: not so when node refused its options, or none was started. */
  attached: boolean;
  /** Profiles that were written, in no order. */
  profiles: string[];
  /** Why profiles could not be written. */
  failures: string[];
  /** Holds modules that have debug information, named by the hash of their code; gone after `conclude`. */
  symbols: string;
}

/** Milliseconds that a program may take to end after a signal that it doesn't handle. */
const grace = 1500;

/**
 * @param conclude What to do when the program has ended.
 * @throws the system's error when the command can't be started.
 */
export async function launch(
  { command, args, ...options }: LaunchOptions,
  conclude: (launched: Launched) => Promise<void>,
): Promise<Launched["outcome"]> {
  const noticeFolder = mkdtempSync(join(tmpdir(), "linmem-run-"));
  try {
    const run: RunOptions = { ...options, launcher: process.pid, noticeFolder };
    const env = { ...process.env, NODE_OPTIONS: nodeOptions(), [runVariable]: JSON.stringify(run) };
    const outcome = await runProgram(command, args, env, noticeFolder);
    await conclude({
      outcome,
      symbols: noticeFolder,
      attached: notices(noticeFolder, "signals").length > 0,
      profiles: notices(noticeFolder, "profile"),
      failures: notices(noticeFolder, "failure"),
    });
    return outcome;
  } finally {
    rmSync(noticeFolder, { recursive: true, force: true });
  }
}

/** NODE_OPTIONS with linmem in front of what is there. */
function nodeOptions(): string {
  const register = fileURLToPath(new URL("register.cjs", import.meta.url));
  // Node takes quotes here; many tools that read NODE_OPTIONS split it at spaces and know of none.
  const quoted = /[\s"\\]/.test(register) ? `"${register.replaceAll(/["\\]/g, "\\$&")}"` : register;
  const { NODE_OPTIONS } = process.env;
  return `--require ${quoted}${NODE_OPTIONS ? ` ${NODE_OPTIONS}` : ""}`;
}

function runProgram(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  noticeFolder: string,
): Promise<number | NodeJS.Signals> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: "inherit", env });
    let killedWith: NodeJS.Signals | undefined;

    const pass = (signal: NodeJS.Signals): void => {
      // The terminal sends its signals to all processes in its foreground: the program has it already.
      if (signal === "SIGTERM" || !isTerminal()) child.kill(signal);
      setTimeout(() => {
        // A program in an endless loop never gets to our listener; without us the signal had ended it.
        if (child.exitCode !== null || child.signalCode !== null) return;
        if (!listensFor(noticeFolder, child.pid!, signal)) return;
        killedWith = signal;
        child.kill("SIGKILL");
      }, grace).unref();
    };
    for (const signal of watchedSignals) process.on(signal, pass);
    const done = () => {
      for (const signal of watchedSignals) process.removeListener(signal, pass);
    };
    child.once("error", (error) => {
      done();
      reject(error);
    });
    child.once("exit", (code, signal) => {
      done();
      resolve(killedWith ?? signal ?? code ?? 0);
    });
  });
}

function isTerminal(): boolean {
  return process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
}

/** Whether our own listener in that process waits for the signal; not so where linmem isn't attached. */
function listensFor(noticeFolder: string, pid: number, signal: NodeJS.Signals): boolean {
  try {
    return !readFileSync(join(noticeFolder, `${pid}.signals`), "utf8")
      .split(" ")
      .includes(signal);
  } catch {
    return false;
  }
}

function notices(folder: string, subject: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(`.${subject}`))
    .map((name) => readFileSync(join(folder, name), "utf8"));
}
