// All stacks of a report as one tree of frames, each text once.
import type { FrameReport, ModuleReport } from "../../analyze/report.js";
import { boundedStack } from "../exports/samples.js";
import { functionName, isAllocatorFrame, location, shortPath } from "../frames.js";
import { frameKinds } from "./data.js";

/** Texts by number; 0 is "". */
class Strings {
  readonly list: string[] = [""];
  readonly #numbers = new Map<string, number>([["", 0]]);

  idOf(text: string): number {
    let id = this.#numbers.get(text);
    if (id === undefined) {
      id = this.list.push(text) - 1;
      this.#numbers.set(text, id);
    }
    return id;
  }
}

/** Numbers that stand for texts, and for the function that a frame is in. */
interface FrameRow {
  name: number;
  place: number;
  package: number;
  kind: number;
  function: number;
}

/** Where a stack is in the tree. */
interface Path {
  /** Node of its innermost frame. */
  innermost: number;
  /** Node of one of its frames; 0 when it is none of them. */
  nodeOf(frame: FrameReport | undefined): number;
}

/** A stack of more frames loses its middle: a page can't show a million rows. */
const deepest = 1024;

export class StackTree {
  readonly strings = new Strings();
  readonly frames: FrameRow[] = [];
  /** Node 0 is the root. */
  readonly nodes: { parent: number[]; frame: number[] } = { parent: [0], frame: [0] };
  readonly #directory: string;
  readonly #frameIds = new Map<string, number>();
  readonly #functionIds = new Map<string, number>();
  /** Numbers of frames that were seen, by module, for the same frame is in many stacks. */
  readonly #seen = new Map<ModuleReport | undefined, Map<FrameReport, number>>();
  /** By parent and frame. */
  readonly #children = new Map<number, number>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Adds a stack, innermost first; frames of `module`'s allocator are marked as such. */
  add(stack: readonly FrameReport[], module?: ModuleReport): Path {
    let seen = this.#seen.get(module);
    if (!seen) this.#seen.set(module, (seen = new Map()));
    const frames = boundedStack(stack, deepest);
    let node = 0;
    for (let i = frames.length - 1; i >= 0; i--) {
      const frame = frames[i]!;
      let id = seen.get(frame);
      if (id === undefined) seen.set(frame, (id = this.#frameId(frame, module)));
      node = this.#child(node, id);
    }
    return { innermost: node, nodeOf: (frame) => this.#nodeOf(frames, node, frame) };
  }

  #nodeOf(frames: readonly FrameReport[], innermost: number, frame: FrameReport | undefined): number {
    let node = innermost;
    for (const one of frames) {
      if (one === frame) return node;
      node = this.nodes.parent[node]!;
    }
    return 0;
  }

  #child(parent: number, frame: number): number {
    // Both are far below 2^26, so their pair is exact.
    const key = parent * 2 ** 26 + frame;
    let node = this.#children.get(key);
    if (node === undefined) {
      node = this.nodes.parent.push(parent) - 1;
      this.nodes.frame.push(frame);
      this.#children.set(key, node);
    }
    return node;
  }

  #frameId(frame: FrameReport, module: ModuleReport | undefined): number {
    const allocator = module !== undefined && isAllocatorFrame(frame, module);
    const kind = frameKinds.indexOf(allocator ? "allocator" : frame.kind);
    const name = functionName(frame);
    const place = frame.file === "" ? "" : location(frame, this.#directory);
    const file = fileOf(frame, this.#directory);
    const key = JSON.stringify([kind, name, place]);
    let id = this.#frameIds.get(key);
    if (id === undefined) {
      const functionKey = JSON.stringify([kind, name, file]);
      const known = this.#functionIds.get(functionKey) ?? this.#functionIds.size;
      this.#functionIds.set(functionKey, known);
      id =
        this.frames.push({
          name: this.strings.idOf(name),
          place: this.strings.idOf(place),
          package: this.strings.idOf(this.#packageOf(frame)),
          kind,
          function: known,
        }) - 1;
      this.#frameIds.set(key, id);
    }
    return id;
  }

  #packageOf(frame: FrameReport): string {
    if (frame.kind === "wasm") return fileOf(frame, "") || "(wasm)";
    if (/^(node|internal|native|wasm):/.test(frame.file)) return "(engine)";
    const inPackages =
      /(?:^|[/\\])node_modules[/\\](?!.*[/\\]node_modules[/\\])((?:@[^/\\]+[/\\])?[^/\\]+)/.exec(frame.file);
    return inPackages ? shortPath(inPackages[1]!, "") : "(program)";
  }
}

/** The script, or the module: where in it, and in which source, does not make another function. */
function fileOf({ source, ...frame }: FrameReport, directory: string): string {
  return frame.file === "" ? "" : location({ ...frame, line: 0, column: 0 }, directory);
}
