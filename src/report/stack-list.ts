// Stacks by what they made, each with its frames.
import type { ContextReport, ModuleReport } from "../analyze/report.js";
import { countOf, formatBytes, formatCount, formatShare } from "./format.js";
import { functionName, location, stackLines } from "./frames.js";
import type { Page } from "./page.js";

/** How many entries of a list are shown unless more are asked for. */
export const defaultTop = 8;
/** So many stacks are shown even if each is below one in a hundred. */
export const alwaysShown = 3;

type StackFigure = "liveBytes" | "peakLiveBytes" | "allocatedBytes";

export function stackList(
  page: Page,
  module: ModuleReport,
  contexts: readonly ContextReport[],
  title: string,
  figure: StackFigure,
  whole: number,
  top: number,
): void {
  if (contexts.length === 0) return;
  page.heading(title, 2);
  // The smallest say little and would hide the others, unless more than usual is asked for.
  const all = top > defaultTop;
  const shown = contexts
    .slice(0, top)
    .filter((context, i) => all || i < alwaysShown || context[figure] * 100 >= whole);
  shown.forEach((context, i) => {
    if (i > 0) page.line();
    stackEntry(page, module, context, figure, whole);
  });
  const rest = contexts.slice(shown.length);
  if (rest.length > 0) {
    const bytes = rest.reduce((sum, context) => sum + context[figure], 0);
    const stacks = countOf(rest.length, "other stack");
    page.line();
    page.line(
      `  ${page.colors.dim(`${formatBytes(bytes)} at ${stacks} (--top N, or --format json for all)`)}`,
    );
  }
}

function stackEntry(
  page: Page,
  module: ModuleReport,
  context: ContextReport,
  figure: StackFigure,
  whole: number,
): void {
  const { bold, cyan, dim } = page.colors;
  const share = formatShare(context[figure], whole);
  const blocks =
    figure === "liveBytes"
      ? ` in ${countOf(context.liveBlocks, "block")}, of ${formatCount(context.allocations)} made here`
      : figure === "allocatedBytes"
        ? ` in ${countOf(context.allocations, "block")}`
        : `, of ${countOf(context.allocations, "block")} made here in all`;
  page.line(`  ${bold(formatBytes(context[figure]))} (${share})${blocks}`);
  const caller = module.callers.find(({ contexts }) => contexts.includes(context.id))?.frame;
  const rows = stackLines(context.stack, module, caller).map((line) => {
    if ("frame" in line) {
      const name = functionName(line.frame) + (line.frame.inlined ? " (inlined)" : "");
      return [line.caller ? `> ${name}` : `  ${name}`, location(line.frame, page.directory)];
    }
    return line.of === "allocator"
      ? [`  (${countOf(line.left, "frame")} of the allocator)`]
      : [`  (${countOf(line.left, "more frame")})`];
  });
  if (context.stack.length === 0) rows.push(["  (stack not known)"]);
  const isCalled = figure !== "allocatedBytes" || context.stack.some(({ kind }) => kind === "js");
  if (context.sampled || (!isCalled && context.stack.length > 0)) rows.push(["  (caller not captured)"]);
  const nameStyle = (text: string) =>
    text.startsWith("> ") ? bold(text) : text.startsWith("  (") ? dim(text) : text;
  page.table(
    [
      { cut: "end", style: nameStyle },
      { cut: "start", style: cyan },
    ],
    rows,
    { indent: 4 },
  );
}
