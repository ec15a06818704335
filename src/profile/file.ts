import { open } from "node:fs/promises";
import { StringDecoder } from "node:string_decoder";
import { ProfileError } from "../errors.js";
import { ProfileReader } from "./reader.js";
import type { Profile } from "./state.js";
import { systemReason } from "./system-reason.js";

/** Bytes read at a time: the process waits for each piece, and what is made of a large one lives long. */
const pieceSize = 1 << 18;

/**
 * Reads a profile from a file, in pieces: it may be larger than a string can be.
 * @throws ProfileError when the file can't be read, is no profile, or one of a newer version.
 */
export async function readProfileFile(path: string): Promise<Profile> {
  const reader = new ProfileReader(path);
  try {
    for await (const piece of piecesOf(path)) reader.write(piece);
  } catch (error) {
    if (error instanceof ProfileError) throw error;
    throw new ProfileError(`cannot read ${path}: ${systemReason(error)}`, { cause: error });
  }
  return reader.finish();
}

/** The text of a file. A stream has a new buffer for each piece, and those lie about until there is a collection. */
async function* piecesOf(path: string): AsyncGenerator<string> {
  await using file = await open(path);
  const buffer = Buffer.allocUnsafeSlow(pieceSize);
  const decoder = new StringDecoder("utf8");
  for (;;) {
    const { bytesRead } = await file.read(buffer);
    if (bytesRead === 0) break;
    yield decoder.write(buffer.subarray(0, bytesRead));
  }
  yield decoder.end();
}
