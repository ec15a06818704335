// A diff of two profiles: for terminals, for programs, and as Markdown for a pull request.
import type { Diff, DiffRow, DiffTotals } from "../analyze/diff.js";
import { clean, countOf, formatBytes, formatCount } from "./format.js";
import { functionName, lineLocation } from "./frames.js";
import { Page, type TextOptions } from "./page.js";

export interface DiffOptions extends TextOptions {
  /** How many callers; default 12. */
  top?: number;
}

const defaultTop = 12;

const lines: [name: string, key: keyof DiffTotals, format: (value: number) => string][] = [
  ["live at the end", "liveBytes", formatBytes],
  ["live blocks", "liveBlocks", formatCount],
  ["high-water mark", "peakLiveBytes", formatBytes],
  ["allocations", "allocations", formatCount],
  ["memories, at most", "memoryBytes", formatBytes],
];

/** `+1.5 MiB`, `−12`, `±0`. */
function signed(change: number, format: (value: number) => string): string {
  if (change === 0) return "±0";
  return `${change > 0 ? "+" : "−"}${format(Math.abs(change))}`;
}

function totalRows({ before, after }: Diff): string[][] {
  return lines.map(([name, key, format]) => [
    name,
    format(before[key]),
    format(after[key]),
    signed(after[key] - before[key], format),
  ]);
}

function callerCells({ caller, module, before, after, change }: DiffRow, directory: string): string[] {
  return [
    change,
    signed(after.liveBytes - before.liveBytes, formatBytes),
    formatBytes(before.liveBytes),
    formatBytes(after.liveBytes),
    caller ? functionName(caller) : "(caller not captured)",
    caller ? lineLocation(caller, directory) : "",
    clean(module),
  ];
}

export function textDiff(diff: Diff, { top = defaultTop, ...options }: DiffOptions = {}): string {
  const page = new Page(options);
  const { bold, cyan, dim, green, red } = page.colors;
  const right = { align: "right" } as const;
  const tint = (text: string) =>
    text.startsWith("+") ? red(text) : text.startsWith("−") ? green(text) : text;
  page.table([{}, right, right, { align: "right", style: tint }], totalRows(diff), {
    head: ["", "before", "after", "change"],
    indent: 0,
  });
  if (diff.rows.length > 0) {
    page.heading("Live at the end, by caller");
    page.table(
      [
        {},
        { align: "right", style: tint },
        right,
        right,
        { cut: "end", style: bold },
        { cut: "start", style: cyan },
        { cut: "end" },
      ],
      diff.rows.slice(0, top).map((row) => callerCells(row, page.directory)),
      { head: ["", "change", "before", "after", "made by", "at", "module"] },
    );
    const left = diff.rows.length - top;
    if (left > 0) page.line(`  ${dim(`and ${countOf(left, "other")} (--top N)`)}`);
  } else {
    page.line();
    page.line("No caller holds more or less than before.");
  }
  for (const [title, findings] of [
    ["New", diff.newFindings],
    ["Gone", diff.goneFindings],
  ] as const) {
    if (findings.length === 0) continue;
    page.heading(title);
    for (const finding of findings) page.prose(clean(finding), { indent: 2, hanging: 4 });
  }
  return page.toString();
}

/** For a comment on a pull request. Nothing in names is markup: they are code, and what Markdown acts on is escaped. */
export function markdownDiff(diff: Diff, { top = defaultTop, directory = "" }: DiffOptions = {}): string {
  const live = diff.after.liveBytes - diff.before.liveBytes;
  const out = [`### WebAssembly memory: ${signed(live, formatBytes)} live at the end`, ""];
  out.push(...markdownTable(["", "before", "after", "change"], "lrrr", totalRows(diff)), "");
  if (diff.rows.length > 0) {
    const rows = diff.rows.slice(0, top).map((row) => {
      const [change, by, before, after, name, at, module] = callerCells(row, directory);
      return [change!, by!, before!, after!, code(name!), code(at!), code(module!)];
    });
    out.push(...markdownTable(["", "change", "before", "after", "made by", "at", "module"], "lrrrlll", rows));
    if (diff.rows.length > top) out.push("", `and ${countOf(diff.rows.length - top, "other")}`);
    out.push("");
  } else {
    out.push("No caller holds more or less than before.", "");
  }
  for (const finding of diff.newFindings) out.push(`- **new:** ${escaped(finding)}`);
  for (const finding of diff.goneFindings) out.push(`- gone: ${escaped(finding)}`);
  return `${out.join("\n").trimEnd()}\n`;
}

function markdownTable(head: string[], alignment: string, rows: string[][]): string[] {
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line([...alignment].map((side) => (side === "r" ? "---:" : "---"))), ...rows.map(line)];
}

function code(text: string): string {
  const plain = clean(text).replaceAll("|", "\\|");
  if (plain === "") return "";
  const longest = Math.max(0, ...[...plain.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  return longest > 0 ? `${fence} ${plain} ${fence}` : `${fence}${plain}${fence}`;
}

function escaped(text: string): string {
  return clean(text)
    .replaceAll(/[\\`*_{}[\]()#+!|~@]/g, "\\$&")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
}
