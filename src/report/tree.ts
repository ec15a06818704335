// Live bytes as a tree, from the program's outermost line inwards: one line a frame, small branches left out.
import type { ContextReport, FrameReport, ModuleReport } from "../analyze/report.js";
import { routeOf } from "../analyze/routed-context.js";
import { formatBytes, formatShare } from "./format.js";
import { functionName, isAllocatorFrame, lineLocation } from "./frames.js";
import type { Page } from "./page.js";

const leastShare = 0.05;
const deepest = 24;

interface Node {
  frame: FrameReport;
  bytes: number;
  paths: Path[];
}

/** Frames that some contexts have in common, gone through from the outer end. */
interface Path {
  stack: readonly FrameReport[];
  /** How many of them are in the branches gone through so far. */
  passed: number;
  bytes: number;
  /** Contexts whose stacks go on where these frames end; empty for a context's own. */
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
  draw(tree, tree.paths, tree.whole, "", rows, page, 0);
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

/**
 * Only branches that are drawn are ever made: the tree of 100,000 stacks has a million nodes. Contexts of one caller stay
 * together for as long as the frames are the caller's.
 */
class Tree {
  readonly paths: Path[];
  readonly whole: number;
  readonly #lines: Lines;

  constructor(module: ModuleReport) {
    const live = module.contexts.filter(({ liveBytes }) => liveBytes > 0);
    this.paths = byCaller(live);
    this.whole = this.paths.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#lines = new Lines(module);
  }

  /** Branches of what `paths` have in common, the largest first, without small ones. */
  branches(paths: readonly Path[]): Node[] {
    const nodes = new Map<number, Node>();
    for (const path of paths) this.#follow(path, nodes);
    return [...nodes.values()]
      .filter(({ bytes }) => bytes >= leastShare * this.whole)
      .sort((a, b) => b.bytes - a.bytes);
  }

  /** Goes to the next frame that is shown. */
  #follow(path: Path, nodes: Map<number, Node>): void {
    const { stack, bytes, contexts } = path;
    let at = stack.length - path.passed;
    let number = 0;
    while (number === 0 && at > 0) number = this.#lines.numberOf(stack[--at]!);
    path.passed = stack.length - at;
    if (number === 0) {
      for (const context of contexts) {
        const { stack, liveBytes } = context;
        this.#follow({ stack, passed: path.passed, bytes: liveBytes, contexts: [] }, nodes);
      }
      return;
    }
    const node = nodes.get(number);
    if (!node) nodes.set(number, { frame: stack[at]!, bytes, paths: [path] });
    else {
      node.bytes += bytes;
      node.paths.push(path);
    }
  }
}

function byCaller(contexts: readonly ContextReport[]): Path[] {
  const paths = new Map<readonly FrameReport[], Path>();
  for (const context of contexts) {
    const { outer } = routeOf(context);
    const path = paths.get(outer);
    if (!path) paths.set(outer, { stack: outer, passed: 0, bytes: context.liveBytes, contexts: [context] });
    else {
      path.bytes += context.liveBytes;
      path.contexts.push(context);
    }
  }
  return [...paths.values()];
}

function isShown(frame: FrameReport, module: ModuleReport): boolean {
  return !isAllocatorFrame(frame, module) && !/^(node|internal):/.test(frame.file);
}

function draw(
  tree: Tree,
  paths: readonly Path[],
  bytes: number,
  prefix: string,
  rows: string[][],
  page: Page,
  depth: number,
): void {
  const children = tree.branches(paths);
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
    draw(tree, child.paths, child.bytes, inner, rows, page, depth + 1);
  });
}
