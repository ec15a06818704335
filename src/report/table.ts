// Rows of a profile as a table: sorted, filtered, one a line.
import type { ContextReport, ModuleReport, Report } from "../analyze/report.js";
import { routeOf } from "../analyze/routed-context.js";
import { clean, countOf, formatBytes, formatCount } from "./format.js";
import { functionName, isAllocatorFrame, lineLocation, moduleName } from "./frames.js";
import { Page, type TextOptions } from "./page.js";

/** Columns by which a table can be sorted, largest first. */
export const sortKeys = ["live", "blocks", "peak", "allocated", "allocations", "temporary"] as const;
export type SortKey = (typeof sortKeys)[number];

export interface TableOptions extends TextOptions {
  sort?: SortKey;
  /** Only rows in which a function, file or module contains one of these, in any case; with a leading `!` none may. */
  filter?: readonly string[];
  /** How many rows; all without it. */
  top?: number;
}

const figures: Record<SortKey, (context: ContextReport) => number> = {
  live: ({ liveBytes }) => liveBytes,
  blocks: ({ liveBlocks }) => liveBlocks,
  peak: ({ peakLiveBytes }) => peakLiveBytes,
  allocated: ({ allocatedBytes }) => allocatedBytes,
  allocations: ({ allocations }) => allocations,
  temporary: ({ temporary }) => temporary,
};

/** One line for each pair of wasm stack and JavaScript caller. */
export function tableReport(
  report: Report,
  { sort = "live", filter = [], top, ...options }: TableOptions = {},
): string {
  const page = new Page(options);
  const all = report.modules.flatMap((module) => module.contexts.map((context) => ({ module, context })));
  const matching = all
    .filter(({ module, context }) => matches(module, context, filter))
    .sort((a, b) => figures[sort](b.context) - figures[sort](a.context));
  const several = new Set(all.map(({ module }) => module)).size > 1;
  const rows = matching.slice(0, top).map(({ module, context }) => row(page, module, context, several));
  const { bold, cyan } = page.colors;
  if (rows.length === 0) {
    page.line(
      filter.length > 0 && all.length > 0 ? "No row matches the filter." : "No blocks were recorded.",
    );
    return page.toString();
  }
  const right = { align: "right" } as const;
  page.table(
    [
      right,
      right,
      right,
      right,
      right,
      right,
      { cut: "end", style: bold },
      { cut: "start", style: cyan },
      { cut: "end" },
      { cut: "end" },
    ],
    rows,
    {
      head: [
        "live",
        "blocks",
        "peak",
        "allocated",
        "allocations",
        "temporary",
        "made by",
        "at",
        "in",
        several ? "module" : "",
      ],
      indent: 0,
    },
  );
  const left = matching.length - rows.length;
  if (left > 0) page.line(page.colors.dim(`and ${countOf(left, "row")} more (--top N)`));
  return page.toString();
}

function row(page: Page, module: ModuleReport, context: ContextReport, several: boolean): string[] {
  const caller = routeOf(context).caller;
  const inner = context.stack.find((frame) => frame.kind === "wasm" && !isAllocatorFrame(frame, module));
  return [
    formatBytes(context.liveBytes),
    formatCount(context.liveBlocks),
    formatBytes(context.peakLiveBytes),
    formatBytes(context.allocatedBytes),
    formatCount(context.allocations),
    formatCount(context.temporary),
    caller ? functionName(caller) : "(caller not captured)",
    caller ? lineLocation(caller, page.directory) : "",
    inner ? functionName(inner) : "",
    several ? moduleName(module) : "",
  ];
}

function matches(module: ModuleReport, { stack }: ContextReport, filter: readonly string[]): boolean {
  if (filter.length === 0) return true;
  const texts = [module.name, ...stack.flatMap((frame) => [frame.function, frame.file])].map((text) =>
    clean(text).toLowerCase(),
  );
  const holds = (part: string) => texts.some((text) => text.includes(part.toLowerCase()));
  const wanted = filter.filter((part) => !part.startsWith("!"));
  const unwanted = filter.filter((part) => part.startsWith("!")).map((part) => part.slice(1));
  return (wanted.length === 0 || wanted.some(holds)) && !unwanted.some(holds);
}
