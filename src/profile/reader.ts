import { ProfileError } from "../errors.js";
import type { HeaderRecord, ProfileRecord } from "./records.js";
import { profileVersion } from "./records.js";
import type { Profile } from "./state.js";
import { emptyProfile, fold } from "./state.js";
import { upgradeRecord } from "./upgrade.js";
import { checkRecord } from "./validate.js";

/** A first line longer than this is no header; a foreign file need not be read whole to see that. */
const maximumHeaderLength = 1 << 20;

/**
 * Reads a profile piece by piece. What a kill leaves behind is fine: a cut last line is passed over, and so
 * are lines that something else damaged (`Profile.damagedLines`).
 */
export class ProfileReader {
  readonly #name: string;
  #rest = "";
  #profile: Profile | undefined;
  #version = profileVersion;
  #line = 0;

  /** @param name What errors call the profile: its path. */
  constructor(name: string) {
    this.#name = name;
  }

  /**
   * Takes the next piece of the text; it may end anywhere.
   * @throws ProfileError when this is no profile, or one of a newer version.
   */
  write(text: string): void {
    const lines = text.split("\n");
    lines[0] = this.#rest + lines[0];
    this.#rest = lines.pop()!;
    for (const line of lines) this.#take(line, false);
    if (!this.#profile && this.#rest.length > maximumHeaderLength) throw this.#foreign();
  }

  /**
   * The profile, once all of its text was written.
   * @throws ProfileError when it is empty, or ends within its first line.
   */
  finish(): Profile {
    if (this.#rest.trim() !== "") this.#take(this.#rest, true);
    this.#rest = "";
    if (this.#profile) return this.#profile;
    throw new ProfileError(
      `${this.#name} is empty: the run ended before anything was recorded; run it again`,
    );
  }

  #take(line: string, last: boolean): void {
    this.#line++;
    if (line.trim() === "") return;
    const record = parseObject(line);
    if (!this.#profile) {
      this.#profile = emptyProfile(this.#header(record, last && line.startsWith('{"type":"header"')));
    } else if (!record) {
      if (last) this.#profile.cut = true;
      else this.#profile.damagedLines++;
    } else if (record.type === "header") {
      throw new ProfileError(
        `${this.#name} holds two runs, the second from line ${this.#line} on: give every run a file of its own`,
      );
    } else {
      this.#fold(this.#profile, record);
    }
  }

  #fold(profile: Profile, raw: Record<string, unknown>): void {
    const record = upgradeRecord(raw, this.#version);
    const verdict = checkRecord(record);
    if (verdict === "unknown") return;
    if (verdict === "damaged" || !fold(profile, record as unknown as ProfileRecord)) profile.damagedLines++;
  }

  #header(record: Record<string, unknown> | undefined, cut: boolean): HeaderRecord {
    if (!record && cut) {
      throw new ProfileError(
        `${this.#name} ends within its first line: the run ended before anything was recorded; run it again`,
      );
    }
    if (record?.format !== "linmem" || record.type !== "header") throw this.#foreign();
    const { version } = record;
    if (typeof version !== "number" || !Number.isInteger(version) || version < 1) throw this.#foreign();
    if (version > profileVersion) {
      throw new ProfileError(
        `${this.#name} has profile version ${version}, written by linmem ${String(record.linmem)}; ` +
          `this linmem reads versions up to ${profileVersion}: update linmem`,
      );
    }
    this.#version = version;
    const header = upgradeRecord(record, version);
    if (checkRecord(header) !== "known") throw this.#foreign();
    return header as unknown as HeaderRecord;
  }

  #foreign(): ProfileError {
    return new ProfileError(
      `${this.#name} is not a linmem profile: line ${Math.max(1, this.#line)} is no linmem header; ` +
        "give a file that `linmem run` wrote",
    );
  }
}

/**
 * Reads a profile from its text, or from its lines.
 * @throws ProfileError when it is empty, not a profile, or one of a newer version; the message begins with `name`.
 */
export function readProfile(source: string | Iterable<string>, name = "the profile"): Profile {
  const reader = new ProfileReader(name);
  if (typeof source === "string") reader.write(source);
  else for (const line of source) reader.write(line.endsWith("\n") ? line : `${line}\n`);
  return reader.finish();
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
