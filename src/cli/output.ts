import type { WriteStream } from "node:tty";

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

/** Writes all of `text` to standard output; done when it is out, so that exiting can't cut it. */
export function writeOutput(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });
}

/** Why the system refused, in words for a message of one line. */
export { systemReason } from "../profile/file.js";
