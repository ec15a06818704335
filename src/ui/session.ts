// What the views share: the data, the trees made from it once, and words for frames.
import { frameKinds } from "../report/html/data.js";
import { functionTree, invertedTree, pathOf, siteTree, type Tree } from "./tree.js";
import type { Data } from "./unpack.js";

export class Session {
  readonly data: Data;
  /** A node for each call site. */
  readonly sites: Tree;
  /** A node for each function. */
  readonly functions: Tree;
  /** From nodes of `sites` to those of `functions`. */
  readonly functionNodes: Int32Array;

  constructor(data: Data) {
    this.data = data;
    this.sites = siteTree(data);
    const { tree, nodeOf } = functionTree(this.sites, data.frames.function);
    this.functions = tree;
    this.functionNodes = nodeOf;
  }

  /** The stacks of a profile from the inside out, without the allocator's own frames. */
  inverted(profile: Data["profiles"][number], apart: boolean): { tree: Tree; nodeOf: Int32Array } {
    const { function: functionOf } = this.data.frames;
    return invertedTree(
      this.sites,
      profile.contexts.node,
      (frame) => (apart ? frame : functionOf[frame]!),
      (frame) => this.frameKind(frame) === "allocator",
    );
  }

  frameName(frame: number): string {
    return this.data.strings[this.data.frames.name[frame]!]!;
  }

  framePlace(frame: number): string {
    return this.data.strings[this.data.frames.place[frame]!]!;
  }

  frameKind(frame: number): (typeof frameKinds)[number] {
    return frameKinds[this.data.frames.kind[frame]!]!;
  }

  /** Frames of a node of `sites`, innermost first. */
  stack(node: number): number[] {
    return pathOf(this.sites, node).map((at) => this.sites.frame[at]!);
  }

  /** The frame by which people know a context: its JavaScript caller, else the innermost outside of the allocator. */
  ownerFrame(profile: Data["profiles"][number], context: number): number | undefined {
    const caller = profile.contexts.caller[context]!;
    if (caller > 0) return this.sites.frame[caller]!;
    const stack = this.stack(profile.contexts.node[context]!);
    return stack.find((frame) => this.frameKind(frame) !== "allocator") ?? stack[0];
  }

  frameText(frame: number): string {
    const place = this.framePlace(frame);
    return place === "" ? this.frameName(frame) : `${this.frameName(frame)} (${place})`;
  }

  /** A name for who made a context's blocks, in one line. */
  ownerText(profile: Data["profiles"][number], context: number): string {
    const frame = this.ownerFrame(profile, context);
    return frame === undefined ? "stack not known" : this.frameText(frame);
  }

  /** The same with the function that called the allocator, to tell contexts of one owner apart. */
  contextText(profile: Data["profiles"][number], context: number): string {
    const owner = this.ownerFrame(profile, context);
    const inner = this.stack(profile.contexts.node[context]!).find(
      (frame) => this.frameKind(frame) !== "allocator",
    );
    if (owner === undefined) return "stack not known";
    return inner === undefined || inner === owner
      ? this.frameText(owner)
      : `${this.frameName(inner)} ← ${this.frameText(owner)}`;
  }

  /** Packages and modules that frames belong to, by index of their name, in the order of their names. */
  packages(): { index: number; name: string }[] {
    const { strings, frames } = this.data;
    return [...new Set(frames.package)]
      .map((index) => ({ index, name: strings[index]! }))
      .filter(({ name }) => name !== "")
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}
