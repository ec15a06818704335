/** What `linmem check` found, as text: what was done, to which block, by whom, and who made and freed the block. */
import type { FrameReport, MemoryErrorReport, ModuleReport, Report } from "../analyze/report.js";
import { countOf, formatBytes, formatCount } from "./format.js";
import { functionName, location, moduleName, stackLines } from "./frames.js";
import { Page, type TextOptions } from "./page.js";

export interface CheckTextOptions extends TextOptions {
  /** Errors that a file of suppressions left out. */
  suppressed?: number;
  /** Whether to list what only leaks lead to, and what JavaScript may hold; else one line says how much that is. */
  allLeaks?: boolean;
}

/** All of a checked run on a page of its own. */
export function checkText(
  report: Report,
  { suppressed = 0, allLeaks = false, ...options }: CheckTextOptions,
): string {
  const page = new Page(options);
  const errors = report.memoryErrors ?? [];
  const { bold, dim, yellow } = page.colors;
  const leaks = errors.filter(({ kind }) => kind === "leak");
  const count = errors.length - leaks.length;
  const lost = leaks.reduce((sum, leak) => sum + leak.size, 0);
  const found = [
    count === 0 ? "no memory errors" : countOf(count, "memory error"),
    ...(leaks.length > 0 ? [`${formatBytes(lost)} that nothing in the memory leads to`] : []),
    ...(suppressed > 0 ? [`${formatCount(suppressed)} suppressed`] : []),
  ];
  page.line(bold(`linmem: ${found.join(", ")}`));
  // each thread may have the same module
  const unchecked = report.warnings.flatMap(({ code, message, module }) => {
    if (code !== "not-checked") return [];
    const about = report.modules.find(({ id }) => id === module);
    return [`${about ? `${moduleName(about)}: ` : ""}${message}`];
  });
  for (const text of new Set(unchecked)) page.prose(text, { indent: 2, hanging: 4, style: yellow });
  memoryErrorList(page, report, { allLeaks });
  if (!report.run.complete) {
    page.line();
    page.line(dim("The run was killed: what came last may be missing."));
  }
  return page.toString();
}

/** The errors, numbered; behind them what only leaks lead to, and what JavaScript may hold, or how much that is. */
export function memoryErrorList(
  page: Page,
  report: Report,
  { allLeaks = false }: Pick<CheckTextOptions, "allLeaks"> = {},
): void {
  const { memoryErrors = [], indirectLeaks = [], possibleLeaks = [] } = report;
  let number = 0;
  const list = (errors: readonly MemoryErrorReport[], certainty = ""): void => {
    for (const error of errors) {
      page.line();
      entry(page, report, error, `${++number}. ${certainty}${error.kind}`, certainty === indirect);
    }
  };
  const count = (leaks: readonly MemoryErrorReport[], what: string): void => {
    if (leaks.length === 0) return;
    const blocks = leaks.reduce((sum, { count }) => sum + count, 0);
    const bytes = leaks.reduce((sum, { size }) => sum + size, 0);
    page.line();
    page.prose(`${formatBytes(bytes)} in ${countOf(blocks, "block")} ${what}`, { style: page.colors.dim });
  };
  list(memoryErrors);
  if (allLeaks) {
    list(indirectLeaks, indirect);
    list(possibleLeaks, "possible ");
    return;
  }
  count(
    indirectLeaks,
    "more are lost with these leaks, which alone lead there. linmem check --leaks all lists them.",
  );
  count(
    possibleLeaks,
    "may be held by JavaScript alone: nothing in the memory leads there, but JavaScript knows the addresses. " +
      "linmem check --leaks all lists them, linmem run tells whether they grow.",
  );
}

const indirect = "indirect ";

function entry(
  page: Page,
  report: Report,
  error: MemoryErrorReport,
  head: string,
  isIndirect: boolean,
): void {
  const { bold, red, yellow } = page.colors;
  const { kind, count } = error;
  const times = kind !== "leak" && count > 1 ? ` (${formatCount(count)} times)` : "";
  page.prose(`${head}: ${sentence(error, isIndirect)}${times}`, {
    hanging: 3,
    style: (line) =>
      line.startsWith(head)
        ? (kind === "leak" ? yellow : red)(bold(head)) + bold(line.slice(head.length))
        : bold(line),
  });
  const module = report.modules.find(({ id }) => id === error.module) ?? { name: "", allocator: [] };
  if (kind !== "leak") stack(page, error.stack, module);
  if (error.allocatedAt) {
    page.line(kind === "leak" ? "   allocated by" : "   the block was allocated by");
    stack(page, error.allocatedAt, module);
  }
  if (error.freedAt) {
    page.line("   and freed by");
    stack(page, error.freedAt, module);
  }
}

function stack(page: Page, frames: readonly FrameReport[], module: Pick<ModuleReport, "name" | "allocator">) {
  const { cyan, dim } = page.colors;
  const rows = stackLines(frames, module).flatMap((line) => {
    if ("frame" in line) {
      const name = functionName(line.frame) + (line.frame.inlined ? " (inlined)" : "");
      return [[name, location(line.frame, page.directory)]];
    }
    return line.of === "allocator" ? [] : [[`(${countOf(line.left, "more frame")})`, ""]];
  });
  if (rows.length === 0) rows.push(["(not known)", ""]);
  page.table(
    [
      { cut: "end", style: (text: string) => (text.startsWith("(") ? dim(text) : text) },
      { cut: "start", style: cyan },
    ],
    rows,
    { indent: 7 },
  );
}

const hex = (address: number) => `0x${address.toString(16)}`;
const bytes = (count: number) => countOf(count, "byte");

/** `write of 1 byte at 0x10254, 4 bytes past the end of a block of 16`. */
function sentence(error: MemoryErrorReport, isIndirect: boolean): string {
  const { kind, access, address, size, block, count } = error;
  switch (kind) {
    case "leak": {
      const from = isIndirect ? "that only leaks lead to" : "that nothing in the memory leads to";
      return count === 1
        ? `${bytes(size)} at ${hex(address)} ${from}`
        : `${bytes(size)} in ${formatCount(count)} blocks ${from}, the first at ${hex(address)}`;
    }
    case "double-free":
      return `${access} of the block at ${hex(address)} of ${bytes(block?.size ?? 0)}, which is free already`;
    case "invalid-free":
      return `${access} of ${hex(address)}, ${block ? position(address, block) : "where no block begins"}`;
    case "mismatched-free":
      return `${access} of the block at ${hex(address)} of ${bytes(block?.size ?? 0)} as one of ${size}`;
    case "host-write-after-free":
      return `JavaScript changed the block at ${hex(address)} of ${bytes(block?.size ?? 0)} after it was freed`;
    case "stack-overflow":
      return `the stack pointer was set to ${hex(address)}, beyond the end of the stack`;
    default: {
      const what = `${access} of ${bytes(size)} at ${hex(address)}`;
      if (kind === "null-access") return `${what}, where no object lies`;
      if (kind === "out-of-bounds") return `${what}, which reaches beyond the end of the memory`;
      return block
        ? `${what}, ${position(address, block)}${kind === "use-after-free" ? " that was freed" : ""}`
        : what;
    }
  }
}

/** `4 bytes past the end of a block of 16`. */
function position(address: number, block: { address: number; size: number }): string {
  const offset = address - block.address;
  if (offset < 0) return `${bytes(-offset)} before a block of ${block.size}`;
  if (offset < block.size) {
    return offset === 0
      ? `at the start of a block of ${block.size}`
      : `${bytes(offset)} into a block of ${block.size}`;
  }
  const past = offset - block.size;
  return past === 0
    ? `right behind the end of a block of ${block.size}`
    : `${bytes(past)} past the end of a block of ${block.size}`;
}
