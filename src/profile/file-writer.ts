// Appends records to a file at once: nothing waits in this process, so nothing is lost when it is killed.
// All threads of a process append to one file. Each opens it for itself in append mode and hands over whole
// lines in one call; the system puts them at the end of the file in one piece.
import { closeSync, openSync, writeSync } from "node:fs";
import { ProfileError } from "../errors.js";
import type { HeaderRecord, ProfileRecord } from "./records.js";
import { systemReason } from "./system-reason.js";
import { serializeRecord } from "./writer.js";

export class ProfileFileWriter {
  readonly path: string;
  #file: number | undefined;

  private constructor(path: string, flags: "ax" | "a") {
    this.path = path;
    try {
      this.#file = openSync(path, flags);
    } catch (error) {
      throw new ProfileError(`cannot write ${path}: ${systemReason(error)}`, { cause: error });
    }
  }

  /**
   * Begins a new file.
   * @throws ProfileError when it exists or can't be made.
   */
  static create(path: string, header: HeaderRecord): ProfileFileWriter {
    const writer = new ProfileFileWriter(path, "ax");
    writer.write([header]);
    return writer;
  }

  /**
   * Appends to a file that another thread began.
   * @throws ProfileError when it can't be opened.
   */
  static open(path: string): ProfileFileWriter {
    return new ProfileFileWriter(path, "a");
  }

  /**
   * Appends records. After a failure, and after `close`, nothing more is written.
   * @throws ProfileError when the system refuses (no space left, say); only the first time.
   */
  write(records: readonly ProfileRecord[]): void {
    if (this.#file === undefined || records.length === 0) return;
    const bytes = Buffer.from(records.map(serializeRecord).join(""));
    try {
      // The system may take less than all, when space runs out: go on until it refuses.
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
    } catch (error) {
      this.close();
      throw new ProfileError(`cannot write ${this.path}: ${systemReason(error)}`, { cause: error });
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}
