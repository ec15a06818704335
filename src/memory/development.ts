// Development mode: handles that the collector finds unreleased are reported with the stack that made them. Nothing is
// ever released here: the collector comes late or never, and in the middle of synchronous code not at all. Off by
// default, because each handle then costs 8 to 10 µs, most of it for the stack.

/** A handle that nobody released, and that nobody can release any more. */
export interface UnreleasedReport {
  /** The handle in words: what, how large, where. */
  handle: string;
  /** The stack that made it. */
  stack: string;
}

/** What `enableDevelopmentMode` takes. */
export interface DevelopmentOptions {
  /** Called once for each lost handle, some time after it was collected. Without it: `console.warn`. */
  onUnreleased?: (report: UnreleasedReport) => void;
}

const warn = ({ handle, stack }: UnreleasedReport) =>
  console.warn(`linmem: ${handle} was garbage-collected without being released; it was made here:\n${stack}`);

let report: ((report: UnreleasedReport) => void) | undefined;
let registry: FinalizationRegistry<UnreleasedReport> | undefined;

/** Turns development mode on for all handles made from now on. Called again, it changes the options. */
export function enableDevelopmentMode(options: DevelopmentOptions = {}): void {
  report = options.onUnreleased ?? warn;
  registry ??= new FinalizationRegistry((lost) => report?.(lost));
}

/** Turns it off. Handles made while it was on are no longer reported. */
export function disableDevelopmentMode(): void {
  report = undefined;
  registry = undefined;
}

/** Begins to watch a handle that was just made, if development mode is on. */
export function watch(handle: { readonly name: string }): void {
  if (registry === undefined) return;
  registry.register(handle, { handle: handle.name, stack: callers() }, handle);
}

/** Ends watching: the handle was released. */
export function unwatch(handle: object): void {
  registry?.unregister(handle);
}

/** The stack outside of linmem. The text, not the error: that keeps its frames, and through them receivers, alive. */
export function callers(): string {
  return (new Error().stack ?? "").split("\n").slice(1).filter(isOutside).join("\n");
}

const here =
  /[\\/]memory[\\/](?:development|owned|blocks|owning-heap|module-heap|arena|scope|heap[\\/]\w+)\.[cm]?[jt]s/;
const isOutside = (line: string) => !here.test(line);
