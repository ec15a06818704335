// The same script raw and instrumented, command by command.
import { decodeModule } from "../../src/wasm/module.js";
import type { WasmFrame } from "../support/wasm-stacks.js";
import { type Outcome, ScriptRun } from "./runner.js";
import type { Script } from "./script.js";
import { raw, type Treated, treatments } from "./treatments.js";

export interface Counts {
  scripts: number;
  /** Assertions that ran raw, and those of them with another outcome than the suite asks for. */
  assertions: number;
  unlikeSuite: number;
  /** Why commands were not run, with how many. */
  skipped: Map<string, number>;
  byTreatment: Map<string, TreatmentCounts>;
}

export interface TreatmentCounts {
  modules: number;
  /** Modules that came back changed. */
  changed: number;
  /** Modules with a hooked function. */
  hooked: number;
  /** Valid modules that could not be instrumented, by message. */
  refused: Map<string, number>;
  /** Allocations and contexts that hooks recorded. */
  allocations: number;
  contexts: number;
  /** Commands with the same outcome, of those that ran. */
  identical: number;
  compared: number;
  /**
   * Invalid modules that became valid: they use an index one past the last, and that is where linmem adds locals,
   * globals and the label of a hooked body. Finding those would cost a look at every instruction of every module.
   */
  accepted: number;
  /** Stacks of errors that were mapped back to the raw module's, and those which came out the same. */
  stacks: number;
  identicalStacks: number;
}

export interface Difference {
  script: string;
  line: number;
  treatment: string;
  raw: string;
  instrumented: string;
}

export function emptyCounts(): Counts {
  return { scripts: 0, assertions: 0, unlikeSuite: 0, skipped: new Map(), byTreatment: new Map() };
}

/** Runs a script raw and in every treatment; adds to `counts` and returns what was not the same. */
export function compareScript(script: Script, counts: Counts): Difference[] {
  const differences: Difference[] = [];
  const { outcomes: expected } = new ScriptRun(script, raw);
  counts.scripts++;
  for (const { command, skipped, asExpected } of expected) {
    if (skipped) increment(counts.skipped, skipped);
    else if (command.type.startsWith("assert_")) {
      counts.assertions++;
      if (asExpected === false) counts.unlikeSuite++;
    }
  }
  const bases = new Map([[raw, expected]]);
  for (const { base, instrumented: treatment } of treatments) {
    let wanted = bases.get(base);
    if (!wanted) bases.set(base, (wanted = new ScriptRun(script, base).outcomes));
    const run = new ScriptRun(script, treatment);
    const sum = countsOf(counts, treatment.name);
    addModules(sum, run);
    const resolve = frameResolver(run.treated);
    run.outcomes.forEach((outcome, i) => {
      const want = wanted[i];
      if (want.skipped && outcome.skipped) return;
      const report = (rawText: string, instrumented: string) =>
        differences.push({
          script: script.name,
          line: want.command.line,
          treatment: treatment.name,
          raw: rawText,
          instrumented,
        });
      sum.compared++;
      if (textOf(outcome) === textOf(want)) sum.identical++;
      else if (becameValid(want, outcome)) sum.accepted++;
      else report(textOf(want), textOf(outcome));
      if (!want.frames?.length && !outcome.frames?.length) return;
      sum.stacks++;
      if (sameStack(want.frames ?? [], outcome.frames ?? [], resolve)) sum.identicalStacks++;
      else report(framesText(want.frames), framesText(outcome.frames));
    });
  }
  return differences;
}

const textOf = ({ skipped, text }: Outcome) => (skipped ? `skipped: ${skipped}` : text);

function becameValid({ command, text }: Outcome, outcome: Outcome): boolean {
  const unknownIndex = /^unknown (local|global|label)/.test(command.text ?? "");
  return unknownIndex && text === "invalid" && outcome.text === "valid";
}

function countsOf(counts: Counts, treatment: string): TreatmentCounts {
  let sum = counts.byTreatment.get(treatment);
  if (!sum) {
    sum = {
      modules: 0,
      changed: 0,
      hooked: 0,
      refused: new Map(),
      allocations: 0,
      contexts: 0,
      identical: 0,
      compared: 0,
      accepted: 0,
      stacks: 0,
      identicalStacks: 0,
    };
    counts.byTreatment.set(treatment, sum);
  }
  return sum;
}

function addModules(sum: TreatmentCounts, run: ScriptRun): void {
  sum.allocations += run.allocations;
  sum.contexts += run.contexts;
  for (const { bytes, changed, instrumentation, refused } of run.treated) {
    sum.modules++;
    if (instrumentation?.allocator.length) sum.hooked++;
    if (changed) sum.changed++;
    if (refused && WebAssembly.validate(bytes)) increment(sum.refused, refused.message);
  }
}

function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** What a frame can be: functions and offsets of original modules, or `added` for what linmem put there. */
type FrameResolver = (frame: WasmFrame) => string[];

/** The engine doesn't say which module a frame is of: any in which that function has code at that offset. */
function frameResolver(treated: readonly Treated[]): FrameResolver {
  let decoded: { module: ReturnType<typeof decodeModule>; treated: Treated }[] | undefined;
  return ({ functionIndex, offset, name }) => {
    decoded ??= treated
      .filter((item) => WebAssembly.validate(item.bytes))
      .map((item) => ({ module: decodeModule(item.bytes), treated: item }));
    const meanings = new Set<string>();
    for (const { module, treated: item } of decoded) {
      const body = functionIndex - module.importedFunctionCount;
      if (body < 0 || body >= module.bodies.count) continue;
      if (offset < module.bodies.start[body] || offset >= module.bodies.end[body]) continue;
      const original = item.instrumentation?.toOriginal(functionIndex, offset) ?? { functionIndex, offset };
      if ("added" in original && original.added) meanings.add("added");
      else meanings.add(frameText({ ...original, name }));
    }
    return [...meanings];
  };
}

const frameText = ({ functionIndex, offset, name }: Pick<WasmFrame, "functionIndex" | "offset" | "name">) =>
  `${name}[${functionIndex}]:0x${offset.toString(16)}`;

const framesText = (frames: WasmFrame[] | undefined) => `at ${(frames ?? []).map(frameText).join(" < ")}`;

/** Whether the instrumented module's stack is the raw one, but for frames that were added. */
function sameStack(
  wanted: readonly WasmFrame[],
  frames: readonly WasmFrame[],
  resolve: FrameResolver,
): boolean {
  let next = 0;
  for (const frame of frames) {
    const meanings = resolve(frame);
    if (next < wanted.length && meanings.includes(frameText(wanted[next]))) next++;
    else if (!meanings.includes("added")) return false;
  }
  return next === wanted.length;
}
