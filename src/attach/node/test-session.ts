/**
 * Attaches linmem to the thread that runs tests. What is recorded stays in memory: `linmem/testing` reads it.
 * Modules that are compiled before this ran can't be recorded.
 */
import { createHash } from "node:crypto";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { isMainThread, threadId } from "node:worker_threads";
import { instrument } from "../../instrument/index.js";
import { watchHeaps } from "../heap-watcher.js";
import { ModuleRegistry } from "../module-registry.js";
import { patchWebAssembly } from "../patch.js";
import { Session } from "../session.js";
import { Sites } from "../stacks.js";
import { findMemories } from "./find-memories.js";
import { filePath, ownFiles, scriptText, shownPosition } from "./scripts.js";
import { sharedSession, shareSession } from "./shared-session.js";
import { changeWorkers, hideRegister } from "./workers.js";

// Taken now: tests replace clocks.
const now = performance.now.bind(performance);
const register = fileURLToPath(new URL("../../testing/outside.cjs", import.meta.url));

/**
 * The session that a realm reports to, begun if there is none. All realms of a thread share one.
 * @param realm Global object of the realm.
 */
export function testSession(realm: typeof globalThis): Session {
  const known = sharedSession(realm);
  if (known) return known;
  const session = sharedSession(globalThis) ?? newSession();
  patchWebAssembly(session, realm.WebAssembly);
  watchHeaps(session, realm);
  unsearched.push(new WeakRef(realm.WebAssembly.Memory.prototype));
  shareSession(session, realm);
  if (realm !== globalThis) shareSession(session, globalThis);
  return session;
}

/** Prototypes of `Memory`, of realms in which memories may have been made before. */
let unsearched: WeakRef<object>[] = [];

/** Enters memories that were there before linmem came. Only their size is known. */
export function trackEarlierMemories(session: Session): void {
  const prototypes = unsearched;
  unsearched = [];
  for (const reference of prototypes) {
    const prototype = reference.deref();
    if (!prototype) continue;
    for (const memory of findMemories(prototype)) session.track(memory, null, 0);
  }
}

function newSession(): Session {
  const registry = new ModuleRegistry({
    instrument: (bytes, scripts) => instrument(bytes, { scripts }),
    readScript: scriptText,
    hash: (bytes) => createHash("sha256").update(bytes).digest("base64"),
  });
  const session = new Session({
    thread: threadId,
    registry,
    sites: new Sites(registry, { ownFiles, path: filePath, sourcePosition: shownPosition }),
    now,
    interval: Number.POSITIVE_INFINITY,
    open: () => undefined,
    begun: () => false,
  });
  session.captureMode = "none";
  // An instrumented module that is sent to a thread without linmem would not link there. (Node 20 ignores --import
  // in worker threads that run a text.)
  changeWorkers((options) => ({
    ...options,
    execArgv: [...(options?.execArgv ?? process.execArgv), "--require", register],
  }));
  if (!isMainThread) hideRegister(register);
  return session;
}

/** Where the test runner was started. */
export function workingDirectory(): string {
  return process.cwd();
}
