// Live bytes as a tree, from the program's outermost line inwards: one line a frame, small branches left out.
import type { FrameReport, ModuleReport } from "../analyze/report.js";
import { formatBytes, formatShare } from "./format.js";
import { functionName, isAllocatorFrame, lineLocation } from "./frames.js";
import type { Page } from "./page.js";

const leastShare = 0.05;
const deepest = 24;

interface Node {
  frame?: FrameReport;
  bytes: number;
  children: Map<string, Node>;
}

export function treeSection(page: Page, module: ModuleReport): void {
  const root: Node = { bytes: 0, children: new Map() };
  for (const context of module.contexts) {
    if (context.liveBytes <= 0) continue;
    root.bytes += context.liveBytes;
    let node = root;
    const frames = [...context.stack].reverse().filter((frame) => isShown(frame, module));
    for (const frame of frames) {
      const key = `${frame.kind} ${frame.function} ${frame.file} ${frame.kind === "js" ? frame.line : ""}`;
      let child = node.children.get(key);
      if (!child) node.children.set(key, (child = { frame, bytes: 0, children: new Map() }));
      child.bytes += context.liveBytes;
      node = child;
    }
  }
  if (root.children.size === 0) return;
  page.heading("Live at the end, as a tree", 2);
  const rows: string[][] = [];
  draw(root, "", rows, page, root.bytes, 0);
  page.table(
    [{ align: "right" }, { align: "right" }, { cut: "end" }, { cut: "start", style: page.colors.cyan }],
    rows,
    {
      indent: 4,
    },
  );
}

function isShown(frame: FrameReport, module: ModuleReport): boolean {
  return !isAllocatorFrame(frame, module) && !/^(node|internal):/.test(frame.file);
}

function draw(node: Node, prefix: string, rows: string[][], page: Page, whole: number, depth: number): void {
  const children = [...node.children.values()]
    .filter(({ bytes }) => bytes >= leastShare * whole)
    .sort((a, b) => b.bytes - a.bytes);
  children.forEach((child, i) => {
    const last = i === children.length - 1;
    // a chain without branches stays in its column
    const alone = children.length === 1 && child.bytes === node.bytes;
    const branch = alone ? "" : last ? "└ " : "├ ";
    rows.push([
      formatBytes(child.bytes),
      formatShare(child.bytes, whole),
      prefix + branch + functionName(child.frame!),
      lineLocation(child.frame!, page.directory),
    ]);
    if (depth < deepest)
      draw(child, prefix + (alone ? "" : last ? "  " : "│ "), rows, page, whole, depth + 1);
  });
}
