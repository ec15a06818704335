/** The assertions, for a realm that linmem is attached to. */
import { LeakError, UsageError } from "../errors.js";
import { formatBytes } from "../report/format.js";
import { moduleName } from "../report/frames.js";
import type { LeakResult } from "./leaks.js";
import { findLeaks } from "./leaks.js";
import { leakMessage, ownLines } from "./message.js";
import type { CheckedOptions, LeakOptions, Measured } from "./options.js";
import { checkMeasured, checkOptions } from "./options.js";
import { type Runtime, runtime } from "./runtime.js";

/** How a function fared: what `expectNoLeaks` throws, or nothing. */
export interface Verdict {
  failure?: LeakError;
}

/**
 * Runs `fn` again and again, and fails when memory of a WebAssembly module grows with every run: blocks that
 * nothing frees, whole memories that something holds, or, for modules whose allocator isn't known, pages.
 * Wrappers that only the garbage collector releases are released first.
 *
 * Measurements of one thread take their turns; what else runs meanwhile is counted with them.
 * @throws LeakError with what grew per run, and the lines that made it.
 * @throws UsageError for options that can't be, and when there is nothing to watch.
 */
export async function expectNoLeaks(fn: Measured, options: LeakOptions = {}): Promise<void> {
  const { failure } = await leakVerdict("expectNoLeaks", fn, options);
  if (failure) throw failure;
}

/** @param caller Name of the assertion, for messages. */
export async function leakVerdict(caller: string, fn: unknown, options: LeakOptions = {}): Promise<Verdict> {
  const measured = checkMeasured(fn, caller);
  const checked = checkOptions(options, caller);
  const here = runtime();
  const result = await findLeaks(here, measured, checked);
  if (isLeak(result, checked)) return { failure: leakError(caller, result, here) };
  if (!result.allocates) sayNothingSeen(caller, result);
  return {};
}

function isLeak({ leaks, perRun }: LeakResult, { allowBytes }: CheckedOptions): boolean {
  return leaks.length > 0 && (allowBytes === 0 || perRun.bytes > allowBytes);
}

const ownFolder = new URL(".", import.meta.url).pathname;

/** Its stack begins with the test's lines that leak: that is where runners show the source. */
function leakError(caller: string, result: LeakResult, here: Runtime): LeakError {
  const error = new LeakError(leakMessage(caller, result, here));
  const lines = ownLines(result.leaks[0]!).map(
    ({ function: name, file, line, column }) =>
      `    at ${name === "" ? "<anonymous>" : name} (${file}:${line}:${column})`,
  );
  const head = `${error.name}: ${error.message}`;
  const stack = String(error.stack);
  const rest = stack.startsWith(head) ? stack.slice(head.length).split("\n") : [];
  error.stack = [head, ...lines, ...rest.filter((line) => line !== "" && !line.includes(ownFolder))].join(
    "\n",
  );
  return error;
}

const earlier =
  'load linmem first: import "linmem/testing" before the package, set it up in the runner, or node --import linmem/testing/register';

const said = new Set<string>();

/** A test that sees nothing must not look like one that passed. */
function sayNothingSeen(caller: string, { unrecorded, memories }: LeakResult): void {
  if (memories === 0) {
    throw new UsageError(
      `${caller}: linmem knows of no WebAssembly memory, so nothing was tested; if there is one, ${earlier}`,
    );
  }
  const names = unrecorded.flatMap((module) =>
    module ? [`${module.name ? moduleName(module) : "a module"} (${module.reason})`] : [],
  );
  const line =
    names.length > 0
      ? `${caller}: of ${[...new Set(names)].join(", ")} only whole pages are known, and no leak below ${formatBytes(65536)} is seen`
      : `${caller}: the function allocated nothing that linmem sees; if it should, ${earlier}`;
  if (said.has(line)) return;
  said.add(line);
  console.warn(line);
}
