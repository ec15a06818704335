// Live bytes as a tree, from the program's outermost line inwards: one line a frame, small branches left out.
import type { ContextReport, FrameReport, ModuleReport } from "../analyze/report.js";
import { formatBytes, formatShare } from "./format.js";
import { functionName, isAllocatorFrame, lineLocation } from "./frames.js";
import type { Page } from "./page.js";

const leastShare = 0.05;
const deepest = 24;

interface Node {
  frame: FrameReport;
  bytes: number;
  contexts: ContextReport[];
}

/** Frames that are one line of the tree by number; 0 for those left out. Frames are shared by stacks, so most are known. */
class Lines {
  readonly #module: ModuleReport;
  readonly #known = new Map<FrameReport, number>();
  readonly #numbers = new Map<string, number>();

  constructor(module: ModuleReport) {
    this.#module = module;
  }

  numberOf(frame: FrameReport): number {
    let number = this.#known.get(frame);
    if (number === undefined) this.#known.set(frame, (number = this.#find(frame)));
    return number;
  }

  #find(frame: FrameReport): number {
    if (!isShown(frame, this.#module)) return 0;
    const { kind, function: name, file, line } = frame;
    const key = `${kind} ${name} ${file} ${kind === "js" ? line : ""}`;
    let number = this.#numbers.get(key);
    if (number === undefined) this.#numbers.set(key, (number = this.#numbers.size + 1));
    return number;
  }
}

export function treeSection(page: Page, module: ModuleReport): void {
  const tree = new Tree(module);
  if (tree.whole <= 0) return;
  const rows: string[][] = [];
  draw(tree, tree.contexts, tree.whole, "", rows, page, 0);
  if (rows.length === 0) return;
  page.heading("Live at the end, as a tree", 2);
  page.table(
    [{ align: "right" }, { align: "right" }, { cut: "end" }, { cut: "start", style: page.colors.cyan }],
    rows,
    {
      indent: 4,
    },
  );
}

/** Only branches that are drawn are ever made: the tree of 100,000 stacks has a million nodes. */
class Tree {
  readonly contexts: ContextReport[];
  readonly whole: number;
  readonly #lines: Lines;
  /** By context id: how many frames of its stack, from the outer end, are in the branches gone through so far. */
  readonly #passed: Uint32Array;

  constructor(module: ModuleReport) {
    this.contexts = module.contexts.filter(({ liveBytes }) => liveBytes > 0);
    this.whole = this.contexts.reduce((sum, { liveBytes }) => sum + liveBytes, 0);
    this.#lines = new Lines(module);
    this.#passed = new Uint32Array(1 + module.contexts.reduce((most, { id }) => Math.max(most, id), 0));
  }

  /** Branches of what `contexts` have in common, the largest first, without small ones. */
  branches(contexts: readonly ContextReport[]): Node[] {
    const nodes = new Map<number, Node>();
    for (const context of contexts) {
      const { id, stack, liveBytes } = context;
      let at = stack.length - this.#passed[id]!;
      let number = 0;
      while (number === 0 && at > 0) number = this.#lines.numberOf(stack[--at]!);
      if (number === 0) continue;
      this.#passed[id] = stack.length - at;
      const node = nodes.get(number);
      if (!node) nodes.set(number, { frame: stack[at]!, bytes: liveBytes, contexts: [context] });
      else {
        node.bytes += liveBytes;
        node.contexts.push(context);
      }
    }
    return [...nodes.values()]
      .filter(({ bytes }) => bytes >= leastShare * this.whole)
      .sort((a, b) => b.bytes - a.bytes);
  }
}

function isShown(frame: FrameReport, module: ModuleReport): boolean {
  return !isAllocatorFrame(frame, module) && !/^(node|internal):/.test(frame.file);
}

function draw(
  tree: Tree,
  contexts: readonly ContextReport[],
  bytes: number,
  prefix: string,
  rows: string[][],
  page: Page,
  depth: number,
): void {
  const children = tree.branches(contexts);
  children.forEach((child, i) => {
    const last = i === children.length - 1;
    // a chain without branches stays in its column
    const alone = children.length === 1 && child.bytes === bytes;
    const branch = alone ? "" : last ? "└ " : "├ ";
    rows.push([
      formatBytes(child.bytes),
      formatShare(child.bytes, tree.whole),
      prefix + branch + functionName(child.frame),
      lineLocation(child.frame, page.directory),
    ]);
    if (depth >= deepest) return;
    const inner = prefix + (alone ? "" : last ? "  " : "│ ");
    draw(tree, child.contexts, child.bytes, inner, rows, page, depth + 1);
  });
}
