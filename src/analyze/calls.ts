/**
 * What JavaScript says of the objects that it makes with a module: read from the text of its scripts, around the lines that
 * are on stacks. Most objects are made by constructors, whose names engines give; the others by functions whose names say
 * nothing of a class.
 */
import type { CallRecord, Frame } from "../profile/records.js";
import { frameKey, type Profile } from "../profile/state.js";

/** Characters of a script that are looked at behind a call. */
const lookedAt = 2000;
/** wasm-bindgen's functions return what they got from the module as `Image.__wrap(pointer)`. */
const wrapped = /([\p{L}$_][\p{L}\p{N}$_]*)\.__wrap\(/u;
/** Where the function in which a call is ends, as far as text tells. */
const nextFunction =
  /\bfunction\b|=>|^[ \t]*(?:static|async|export|get|set|constructor|module\.exports)\b|^\}/mu;
const identifier = /[\p{L}\p{N}$_]/u;
/** `Node.create`, `yoga.Node.create`: a function of a class. */
const ofClass = /(?:^|\.)\p{Lu}[\p{L}\p{N}$_]*\.[\p{L}$_][\p{L}\p{N}$_]*$/u;
/** Names of objects that are no classes, or none of a module's. */
const noClass =
  /(?:^|\.)(?:Module|WebAssembly|Math|JSON|Reflect|Atomics|Object|Array|Promise|Buffer|String|Number)\.[^.]*$/u;

/** A script's text, and where its lines begin. */
export class ScriptText {
  readonly #text: string;
  readonly #starts: number[] = [0];

  constructor(text: string) {
    this.#text = text;
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) this.#starts.push(at + 1);
  }

  /** What is called at a place, of which lines and columns count from 1: `yoga.Node.create`; "" for anything else. */
  calledAt(line: number, column: number): string {
    const at = this.#offset(line, column);
    if (at === undefined) return "";
    let end = at;
    while (end < at + lookedAt && identifier.test(this.#text.charAt(end))) end++;
    if (end === at || !/^\s*\(/.test(this.#text.slice(end, end + 8))) return "";
    let start = at;
    while (start > this.#starts[line - 1]! && /[\p{L}\p{N}$_.]/u.test(this.#text.charAt(start - 1))) start--;
    return this.#text.slice(start, end);
  }

  /** The class of the object that the function around a place returns; "" where it does not say. */
  classMadeAt(line: number, column: number): string {
    const at = this.#offset(line, column);
    if (at === undefined) return "";
    const behind = this.#text.slice(at, at + lookedAt);
    const made = wrapped.exec(behind);
    if (!made) return "";
    return nextFunction.test(behind.slice(0, made.index)) ? "" : made[1]!;
  }

  #offset(line: number, column: number): number | undefined {
    const start = this.#starts[line - 1];
    return start === undefined || column < 1 ? undefined : start + column - 1;
  }
}

/** Looks for objects in the scripts of a profile; `read` returns undefined for a script that there is none of. */
export function findCalls(profile: Profile, read: (file: string) => string | undefined): CallRecord[] {
  const byFile = new Map<string, Frame[]>();
  for (const frame of profile.stacks.frames()) {
    if (frame.kind !== "js" || frame.line <= 0 || profile.calls.has(frameKey(frame))) continue;
    const frames = byFile.get(frame.file);
    if (frames) frames.push(frame);
    else byFile.set(frame.file, [frame]);
  }
  const records: CallRecord[] = [];
  for (const [file, frames] of byFile) {
    const text = read(file);
    if (text === undefined) continue;
    const script = new ScriptText(text);
    for (const { kind, line, column } of frames) {
      const calls = script.calledAt(line, column);
      const makes = script.classMadeAt(line, column);
      const isFactory = ofClass.test(calls) && !noClass.test(calls);
      if (!isFactory && makes === "") continue;
      records.push({
        type: "call",
        frame: { kind, file, line, column },
        ...(isFactory && { calls }),
        ...(makes !== "" && { makes }),
      });
    }
  }
  return records;
}
