/**
 * Lets a last snapshot be written when a signal ends the process. A listener of ours is there only while the
 * program has none of its own for that signal: libraries such as signal-exit count listeners, and a program
 * that handles a signal decides itself what it means. A handled signal no longer ends a process that never
 * returns to its event loop; `linmem run` sees to that (see launcher.ts), and so is told which signals are ours.
 */
import type { EventEmitter } from "node:events";

export const watchedSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface SignalWatch {
  /** A signal is about to end the process. */
  ending(signal: NodeJS.Signals): void;
  /** The program began or ceased to handle signals itself: these are the ones it handles now. */
  handledByProgram(signals: NodeJS.Signals[]): void;
}

export function watchSignals(watch: SignalWatch): void {
  const ours = new Set<string>();
  const watched: readonly string[] = watchedSignals;

  const end = (signal: NodeJS.Signals): void => {
    try {
      watch.ending(signal);
    } finally {
      ours.delete(signal);
      process.removeListener("newListener", give);
      process.removeListener("removeListener", take);
      process.removeListener(signal, end);
      process.kill(process.pid, signal);
    }
  };
  const report = () => watch.handledByProgram(watchedSignals.filter((signal) => !ours.has(signal)));
  const give = (name: string | symbol, listener: unknown): void => {
    if (listener === end || !ours.delete(String(name))) return;
    process.removeListener(String(name), end);
    report();
  };
  const take = (name: string | symbol, listener: unknown): void => {
    if (listener === end || !watched.includes(String(name)) || process.listenerCount(name) > 0) return;
    ours.add(String(name));
    process.on(String(name), end);
    report();
  };

  for (const signal of watchedSignals) {
    if (process.listenerCount(signal) > 0) continue;
    ours.add(signal);
    process.on(signal, end);
  }
  // Before node's own listener: that one opens the signal again when ours was the last to close it.
  (process as EventEmitter).prependListener("newListener", give);
  process.on("removeListener", take);
  report();
}

/** Calls `ending` when the process or worker thread exits, after the program's own listeners. */
export function watchExit(ending: (code: number) => void): void {
  let due = false;
  process.on("exit", ending);
  process.on("newListener", (name, listener) => {
    if (name !== "exit" || listener === ending || due) return;
    due = true;
    queueMicrotask(() => {
      due = false;
      process.removeListener("exit", ending);
      process.on("exit", ending);
    });
  });
}
