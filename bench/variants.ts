/**
 * Ways to run a workload: as it is, with linmem as `linmem run` attaches it, with parts of that, and with a hook
 * in JavaScript. A variant puts itself around the global `WebAssembly` while a workload loads its package, and
 * everything is put back afterwards, so that all of them live side by side in one process.
 */
import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { defaultQuarantine, defaultRedzone, defaultSnapshotInterval } from "../src/attach/limits.js";
import { ModuleRegistry } from "../src/attach/module-registry.js";
import { patchWebAssembly } from "../src/attach/patch.js";
import { Session } from "../src/attach/session.js";
import { Sites } from "../src/attach/stacks.js";
import { type InstrumentOptions, instrument } from "../src/instrument/index.js";
import { ProfileFileWriter } from "../src/profile/file-writer.js";
import { profileVersion } from "../src/profile/records.js";
import { createRecorder } from "../src/recorder/index.js";
import { emptyRecorder } from "./empty-recorder.js";
import { attachRecorder } from "./plain-attach.js";
import type { Workload } from "./workloads/index.js";

/** A loaded workload under a variant. */
export interface Running {
  /** Does `count` units of work; returns the milliseconds that it took. */
  round(count: number): number;
  /** Milliseconds spent on capturing stacks since it was loaded; 0 where none are. */
  captureTime(): number;
  /** What was recorded, for a check that it was. */
  recorded(): { allocations: number; contexts: number };
  end(): void;
}

/** Time that passes only while a variant works: shares of the run time are shares of its own. */
export class Stopwatch {
  #total = 0;
  #start = -1;

  now(): number {
    return this.#total + (this.#start < 0 ? 0 : performance.now() - this.#start);
  }

  run(work: () => void): number {
    const before = this.#total;
    this.#start = performance.now();
    try {
      work();
    } finally {
      this.#total = this.now();
      this.#start = -1;
    }
    return this.#total - before;
  }
}

export const variants = {
  /** The package as it is. */
  raw: async (workload: Workload) => running(await loadChanged(workload, "raw", () => {}), new Stopwatch()),

  /** What `linmem run` does, snapshots into a file included. */
  profiled,

  "checked inline": (workload: Workload) => checked(workload, true),
  "checked by calls": (workload: Workload) => checked(workload, false),

  /** Contexts at the call sites and in the entries, no hooks. */
  contexts: (workload: Workload) => partial(workload, "contexts", ["hooks"]),
  /** Hooks that call a recorder which does nothing, no contexts. */
  hooks: (workload: Workload) => partial(workload, "hooks", ["contexts"]),
  /** Contexts, and hooks that call a recorder which does nothing. */
  "contexts + hooks": (workload: Workload) => partial(workload, "contexts-hooks", []),
  /** The real recorder, without captures and snapshots. */
  recorder: async (workload: Workload) => {
    const recorder = createRecorder({
      contextSeen: () => true,
      captureCaller: () => 0,
      isNested: () => true,
    });
    const work = await loadChanged(workload, "recorder", () =>
      attachRecorder((bytes) => instrument(bytes, { allocator: workload.allocator }).bytes, {
        ...recorder.imports,
        grown: () => {},
      }),
    );
    return {
      ...running(work, new Stopwatch()),
      recorded: () => ({
        allocations: recorder.totals().allocations,
        contexts: recorder.takeChanges().totals.length,
      }),
    };
  },

  /** The obvious way: a hook in JavaScript that keeps the stack of every allocation. */
  naive,
} satisfies Record<string, (workload: Workload) => Promise<Running>>;

export type VariantName = keyof typeof variants;

function running(work: (count: number) => void, watch: Stopwatch): Running {
  return {
    round: (count) => watch.run(() => work(count)),
    captureTime: () => 0,
    recorded: () => ({ allocations: 0, contexts: 0 }),
    end: () => {},
  };
}

let loads = 0;

/** Loads a workload with `WebAssembly` changed for as long as that takes. */
export async function loadChanged<T>(
  workload: { load(id: string): Promise<T> },
  variant: string,
  patch: () => void,
): Promise<T> {
  const holders = [WebAssembly, WebAssembly.Module, WebAssembly.Memory.prototype];
  const saved = holders.map((holder) => Object.getOwnPropertyDescriptors(holder));
  patch();
  try {
    return await workload.load(`${variant}-${++loads}`);
  } finally {
    holders.forEach((holder, i) => {
      for (const [name, descriptor] of Object.entries(saved[i])) {
        if (descriptor.configurable) Object.defineProperty(holder, name, descriptor);
      }
    });
  }
}

/** Attaches linmem to what is loaded next, as src/attach/node/start.ts does, with a profile that `end` removes. */
export function attach(
  watch: Stopwatch,
  { allocator, check }: Pick<InstrumentOptions, "allocator" | "check">,
) {
  const registry = new ModuleRegistry({
    instrument: (given) => instrument(given, { allocator, check }),
    hash: (bytes) => createHash("sha256").update(bytes).digest("base64"),
    checks: check !== undefined,
  });
  const ownFolder = new URL("../src/", import.meta.url);
  const sites = new Sites(registry, {
    ownFiles: [ownFolder.href, fileURLToPath(ownFolder)],
    path: (file) => (file.startsWith("file:") ? fileURLToPath(file) : file),
  });
  const path = join(tmpdir(), `linmem-bench-${process.pid}-${++loads}.linmem`);
  let begun = false;
  const session = new Session({
    thread: 0,
    registry,
    sites,
    now: () => watch.now(),
    interval: check ? Number.POSITIVE_INFINITY : defaultSnapshotInterval,
    ...(check && { check: { quarantine: defaultQuarantine } }),
    begun: () => begun,
    open: () => {
      begun = true;
      return ProfileFileWriter.create(path, {
        type: "header",
        format: "linmem",
        version: profileVersion,
        linmem: "bench",
        time: Date.now(),
        pid: process.pid,
        engine: { name: "node", version: process.version },
        platform: process.platform,
        argv: [],
      });
    },
  });
  patchWebAssembly(session);
  const end = () => {
    session.end(0);
    rmSync(path, { force: true });
  };
  return { session, registry, end };
}

/** What `linmem run` does. */
async function profiled(workload: Workload): Promise<Running> {
  const watch = new Stopwatch();
  const recorders: ReturnType<Session["recorderOf"]>[] = [];
  let attached: ReturnType<typeof attach> | undefined;
  const work = await loadChanged(workload, "profiled", () => {
    attached = attach(watch, workload);
    const { session } = attached;
    const recorderOf = session.recorderOf.bind(session);
    session.recorderOf = (...args) => {
      const recorder = recorderOf(...args);
      if (!recorders.includes(recorder)) recorders.push(recorder);
      return recorder;
    };
  });
  const { session, registry, end } = attached!;
  return {
    round: (count) =>
      watch.run(() => {
        work(count);
        // a timer does that in a program
        session.snapshotIfDue();
      }),
    captureTime: () => session.captureTime,
    recorded: () => ({
      allocations: recorders.reduce((sum, recorder) => sum + recorder.totals().allocations, 0),
      contexts: [...registry.living()].reduce((sum, module) => sum + module.contextStacks.size, 0),
    }),
    end,
  };
}

/** What `linmem check` does: its checks read the shadow memory themselves, or call for it. */
async function checked(workload: Workload, inline: boolean): Promise<Running> {
  const watch = new Stopwatch();
  let attached: ReturnType<typeof attach> | undefined;
  const work = await loadChanged(workload, "checked", () => {
    attached = attach(watch, { ...workload, check: { inline, redzone: defaultRedzone } });
  });
  return { ...running(work, watch), end: attached!.end };
}

async function partial(
  workload: Workload,
  name: string,
  without: readonly ("hooks" | "contexts")[],
): Promise<Running> {
  const work = await loadChanged(workload, name, () =>
    attachRecorder(
      (bytes) => instrument(bytes, { allocator: workload.allocator, without }).bytes,
      emptyRecorder(),
    ),
  );
  return running(work, new Stopwatch());
}

async function naive(workload: Workload): Promise<Running> {
  const blocks = new Map<number, { bytes: number; stack: string | undefined }>();
  let allocations = 0;
  const alloc = (address: number, bytes: number): number => {
    allocations++;
    blocks.set(address, { bytes, stack: new Error().stack });
    return 0;
  };
  const free = (address: number): number => {
    blocks.delete(address);
    return 0;
  };
  const realloc = (from: number, to: number, bytes: number): number => {
    free(from);
    return alloc(to, bytes);
  };
  const hooks = { alloc, free, realloc };
  const work = await loadChanged(workload, "naive", () =>
    attachRecorder(
      (bytes) => instrument(bytes, { allocator: workload.allocator, without: ["contexts"] }).bytes,
      { ...emptyRecorder(), ...hooks },
    ),
  );
  const deep = (count: number): void => {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 128;
    work(count);
    Error.stackTraceLimit = stackTraceLimit;
  };
  return { ...running(deep, new Stopwatch()), recorded: () => ({ allocations, contexts: 0 }) };
}
