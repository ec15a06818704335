/**
 * Worker threads load what NODE_OPTIONS says, unless the program gives them an environment without it. They
 * have to be attached all the same: an instrumented module that is sent there would not link.
 */
import { createRequire, syncBuiltinESMExports } from "node:module";
import type { WorkerOptions } from "node:worker_threads";
import { SHARE_ENV, setEnvironmentData } from "node:worker_threads";
import type { ProcessState } from "./profile-output.js";

export const stateKey = "linmem";

/** Has every worker thread load `register`, and gives it the state of the process. */
export function attachWorkers(state: ProcessState, register: string): void {
  setEnvironmentData(stateKey, state as never);
  changeWorkers((options) => withRegister(options, register));
}

/** Changes the options of every worker thread that is started from now on. */
export function changeWorkers(change: (options?: WorkerOptions) => WorkerOptions | undefined): void {
  const workerThreads = createRequire(import.meta.url)("node:worker_threads");
  workerThreads.Worker = new Proxy(workerThreads.Worker, {
    construct(target, [file, options, ...rest], newTarget) {
      const changed = change(options);
      return Reflect.construct(
        target,
        changed ? [file, changed, ...rest] : [file, options, ...rest],
        newTarget,
      );
    },
  });
  syncBuiltinESMExports();
}

function withRegister(options: WorkerOptions | undefined, register: string): WorkerOptions | undefined {
  const environment = options?.env;
  if (typeof environment !== "object" || environment === null || (environment as unknown) === SHARE_ENV) {
    return undefined;
  }
  if (environment.NODE_OPTIONS === process.env.NODE_OPTIONS) return undefined;
  return { ...options, execArgv: [...(options?.execArgv ?? process.execArgv), "--require", register] };
}

/** Takes back what `attachWorkers` added to the options that the program sees. */
export function hideRegister(register: string): void {
  if (process.execArgv.at(-1) === register) process.execArgv.splice(-2);
}
