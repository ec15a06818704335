// What Node knows of the scripts on a stack.
import { readFileSync, statSync } from "node:fs";
import { findSourceMap } from "node:module";
import { isAbsolute } from "node:path";
import { fileURLToPath } from "node:url";
import { runInThisContext } from "node:vm";
import type { CallSite } from "../v8-stacks.js";

const ownFolder = new URL("../../", import.meta.url);

/** What URLs and paths of linmem's own scripts begin with. */
export const ownFiles = [ownFolder.href, fileURLToPath(ownFolder)];

export function filePath(file: string): string {
  if (!file.startsWith("file:")) return file;
  try {
    return fileURLToPath(file);
  } catch {
    return file;
  }
}

/** Scripts that are larger are not looked into. */
const largestScript = 64 << 20;

/** The text of a script that lies in a file. */
export function scriptText(file: string): string | undefined {
  try {
    const path = filePath(file);
    if (!isAbsolute(path) || statSync(path).size > largestScript) return undefined;
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Where a position is in the source, when node was told to use source maps (tsx does). */
export function sourcePosition(file: string, line: number, column: number) {
  const entry = findSourceMap(file)?.findEntry(line - 1, column - 1);
  if (!entry || !("originalSource" in entry) || !entry.originalSource) return undefined;
  const { originalSource, originalLine, originalColumn } = entry;
  return { file: filePath(originalSource), line: originalLine + 1, column: originalColumn + 1 };
}

type Prepare = ((error: Error, sites: CallSite[]) => unknown) | undefined;
type ErrorClass = { prepareStackTrace?: Prepare };
// In a context of node:vm, errors without a formatter of their own get that of the main context.
const mainError = runInThisContext("Error") as ErrorClass;

/**
 * Where a position is in the source, as the stacks of the program's own errors say it. Test runners compile what
 * they run themselves, keep the source maps to themselves and put a formatter of stacks on `Error`. It is asked.
 */
export function shownPosition(file: string, line: number, column: number, site: CallSite) {
  const mapped = sourcePosition(file, line, column);
  if (mapped) return mapped;
  try {
    const prepare = (Error as unknown as ErrorClass).prepareStackTrace ?? mainError.prepareStackTrace;
    const text = prepare?.(new Error(""), [site]);
    const [, name, shownLine, shownColumn] =
      /\n\s+at (?:.* \()?(.+?):(\d+):(\d+)\)?$/.exec(String(text ?? "")) ?? [];
    if (name === undefined) return undefined;
    return { file: filePath(name), line: Number(shownLine), column: Number(shownColumn) };
  } catch {
    return undefined;
  }
}
