import { type FileHandle, open, rm } from "node:fs/promises";
import { UsageError } from "../errors.js";
import { cannotWrite, writeOutput } from "./output.js";

export interface OutputOptions {
  /** File to write; "-" or absent for standard output. */
  out?: string;
  /** Overwrite `out` if it exists. */
  force?: true;
}

const writeSize = 1 << 16;

/**
 * Writes a report, in pieces, to a file or to standard output.
 * @throws UsageError when the file can't be written.
 */
export async function writeReport(
  pieces: Iterable<string | Uint8Array>,
  { out = "-", force }: OutputOptions,
): Promise<void> {
  if (out === "-") {
    await inLargerPieces(pieces, writeOutput);
    return;
  }
  let file: FileHandle;
  try {
    file = await open(out, force ? "w" : "wx");
  } catch (error) {
    throw cannotWrite(out, error);
  }
  try {
    await inLargerPieces(pieces, (data) => file.writeFile(data));
    await file.close();
  } catch (error) {
    // Half a report would look like a whole one.
    await file.close().catch(() => {});
    await rm(out, { force: true });
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw cannotWrite(out, error);
  }
}

/** @throws UsageError when what would be binary, or far too long to read, is about to go to a terminal. */
export function refuseTerminal(what: string, { out = "-" }: OutputOptions): void {
  if (out !== "-" || !process.stdout.isTTY) return;
  throw new UsageError(`no ${what} is written to a terminal: name a file with --out, or use a pipe`);
}

async function inLargerPieces(
  pieces: Iterable<string | Uint8Array>,
  write: (data: string | Uint8Array) => Promise<void>,
): Promise<void> {
  let pending = "";
  for (const piece of pieces) {
    if (typeof piece === "string" && (pending += piece).length < writeSize) continue;
    if (pending !== "") await write(pending);
    pending = "";
    if (typeof piece !== "string") await write(piece);
  }
  if (pending !== "") await write(pending);
}
