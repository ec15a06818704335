/**
 * The profile of this process. All its threads append to one file; whichever has the first record begins it.
 * They agree on that through memory that worker threads inherit.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, extname, join } from "node:path";
import { threadId } from "node:worker_threads";
import { ProfileFileWriter } from "../../profile/file-writer.js";
import type { HeaderRecord } from "../../profile/records.js";
import { profileVersion } from "../../profile/records.js";
import type { RunOptions } from "./run-options.js";

/** What the threads of a process share. */
export interface ProcessState {
  options: RunOptions;
  /** Paths of the profile, to be tried in this order. */
  paths: string[];
  /** Milliseconds since 1970 at which recording began. */
  time: number;
  /** Arguments of the process. Some worker threads (of loaders) have others. */
  argv: string[];
  /** `[state, index of the path, microseconds that captures took]`, as 32-bit integers. */
  shared: SharedArrayBuffer;
}

const state = { none: 0, beginning: 1, ready: 2, failed: 3 } as const;

export function newProcessState(options: RunOptions, time: number): ProcessState {
  const { argv } = process;
  return { options, paths: profilePaths(options), time, argv, shared: new SharedArrayBuffer(12) };
}

/** Where the profile of this process goes. */
function profilePaths({ out, folder, launcher, script }: RunOptions): string[] {
  const { pid } = process;
  if (out === undefined) {
    const program = process.argv[1] ? basename(process.argv[1], extname(process.argv[1])) : "node";
    return [join(folder, `${program}.${pid}.linmem`)];
  }
  const extension = extname(out);
  const further = `${out.slice(0, out.length - extension.length)}.${pid}${extension}`;
  if (script) return [process.ppid === launcher ? out : further];
  return [out, further];
}

/** Whether a thread of this process has begun the profile. */
export function isBegun({ shared }: ProcessState): boolean {
  return Atomics.load(new Int32Array(shared), 0) === state.ready;
}

/** Adds to the time that captures took in all threads, and returns the sum, in milliseconds. */
export function addCaptureTime({ shared }: ProcessState, milliseconds: number): number {
  const microseconds = Math.round(milliseconds * 1000);
  return (Atomics.add(new Int32Array(shared), 2, microseconds) + microseconds) / 1000;
}

/** Opens the profile of this process, or begins it. Undefined when that is impossible. */
export function openProfile(process_: ProcessState): ProfileFileWriter | undefined {
  const shared = new Int32Array(process_.shared);
  if (Atomics.compareExchange(shared, 0, state.none, state.beginning) === state.none) {
    const writer = beginProfile(process_, shared);
    Atomics.store(shared, 0, writer ? state.ready : state.failed);
    Atomics.notify(shared, 0);
    return writer;
  }
  // A thread can't stay in `beginning` for longer than it takes to make a file.
  Atomics.wait(shared, 0, state.beginning, 5000);
  if (Atomics.load(shared, 0) !== state.ready) return undefined;
  try {
    return ProfileFileWriter.open(process_.paths[Atomics.load(shared, 1)]);
  } catch {
    return undefined;
  }
}

function beginProfile(
  { paths, time, options, argv }: ProcessState,
  shared: Int32Array,
): ProfileFileWriter | undefined {
  for (const [index, path] of paths.entries()) {
    try {
      const writer = ProfileFileWriter.create(path, header(time, argv, options.check !== undefined));
      Atomics.store(shared, 1, index);
      notify(options, "profile", path);
      return writer;
    } catch (error) {
      if (index === paths.length - 1) notify(options, "failure", (error as Error).message);
    }
  }
  return undefined;
}

function header(time: number, argv: string[], checked: boolean): HeaderRecord {
  const manifest = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8"));
  return {
    type: "header",
    format: "linmem",
    version: profileVersion,
    linmem: manifest.version,
    time,
    pid: process.pid,
    engine: { name: "node", version: process.version },
    platform: `${process.platform} ${process.arch}`,
    argv,
    ...(checked && { checked }),
  };
}

/** Tells the launcher something about this process. */
export function notify(options: RunOptions, subject: "profile" | "failure" | "signals", text: string): void {
  try {
    writeFileSync(join(options.noticeFolder, `${process.pid}.${subject}`), text);
  } catch {
    // The launcher is gone: nobody is left to tell.
  }
}

/**
 * Keeps a module with debug information for the launcher, which looks up what is on the stacks when the run is
 * over. A file costs this process no memory, and is there even if it is killed.
 * @param code names the module
 */
export function keepSymbols({ noticeFolder }: RunOptions, code: string, bytes: Uint8Array): void {
  const path = join(noticeFolder, code);
  const part = `${path}.${process.pid}.${threadId}`;
  try {
    if (existsSync(path)) return;
    writeFileSync(part, bytes);
    renameSync(part, path);
  } catch {
    // No space is left: stacks will show functions and offsets.
    rmSync(part, { force: true });
  }
}
