// Attaches linmem to this process or worker thread. Bundled by scripts/build-attach.mjs, loaded by register.cts
// before the program.
import { createHash } from "node:crypto";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { getEnvironmentData, isMainThread, threadId } from "node:worker_threads";
import { hasMultipleMemories } from "../../check/index.js";
import type {
  AllocatorOverride,
  CheckOptions,
  GlueScripts,
  Instrumentation,
} from "../../instrument/index.js";
import { instrument } from "../../instrument/index.js";
import { threadId as profileThreadId } from "../../profile/thread-ids.js";
import { watchHeaps } from "../heap-watcher.js";
import { ModuleRegistry } from "../module-registry.js";
import { patchWebAssembly } from "../patch.js";
import { Session } from "../session.js";
import { Sites } from "../stacks.js";
import { watchAsyncCauses } from "./async-causes.js";
import { watchConnections } from "./connections.js";
import type { ProcessState } from "./profile-output.js";
import {
  addCaptureTime,
  isBegun,
  keepSymbols,
  newProcessState,
  notify,
  openProfile,
} from "./profile-output.js";
import { branchHinting, readRunOptions } from "./run-options.js";
import { filePath, ownFiles, scriptText, sourcePosition } from "./scripts.js";
import { shareSession } from "./shared-session.js";
import { watchExit, watchSignals } from "./signals.js";
import { attachWorkers, hideRegister, stateKey } from "./workers.js";

// Taken now: programs replace clocks and timers in their tests.
const now = performance.now.bind(performance);
const { timeOrigin } = performance;
const clock = () => timeOrigin + now();
const { setTimeout } = globalThis;

const register = fileURLToPath(new URL("register.cjs", import.meta.url));

let instrumented = false;
let listener: (() => void) | undefined;

/** Has `called` when this process ends, the profile is complete, and a module was instrumented. */
export function whenEnded(called: () => void): void {
  listener = called;
}

function processState(): ProcessState | undefined {
  if (!isMainThread) return getEnvironmentData(stateKey) as unknown as ProcessState | undefined;
  const options = readRunOptions(process.env);
  return options && newProcessState(options, clock());
}

function attach(state: ProcessState): void {
  const { options } = state;
  const { check, allocator } = options;
  // V8 complains on standard error about an option that it doesn't know
  if (check?.hintsIn === process.version && isMainThread) setFlagsFromString(branchHinting);
  const overrides: Overrides = {
    allocator,
    ...(check && { check: { redzone: check.redzone, inline: hasMultipleMemories() } }),
  };
  const registry = new ModuleRegistry({
    instrument: (bytes, scripts) => {
      instrumented = true;
      return instrumentWith(overrides, bytes, scripts);
    },
    readScript: scriptText,
    hash: (bytes) => createHash("sha256").update(bytes).digest("hex"),
    checks: check !== undefined,
    keepSymbols: (code, bytes) => keepSymbols(options, code, bytes),
  });
  const sites = new Sites(registry, {
    ownFiles,
    path: filePath,
    moduleId: (module) => profileThreadId(threadId, module),
    sourcePosition,
  });
  const session = new Session({
    thread: threadId,
    registry,
    sites,
    now: () => clock() - state.time,
    interval: options.interval,
    open: () => openProfile(state),
    begun: () => isBegun(state),
    ...(check && { check: { quarantine: check.quarantine, onError: halting(check.halt) } }),
    addCaptureTime: (milliseconds) => addCaptureTime(state, milliseconds),
  });
  sites.causes = options.asyncCauses ? watchAsyncCauses(sites) : watchConnections(session);
  patchWebAssembly(session);
  watchHeaps(session);
  shareSession(session, globalThis);
  attachWorkers(state, register);
  const snapshotLater = () => {
    setTimeout(() => {
      session.snapshotIfDue();
      snapshotLater();
    }, session.untilSnapshot() + 1).unref();
  };
  snapshotLater();
  const end = (how: number | string) => {
    const { refusal: message } = overrides;
    if (message !== undefined) session.write({ type: "warning", code: "allocator-not-found", message });
    session.end(how);
    if (isMainThread && instrumented) listener?.();
  };
  watchExit(end);
  if (isMainThread) {
    watchSignals({
      ending: end,
      handledByProgram: (signals) => notify(options, "signals", signals.join(" ")),
    });
  } else {
    hideRegister(register);
  }
}

/** Ends the process as soon as the error that was found is in the profile. */
function halting(exitCode: number | undefined): (() => void) | undefined {
  return exitCode === undefined ? undefined : () => process.exit(exitCode);
}

interface Overrides {
  check?: CheckOptions;
  allocator: readonly AllocatorOverride[];
  /** Whether a module had the functions. */
  fit?: true;
  /** Why the last module that was asked did not fit, while none has. */
  refusal?: string;
}

/** `--allocator` names functions of one module; others of the run don't have them, and get what is found. */
function instrumentWith(overrides: Overrides, bytes: Uint8Array, scripts: GlueScripts): Instrumentation {
  const { allocator, check } = overrides;
  const options = { scripts, ...(check && { check }) };
  if (allocator.length === 0) return instrument(bytes, options);
  try {
    const instrumentation = instrument(bytes, { ...options, allocator });
    overrides.fit = true;
    overrides.refusal = undefined;
    return instrumentation;
  } catch (error) {
    if ((error as { code?: string }).code !== "ERR_LINMEM_USAGE") throw error;
    const { message } = error as Error;
    if (!overrides.fit) overrides.refusal = message;
    const found = instrument(bytes, options);
    return { ...found, notes: [...found.notes, message] };
  }
}

const state = processState();
if (state) attach(state);
