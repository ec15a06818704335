import type { Frame, SourceFrame } from "../profile/records.js";
import { frameKey, type Profile } from "../profile/state.js";
import type { FrameReport } from "./report.js";

/** Turns a mangled function name into a readable one, and returns any other as it is. */
export type Demangle = (name: string) => string;

/** The stacks of a profile, demangled once each and numbered by what they say rather than by their id. */
export class StackReader {
  readonly #profile: Profile;
  readonly #demangle: Demangle;
  readonly #oneThread: boolean;
  readonly #names = new Map<string, string>();
  readonly #frames = new Map<number, FrameReport[]>();
  /**
   * By the number of the recorded frame: what stacks have in common is made once. A frame into which nothing was inlined
   * stands there itself: copying millions of them from a large profile must not look into each.
   */
  readonly #readable: (FrameReport | undefined)[] = [];
  readonly #inlined = new Map<number, readonly FrameReport[]>();
  readonly #scratch: FrameReport[] = [];
  readonly #keys = new Map<number, number>();
  readonly #keysByText = new Map<string, number>();
  /** Numbers of frames by what they say. */
  readonly #frameKeys = new Map<FrameReport, number>();
  readonly #frameKeysByText = new Map<string, number>();
  /** By node. */
  readonly #shapes: number[] = [];
  /** By shape: what it is with one frame more inside, by file for wasm and by number of the frame for JavaScript. */
  readonly #innerShapes: Map<string | number, number>[] = [new Map()];

  constructor(profile: Profile, demangle: Demangle) {
    this.#profile = profile;
    this.#demangle = demangle;
    this.#oneThread = profile.stacks.threads <= 1;
  }

  /** Frames of a stack, innermost first; none for id 0 and for a stack whose line was lost. */
  frames(id: number): FrameReport[] {
    let frames = this.#frames.get(id);
    if (!frames) this.#frames.set(id, (frames = this.#read(id).slice()));
    return frames;
  }

  /** Whether `frames` has any. */
  has(id: number): boolean {
    return this.frames(id).length > 0;
  }

  /**
   * The frames of a context: those of its wasm part, then those of its caller. The wasm part ends with the outermost
   * wasm frame: JavaScript beyond it would be that of the first caller ever seen, and wrong for all others.
   */
  whole(stack: number, caller: number): FrameReport[] {
    const outer = this.frames(caller);
    const inner = this.#read(stack);
    while (inner.length > 0 && inner.at(-1)!.kind !== "wasm") inner.pop();
    for (const frame of outer) inner.push(frame);
    return inner.slice();
  }

  /** The same array each time: one that grew has room for half as much again, so what is kept is a copy. */
  #read(id: number): FrameReport[] {
    const frames = this.#scratch;
    frames.length = 0;
    const { stacks } = this.#profile;
    for (let node = stacks.node(id); node !== 0; node = stacks.outer(node)) {
      const number = stacks.frameNumber(node);
      const readable = this.#readable[number];
      if (readable) frames.push(readable);
      else frames.push(...this.#expanded(number));
    }
    return frames;
  }

  /** The same small number for stacks with the same frames, whichever thread wrote them. */
  key(id: number): number {
    // one thread numbers its modules once, so frames that are equal for people are equal in the file
    if (this.#oneThread) return this.#profile.stacks.node(id);
    return known(this.#keys, id, () => {
      const text = this.frames(id)
        .map((frame) => this.#frameKey(frame))
        .join();
      return known(this.#keysByText, text, () => this.#keysByText.size);
    });
  }

  /**
   * The same small number for wasm parts of stacks between which `callerFrame` makes no difference: they come by the same
   * JavaScript, and through functions of the same modules. 0 for none.
   */
  shape(id: number): number {
    const { stacks } = this.#profile;
    const shapes = this.#shapes;
    const inward: number[] = [];
    let node = stacks.node(id);
    for (; node !== 0 && shapes[node] === undefined; node = stacks.outer(node)) inward.push(node);
    let shape = node === 0 ? 0 : shapes[node]!;
    for (let i = inward.length - 1; i >= 0; i--) {
      shape = this.#innerShape(shape, stacks.frameNumber(inward[i]!));
      shapes[inward[i]!] = shape;
    }
    return shape;
  }

  #innerShape(shape: number, number: number): number {
    const { kind, file } = this.#profile.stacks.frame(number);
    // whatever called the outermost function is not part of it: see `whole`
    if (kind === "js" && shape === 0) return 0;
    const inner = this.#innerShapes[shape]!;
    const step = kind === "js" ? number : file;
    let found = inner.get(step);
    if (found === undefined) {
      found = this.#innerShapes.length;
      inner.set(step, found);
      // more functions of the same module change nothing
      this.#innerShapes.push(kind === "js" ? new Map() : new Map([[file, found]]));
    }
    return found;
  }

  #frameKey(frame: FrameReport): number {
    return known(this.#frameKeys, frame, () =>
      known(this.#frameKeysByText, JSON.stringify(frame), () => this.#frameKeysByText.size),
    );
  }

  #expanded(number: number): readonly FrameReport[] {
    let frames = this.#inlined.get(number);
    if (frames) return frames;
    frames = this.#expand(this.#profile.stacks.frame(number));
    if (frames.length === 1) this.#readable[number] = frames[0];
    else this.#inlined.set(number, frames);
    return frames;
  }

  /** A frame, and before it those of the functions that were inlined there. */
  #expand(frame: Frame): FrameReport[] {
    const { kind, function: name } = frame;
    const { sources } = this.#profile;
    const source = sources.size === 0 ? undefined : sources.get(frameKey(frame));
    if (kind === "js") return [{ ...this.#frame({ ...frame, ...placeOf(source) }), ...this.#callAt(frame) }];
    if (!source || source.length === 0) return [this.#frame(frame)];
    return source.map(({ function: inner, file, line, column }, i) => {
      const outermost = i === source.length - 1;
      return {
        ...this.#frame({ ...frame, function: (outermost && name) || inner }),
        ...(file !== "" && { source: { file, line, column } }),
        ...(!outermost && { inlined: true as const }),
      };
    });
  }

  #callAt(frame: Frame): Pick<FrameReport, "calls" | "makes"> {
    const call = this.#profile.calls.size === 0 ? undefined : this.#profile.calls.get(frameKey(frame));
    return { ...(call?.calls && { calls: call.calls }), ...(call?.makes && { makes: call.makes }) };
  }

  #frame({ kind, function: name, file, line, column }: Frame): FrameReport {
    return { function: kind === "wasm" ? this.#name(name) : name, file, line, column, kind };
  }

  #name(name: string): string {
    let readable = this.#names.get(name);
    if (readable === undefined) {
      readable = readableName(name, this.#demangle);
      this.#names.set(name, readable);
    }
    return readable;
  }
}

function placeOf(source: readonly SourceFrame[] | undefined): Partial<Frame> {
  if (!source || source.length === 0) return {};
  const [{ file, line, column }] = source as [SourceFrame];
  return { file, line, column };
}

function known<K>(numbers: Map<K, number>, key: K, find: () => number): number {
  let number = numbers.get(key);
  if (number === undefined) numbers.set(key, (number = find()));
  return number;
}

/** Demangled, and without the hashes by which Rust keeps crates apart: `::h0123456789abcdef`, `core[0123abcd]`. */
export function readableName(mangled: string, demangle: Demangle): string {
  const name = demangle(mangled);
  return name.replace(/::h[0-9a-f]{16}$/, "").replaceAll(/(?<=\w)\[[0-9a-f]{6,16}\](?=::)/g, "");
}

interface FileFacts {
  /** Whether somebody wrote it: the engine's own scripts have other names. */
  isScript: boolean;
  /** Path of the package in `node_modules` that it belongs to; "" for the program's own. */
  package: string;
  /** `photon_rs` for `…/photon_rs_bg.wasm`, `photon_rs.js` and `photon_rs_bg.js`. */
  baseName: string;
}

const packageFolder = /^(?:.*[/\\])?node_modules[/\\]((?:@[^/\\]+[/\\])?[^/\\]+)/;

/** The same few files are on every stack. */
const knownFiles = new Map<string, FileFacts>();
const mostFiles = 10_000;

function fileFacts(file: string): FileFacts {
  let facts = knownFiles.get(file);
  if (facts === undefined) {
    facts = {
      isScript: file !== "" && !/^(?:node|internal|native|wasm):/.test(file),
      package: packageFolder.exec(file)?.[0] ?? "",
      baseName: file
        .replace(/[?#].*$/, "")
        .replace(/^.*[/\\]/, "")
        .replace(/\.\w+$/, "")
        .replace(/_bg$/, ""),
    };
    if (knownFiles.size === mostFiles) knownFiles.clear();
    knownFiles.set(file, facts);
  }
  return facts;
}

/**
 * The frame that people would call the caller: the innermost line of the program's own code, rather than of
 * the engine, of a package, or of the glue code that a toolchain puts around its module. Where a stack has
 * none, the innermost frame outside the package that calls the module, or the innermost of all.
 */
export function callerFrame(stack: readonly FrameReport[]): FrameReport | undefined {
  let first: FrameReport | undefined;
  for (const frame of stack) {
    // most frames are wasm: nothing is called for those
    if (frame.kind !== "js" || !isScript(frame)) continue;
    first = frame;
    break;
  }
  if (!first) return stack.find(({ kind }) => kind === "js");
  // glue is what calls the module; a program's script may well have the module's name too
  const { baseName, package: innermost } = fileFacts(first.file);
  const isGlue = hasModule(stack, baseName);
  if (!isGlue && innermost === "") return first;
  return (
    stack.find(
      (frame) =>
        isScript(frame) && fileFacts(frame.file).package === "" && !(isGlue && frame.file === first.file),
    ) ??
    stack.find((frame) => isScript(frame) && fileFacts(frame.file).package !== innermost) ??
    first
  );
}

/** Whether a module of this name is on the stack. */
function hasModule(stack: readonly FrameReport[], baseName: string): boolean {
  let last: string | undefined;
  for (const { kind, file } of stack) {
    if (kind !== "wasm" || file === last) continue;
    if (fileFacts(file).baseName === baseName) return true;
    // most of a stack is one module's
    last = file;
  }
  return false;
}

/** Whether a frame is JavaScript that somebody wrote, rather than the engine's. */
function isScript({ kind, file }: FrameReport): boolean {
  return kind === "js" && fileFacts(file).isScript;
}
