// What `linmem run` and `linmem check` tell the processes below it, in one environment variable that they inherit.
import type { AllocatorOverride } from "../../instrument/index.js";

export const runVariable = "LINMEM_RUN";

/**
 * Has the engine heed which branches a module says are hardly ever taken, as those of checks are: it keeps the calls
 * that they lead to out of the way of registers. Checks cost up to half as much then.
 */
export const branchHinting = "--experimental-wasm-branch-hinting";

export interface CheckRunOptions {
  /** Bytes between a block and what follows. */
  redzone: number;
  /** Bytes of freed blocks that are kept from the allocator. */
  quarantine: number;
  /** The process ends at the first error, with this exit code. */
  halt?: number;
  /** Version of Node.js that has `branchHinting` among its options. */
  hintsIn?: string;
}

export interface RunOptions {
  /** Absolute path of the profile that `--out` names. */
  out?: string;
  /** Where profiles go whose name is made up. */
  folder: string;
  /** Milliseconds between snapshots. */
  interval: number;
  allocator: AllocatorOverride[];
  /** Whether what starts callbacks is kept. */
  asyncCauses?: true;
  /** Set by `linmem check`. */
  check?: CheckRunOptions;
  /** Process id of `linmem run`. */
  launcher: number;
  /** Whether `linmem run` started a script, whose process is then the one to write `out`; else any may. */
  script: boolean;
  /** A folder in which processes tell the launcher of themselves: `<pid>.profile`, `<pid>.signals`. */
  noticeFolder: string;
}

/** Undefined when the process was not started by `linmem run`. */
export function readRunOptions(environment: NodeJS.ProcessEnv): RunOptions | undefined {
  const text = environment[runVariable];
  return text ? (JSON.parse(text) as RunOptions) : undefined;
}
