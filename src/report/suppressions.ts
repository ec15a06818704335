/**
 * Suppressions: which findings of `linmem check` somebody knows of already and doesn't want to hear of again. A file of them
 * has entries like
 *
 * ```
 * # the parser reads one byte too far, upstream knows
 * heap-overflow
 *   parse_header
 *   ...
 *   loadImage
 * ```
 *
 * A line at the margin is a kind of finding, or `*` for any. The indented ones below it are functions, the innermost first, as
 * the finding shows them: those that did it, or for a leak those that allocated the block, without the allocator's own. Who
 * names those as well is understood too. Further ones may follow on the stack. In a name `*` stands for any text, and a line `...` for any number of functions.
 */
import {
  type FrameReport,
  findingKinds,
  type MemoryErrorReport,
  type ModuleReport,
} from "../analyze/report.js";
import { UsageError } from "../errors.js";
import { functionName, isAllocatorFrame } from "./frames.js";

export interface Suppression {
  kind: string;
  /** From the innermost on. */
  functions: readonly string[];
}

const anyFunctions = "...";
/** Functions of a finding that its suppression names. */
const mostFunctions = 6;

const kinds: readonly string[] = findingKinds;

/**
 * @param name of the file, for errors
 * @throws UsageError with the line that makes no sense
 */
export function parseSuppressions(text: string, name: string): Suppression[] {
  const suppressions: { kind: string; functions: string[]; line: number }[] = [];
  const wrong = (line: number, why: string) => new UsageError(`${name}, line ${line}: ${why}`);
  text.split(/\r?\n/).forEach((written, i) => {
    const line = written.trimEnd();
    const content = line.trimStart();
    if (content === "" || content.startsWith("#")) return;
    const last = suppressions.at(-1);
    if (content !== line) {
      if (!last) throw wrong(i + 1, "a function, but no kind of finding before it");
      last.functions.push(content);
      return;
    }
    if (content !== "*" && !kinds.includes(content)) {
      throw wrong(i + 1, `"${content}" is no kind of finding: one of ${kinds.join(", ")}, or *`);
    }
    suppressions.push({ kind: content, functions: [], line: i + 1 });
  });
  const empty = suppressions.find(({ functions }) => functions.length === 0);
  if (empty) throw wrong(empty.line, "no functions below it: write ... to mean all");
  return suppressions;
}

type Modules = readonly Pick<ModuleReport, "id" | "name" | "allocator">[];

/** @param modules of the report that the finding is from */
export function isSuppressed(
  error: MemoryErrorReport,
  modules: Modules,
  suppressions: readonly Suppression[],
): boolean {
  const stacks = [shownStack(error, modules), stackOf(error)].map((stack) => stack.map(functionName));
  return suppressions.some(
    ({ kind, functions }) =>
      (kind === "*" || kind === error.kind) && stacks.some((names) => matches(names, functions)),
  );
}

/** The entry that suppresses a finding; undefined for one of which no stack is known. */
export function suppressionOf(error: MemoryErrorReport, modules: Modules): string | undefined {
  const names = shownStack(error, modules).slice(0, mostFunctions).map(functionName);
  return names.length === 0 ? undefined : [error.kind, ...names.map((name) => `  ${name}`), ""].join("\n");
}

/** Who did it; where that is not known, who allocated the block. */
function stackOf({ stack, allocatedAt = [] }: MemoryErrorReport): readonly FrameReport[] {
  return stack.length > 0 ? stack : allocatedAt;
}

/** The same from the first function on that is not the allocator's; all of it where there is no other. */
function shownStack(error: MemoryErrorReport, modules: Modules): readonly FrameReport[] {
  const stack = stackOf(error);
  const module = modules.find(({ id }) => id === error.module) ?? { name: "", allocator: [] };
  return stack.slice(
    Math.max(
      0,
      stack.findIndex((frame) => !isAllocatorFrame(frame, module)),
    ),
  );
}

function matches(names: readonly string[], patterns: readonly string[]): boolean {
  const [pattern, ...rest] = patterns;
  if (pattern === undefined) return true;
  if (pattern === anyFunctions) {
    return names.some((_, i) => matches(names.slice(i), rest)) || matches([], rest);
  }
  const [name, ...further] = names;
  return name !== undefined && matchesName(name, pattern) && matches(further, rest);
}

function matchesName(name: string, pattern: string): boolean {
  const parts = pattern.split("*").map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s").test(name);
}
