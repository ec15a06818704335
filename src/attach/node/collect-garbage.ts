// Gives finalizers their chance: what a FinalizationRegistry would release later is no leak.
import { setImmediate } from "node:timers";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Collect = () => unknown;

/** The engine's garbage collector, or undefined where there is no way to it. */
export function garbageCollector(): Collect | undefined {
  const { gc } = globalThis as { gc?: Collect };
  if (typeof gc === "function") return gc;
  try {
    // The flag concerns contexts that are made while it is set: the program never sees a `gc`.
    setFlagsFromString("--expose-gc");
    try {
      return runInNewContext("typeof gc === 'function' ? gc : undefined") as Collect | undefined;
    } finally {
      setFlagsFromString("--no-expose-gc");
    }
  } catch {
    return undefined;
  }
}

/** Lets everything that is due run, finalizers included. */
export async function turn(): Promise<void> {
  // The first ends in the phase of the event loop before the one in which the engine's tasks run.
  for (let i = 0; i < 2; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}
