import { statSync } from "node:fs";
import { basename, relative } from "node:path";
import type { WriteStream } from "node:tty";
import { UsageError } from "../errors.js";
import { systemReason } from "../profile/system-reason.js";

/** Columns that text has to fit: the terminal's, or as `COLUMNS` says; undefined in a pipe or file. */
export function outputWidth(stream: WriteStream): number | undefined {
  const columns = stream.columns || Number(process.env.COLUMNS);
  return Number.isInteger(columns) && columns > 0 ? Math.max(40, columns) : undefined;
}

/** Whether to colour what goes to `stream`: NO_COLOR and FORCE_COLOR decide, else whether it is a terminal. */
export function usesColor(stream: WriteStream): boolean {
  const { FORCE_COLOR, NO_COLOR, TERM } = process.env;
  if (NO_COLOR) return false;
  if (FORCE_COLOR) return FORCE_COLOR !== "0" && FORCE_COLOR !== "false";
  return Boolean(stream.isTTY) && TERM !== "dumb";
}

/** Writes all of `data` to standard output; done when it is out, so that exiting can't cut it. */
export function writeOutput(data: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(data, (error) => (error ? reject(error) : resolve()));
  });
}

/**
 * How to call linmem again, for lines that people copy: from a checkout it is not a command of its own.
 * @param script path of the script that node runs
 */
export function ownCommand(script: string, folder: string): string {
  if (/[/\\]node_modules[/\\]/.test(script)) return "npx linmem";
  if (/^linmem(\.\w+)?$/.test(basename(script))) return "linmem";
  const path = relative(folder, script);
  const shown = path.startsWith("..") ? script : path;
  return `node ${/\s/.test(shown) ? JSON.stringify(shown) : shown}`;
}

/** Why a file could not be made: its folder is missing, it exists already (`--force` overwrites it), or else. */
export function cannotWrite(path: string, error: unknown): UsageError {
  let { code } = error as NodeJS.ErrnoException;
  // The system says first that it exists, but --force would not help.
  if (
    (code === "EEXIST" || code === "ERR_FS_EISDIR") &&
    statSync(path, { throwIfNoEntry: false })?.isDirectory()
  )
    code = "EISDIR";
  const reason = code === "ENOENT" ? "there is no such folder" : systemReason({ ...(error as object), code });
  const advice = code === "EEXIST" ? "; --force overwrites it" : code === "EISDIR" ? "; name a file" : "";
  return new UsageError(`cannot write ${path}: ${reason}${advice}`, { cause: error });
}
