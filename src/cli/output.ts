import type { WriteStream } from "node:tty";

/** Columns to lay text out for: the terminal's width, else `COLUMNS`, else 100. */
export function outputWidth(stream: WriteStream): number {
  const columns = stream.columns || Number(process.env.COLUMNS);
  return Number.isInteger(columns) && columns >= 40 ? columns : 100;
}

/** Whether to colour what goes to `stream`: NO_COLOR and FORCE_COLOR decide, else whether it is a terminal. */
export function usesColor(stream: WriteStream): boolean {
  const { FORCE_COLOR, NO_COLOR, TERM } = process.env;
  if (NO_COLOR) return false;
  if (FORCE_COLOR) return FORCE_COLOR !== "0" && FORCE_COLOR !== "false";
  return Boolean(stream.isTTY) && TERM !== "dumb";
}

/** Writes all of `text` to standard output; done when it is out, so that exiting can't cut it. */
export function writeOutput(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });
}

const reasons: Record<string, string> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  EPERM: "not permitted",
  EISDIR: "it is a directory",
  ENOTDIR: "part of the path is not a directory",
  EEXIST: "it exists already",
  ENOSPC: "no space left on the device",
  EROFS: "read-only file system",
};

/** Why the system refused, in words for a message of one line. */
export function systemReason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return reasons[code ?? ""] ?? message;
}
