import type { Frame } from "../profile/records.js";
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
  /** What the reader shares between stacks stays shared. */
  readonly #readable = new Map<Frame, readonly FrameReport[]>();
  readonly #keys = new Map<number, number>();
  readonly #keysByText = new Map<string, number>();
  /** Numbers of frames by what they say. */
  readonly #frameKeys = new Map<FrameReport, number>();
  readonly #frameKeysByText = new Map<string, number>();

  constructor(profile: Profile, demangle: Demangle) {
    this.#profile = profile;
    this.#demangle = demangle;
    this.#oneThread = profile.stacks.threads <= 1;
  }

  /** Frames of a stack, innermost first; none for id 0 and for a stack whose line was lost. */
  frames(id: number): FrameReport[] {
    let frames = this.#frames.get(id);
    if (!frames) {
      const recorded = this.#profile.stacks.get(id) ?? [];
      frames = [];
      for (const frame of recorded) {
        let readable = this.#readable.get(frame);
        if (!readable) this.#readable.set(frame, (readable = this.#expand(frame)));
        if (readable.length === 1) frames.push(readable[0]!);
        else frames.push(...readable);
      }
      this.#frames.set(id, frames);
    }
    return frames;
  }

  /** The same number for stacks with the same frames, whichever thread wrote them. */
  key(id: number): number {
    // One thread writes a stack once; comparing what 100,000 of them say takes as long as reading them.
    if (this.#oneThread) return id;
    return known(this.#keys, id, () => {
      const text = this.frames(id)
        .map((frame) => this.#frameKey(frame))
        .join();
      return known(this.#keysByText, text, () => this.#keysByText.size);
    });
  }

  #frameKey(frame: FrameReport): number {
    return known(this.#frameKeys, frame, () =>
      known(this.#frameKeysByText, JSON.stringify(frame), () => this.#frameKeysByText.size),
    );
  }

  /** A frame, and before it those of the functions that were inlined there. */
  #expand(frame: Frame): FrameReport[] {
    const { kind, function: name } = frame;
    const { sources } = this.#profile;
    const source = sources.size === 0 ? undefined : sources.get(frameKey(frame));
    if (!source || source.length === 0) return [this.#frame(frame)];
    if (kind === "js") {
      const [{ file, line, column }] = source;
      return [this.#frame({ ...frame, file, line, column })];
    }
    return source.map(({ function: inner, file, line, column }, i) => {
      const outermost = i === source.length - 1;
      return {
        ...this.#frame({ ...frame, function: (outermost && name) || inner }),
        ...(file !== "" && { source: { file, line, column } }),
        ...(!outermost && { inlined: true as const }),
      };
    });
  }

  #frame({ kind, function: name, file, line, column }: Frame): FrameReport {
    return { function: kind === "wasm" ? this.#name(name) : name, file, line, column, kind };
  }

  #name(name: string): string {
    let readable = this.#names.get(name);
    if (readable === undefined) {
      readable = withoutHash(this.#demangle(name));
      this.#names.set(name, readable);
    }
    return readable;
  }
}

function known<K>(numbers: Map<K, number>, key: K, find: () => number): number {
  let number = numbers.get(key);
  if (number === undefined) numbers.set(key, (number = find()));
  return number;
}

/** Without the hashes by which Rust keeps versions of a crate apart: `::h0123456789abcdef`, `core[0123abcd]`. */
function withoutHash(name: string): string {
  return name.replace(/::h[0-9a-f]{16}$/, "").replaceAll(/(?<=\w)\[[0-9a-f]{6,16}\](?=::)/g, "");
}

/**
 * The wasm part of a context's stack: up to its outermost wasm frame. JavaScript beyond it would be that of
 * the first caller ever seen, and wrong for all others.
 */
export function wasmPart(frames: FrameReport[]): FrameReport[] {
  return frames.slice(0, frames.findLastIndex((frame) => frame.kind === "wasm") + 1);
}

const packageFolder = /^(?:.*[/\\])?node_modules[/\\]((?:@[^/\\]+[/\\])?[^/\\]+)/;

/** Path of the package in `node_modules` that a script belongs to; "" for the program's own. */
function packageOf(file: string): string {
  return packageFolder.exec(file)?.[0] ?? "";
}

/** `photon_rs` for `…/photon_rs_bg.wasm`, `photon_rs.js` and `photon_rs_bg.js`. */
function baseName(file: string): string {
  return file
    .replace(/[?#].*$/, "")
    .replace(/^.*[/\\]/, "")
    .replace(/\.\w+$/, "")
    .replace(/_bg$/, "");
}

/**
 * The frame that people would call the caller: the innermost line of the program's own code, rather than of
 * the engine, of a package, or of the glue code that a toolchain puts around its module. Where a stack has
 * none, the innermost frame outside the package that calls the module, or the innermost of all.
 */
export function callerFrame(stack: FrameReport[]): FrameReport | undefined {
  const scripts = stack.filter((frame) => frame.kind === "js");
  const own = scripts.filter(
    (frame) => frame.file !== "" && !/^(node|internal|native|wasm):/.test(frame.file),
  );
  const modules = new Set(
    stack.filter((frame) => frame.kind === "wasm").map((frame) => baseName(frame.file)),
  );
  // glue is what calls the module; a program's script may well have the module's name too
  const glue = own[0] && modules.has(baseName(own[0].file)) ? own[0].file : undefined;
  const innermostPackage = own[0] && packageOf(own[0].file);
  return (
    own.find((frame) => packageOf(frame.file) === "" && frame.file !== glue) ??
    own.find((frame) => packageOf(frame.file) !== innermostPackage) ??
    own[0] ??
    scripts[0]
  );
}
