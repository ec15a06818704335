/**
 * Runs a function again and again, and looks at what is live after each run. How it is judged: analyze/growth.ts.
 */
import { isCountedOnly } from "../analyze/collected-heaps.js";
import type { Growth, Level, Levels } from "../analyze/growth.js";
import { findGrowth, mayGrow } from "../analyze/growth.js";
import type { KnownModule } from "../attach/module-registry.js";
import type { Session } from "../attach/session.js";
import type { TrackedMemory } from "../attach/tracked-memory.js";
import type { Frame } from "../profile/records.js";
import type { CheckedOptions, Measured } from "./options.js";
import { type Context, type Reading, read } from "./readings.js";
import type { Runtime } from "./runtime.js";

/** Blocks, or whole memories, that one place makes and nothing releases. */
export interface Leak {
  kind: "blocks" | "memories" | "pages";
  module: KnownModule | undefined;
  perRun: Level;
  /** The wasm part of the stack, innermost frame first; what made a memory grow, where that is known. */
  stack: Frame[];
  /** The JavaScript that called it, innermost frame first; empty when it is not known. */
  caller: Frame[];
}

export interface LeakResult {
  leaks: Leak[];
  /** Together, without what is allowed. */
  perRun: Level;
  /** No place by itself grew with every run, only the sum. */
  spread: boolean;
  /** Runs that were compared. */
  runs: number;
  /** Whether `fn` allocates in recorded memories. If not, the answer means little. */
  allocates: boolean;
  /** Modules of memories of which only the size is known. */
  unrecorded: (KnownModule | undefined)[];
  memories: number;
}

export async function findLeaks(
  runtime: Runtime,
  fn: Measured,
  options: CheckedOptions,
): Promise<LeakResult> {
  return runtime.alone(async () => {
    const { session } = runtime;
    const allowed = allowedContexts(runtime, options.allowFrames);
    const contexts = new Map<string, Context>();
    const next = (): Reading => {
      const reading = read(session);
      for (const [key, context] of reading.contexts) contexts.set(key, context);
      for (const levels of [reading.memories, ...reading.blocks.values()]) {
        for (const key of levels.keys()) if (allowed(key, contexts.get(key)!)) levels.delete(key);
      }
      return reading;
    };
    let allocates = false;
    /** Memories that are gone after the collection are there before it. */
    const run = async (): Promise<void> => {
      const before = allocations(session);
      await once(fn);
      allocates ||= allocations(session) > before;
    };
    for (let i = 0; i < options.warmup; i++) await run();
    await runtime.settle();
    let readings = [next()];
    let runs = 0;
    let found: { key: string; perRun: Level; module: string }[] = [];
    let spread = false;
    // The second time round shows whether what grew goes on growing.
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < options.runs; i++) {
        await run();
        await runtime.settle();
        readings.push(next());
        runs++;
        if (!seriesOf(readings).some(([, series]) => mayGrow(series, options.runs))) {
          found = [];
          break;
        }
      }
      if (readings.length <= options.runs) break;
      const before = round === 0 ? undefined : new Set(found.map(({ key }) => key));
      const growths = seriesOf(readings).map(([module, series]) => ({ module, ...findGrowth(series) }));
      const steady = keysOf(growths, "steady").filter(({ key }) => before === undefined || before.has(key));
      spread = steady.length === 0;
      found = spread ? keysOf(growths, "spread") : steady;
      if (found.length === 0) break;
      readings = readings.slice(-1);
    }
    const last = readings.at(-1)!;
    // That memories grow is news only where nothing is known of their blocks.
    const blocks = found.filter(({ module }) => module !== memoriesSeries);
    const leaks = (blocks.length > 0 ? blocks : found).map(({ key, perRun, module }) =>
      describe(runtime, contexts.get(key)!, perRun, module),
    );
    return {
      leaks,
      perRun: total(leaks),
      spread,
      runs,
      allocates,
      unrecorded: [...session.memories()].filter(isBlind).map(({ module }) => module),
      memories: last.memories.size,
    };
  });
}

const memoriesSeries = "memories";

/** What is compared: the blocks of each module, and the memories. */
function seriesOf(readings: readonly Reading[]): [string, Levels[]][] {
  const modules = new Set(readings.flatMap(({ blocks }) => [...blocks.keys()]));
  const none: Levels = new Map();
  return [
    ...[...modules].map((module): [string, Levels[]] => [
      module,
      readings.map(({ blocks }) => blocks.get(module) ?? none),
    ]),
    [memoriesSeries, readings.map(({ memories }) => memories)],
  ];
}

function keysOf(growths: readonly (Growth & { module: string })[], kind: "steady" | "spread") {
  return growths.flatMap((growth) => growth[kind].map((entry) => ({ ...entry, module: growth.module })));
}

/** Allocations so far in all memories of which it is known what is live. */
function allocations(session: Session): number {
  let sum = 0;
  for (const { recorder } of session.memories()) {
    const totals = recorder?.totals();
    if (totals) sum += totals.allocations - (totals.collectable ?? 0);
  }
  return sum;
}

/** Whether it is not known of a memory what is live in it. */
function isBlind({ recorder }: TrackedMemory): boolean {
  return !recorder || isCountedOnly(recorder.totals());
}

/** In a function of its own: what the run returned is not held while the next one runs. */
async function once(fn: Measured): Promise<void> {
  await fn();
}

function allowedContexts({ session }: Runtime, patterns: readonly RegExp[]) {
  const known = new Map<string, boolean>();
  return (key: string, { stack, caller }: Context): boolean => {
    if (patterns.length === 0) return false;
    let allowed = known.get(key);
    if (allowed === undefined) {
      const frames = [...session.framesOf(stack), ...session.framesOf(caller)];
      allowed = frames.some((frame) =>
        // `search` starts at the beginning, whatever the flags of the expression.
        patterns.some((pattern) => frame.function.search(pattern) >= 0 || frame.file.search(pattern) >= 0),
      );
      known.set(key, allowed);
    }
    return allowed;
  };
}

function describe({ session }: Runtime, context: Context, perRun: Level, series: string): Leak {
  const { memory, stack, caller } = context;
  const { module } = memory;
  const frames = (id: number) => session.framesOf(id);
  if (series !== memoriesSeries) {
    return { kind: "blocks", module, perRun, stack: frames(stack), caller: frames(caller) };
  }
  return perRun.blocks > 0
    ? { kind: "memories", module, perRun, stack: [], caller: frames(memory.stack) }
    : { kind: "pages", module, perRun, stack: frames(memory.growStack), caller: [] };
}

function total(leaks: readonly Leak[]): Level {
  return {
    bytes: leaks.reduce((sum, { perRun }) => sum + perRun.bytes, 0),
    blocks: leaks.reduce((sum, { perRun, kind }) => sum + (kind === "blocks" ? perRun.blocks : 0), 0),
  };
}
