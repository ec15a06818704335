/** What measuring needs of its surroundings: the session of this thread, the garbage collector, turns. */
import { garbageCollector, turn } from "../attach/node/collect-garbage.js";
import { sharedSession } from "../attach/node/shared-session.js";
import { trackEarlierMemories, workingDirectory } from "../attach/node/test-session.js";
import type { Session } from "../attach/session.js";
import { UsageError } from "../errors.js";

export interface Runtime {
  session: Session;
  /** Paths below it are shown without it. */
  directory: string;
  /** Whether the garbage collector could be called. */
  collects: boolean;
  /** Lets finalizers release what nothing refers to any more. */
  settle(): Promise<void>;
  /** Runs one measurement after the other, with every JavaScript caller captured. */
  alone<T>(measure: () => Promise<T>): Promise<T>;
}

/** Rounds of garbage collection after a run, at most: one thing collected may have been the last to hold others. */
const maximumCollections = 5;

const queues = new WeakMap<Session, Promise<unknown>>();
let collect: ReturnType<typeof garbageCollector> | null = null;

/** @throws UsageError where linmem was not attached, in a realm that another one should have seen to. */
export function runtime(): Runtime {
  const session = sharedSession(globalThis);
  if (!session) throw new UsageError('linmem is not attached to this realm: import "linmem/testing" in it');
  if (collect === null) collect = garbageCollector();
  return {
    session,
    directory: workingDirectory(),
    collects: collect !== undefined,
    settle: () => settle(session),
    async alone(measure) {
      const before = queues.get(session);
      const run = (async () => {
        await before;
        const { captureMode } = session;
        session.captureMode = "all";
        // Other code ran since the last measurement.
        settled.delete(session);
        try {
          trackEarlierMemories(session);
          return await measure();
        } finally {
          session.captureMode = captureMode;
        }
      })();
      queues.set(
        session,
        run.catch(() => {}),
      );
      return run;
    },
  };
}

interface Live {
  bytes: number;
  blocks: number;
  memories: number;
}

/** What was live when a session was last settled. */
const settled = new WeakMap<Session, Live>();

/**
 * Collections take most of a measurement's time, so none is made that can't change the answer: after a run that
 * left nothing, there is nothing to collect.
 */
async function settle(session: Session): Promise<void> {
  const last = settled.get(session);
  let before = live(session);
  const same = (a: Live, b: Live) =>
    a.bytes === b.bytes && a.blocks === b.blocks && a.memories === b.memories;
  if (!last || before.bytes > last.bytes || before.blocks > last.blocks || before.memories > last.memories) {
    // Of an instance the first collection only frees what led to its memory.
    const least = before.memories === last?.memories ? 1 : 2;
    for (let i = 1; i <= maximumCollections; i++) {
      collect?.();
      await turn();
      const now = live(session);
      const unchanged = same(now, before);
      before = now;
      if (unchanged && i >= least) break;
    }
  }
  settled.set(session, before);
}

/** Changes with everything that a finalizer may release. */
function live(session: Session): Live {
  const sum: Live = { bytes: 0, blocks: 0, memories: 0 };
  for (const { recorder } of session.memories()) {
    sum.memories++;
    if (!recorder) continue;
    const { liveBytes, liveBlocks } = recorder.totals();
    sum.bytes += liveBytes;
    sum.blocks += liveBlocks;
  }
  return sum;
}
