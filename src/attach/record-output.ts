import type { ProfileRecord } from "../profile/records.js";
import { maximumHeldRecords, maximumPendingRecords } from "./limits.js";

/** Where records go. */
export interface RecordSink {
  write(records: readonly ProfileRecord[]): void;
}

/** The records of a thread on their way into the profile, which is opened when there is something to record. */
export class RecordOutput {
  readonly #open: () => RecordSink | undefined;
  #pending: ProfileRecord[] | undefined = [];
  #sink: RecordSink | undefined;
  /** Frames and stacks that no record in the profile refers to yet: a call of the system for each takes longer than all else. */
  #held: ProfileRecord[] = [];

  /** @param open opens the profile, once; undefined when that is impossible */
  constructor(open: () => RecordSink | undefined) {
    this.#open = open;
  }

  /** Whether anything is in the profile. */
  get active(): boolean {
    return this.#sink !== undefined;
  }

  /** Before `activate` records are kept, as many as there is room for. */
  write(records: readonly ProfileRecord[]): void {
    if (this.#pending) {
      if (this.#pending.length < maximumPendingRecords) this.#pending.push(...records);
      return;
    }
    const written = this.#held.concat(records);
    if (written.length < maximumHeldRecords && records.every(isReferredTo)) {
      this.#held = written;
      return;
    }
    this.#held = [];
    try {
      this.#sink?.write(written);
    } catch {
      // The disk is full or gone: the program goes on without a profile, and `linmem run` says so.
      this.#sink = undefined;
    }
  }

  /** Opens the profile. */
  activate(): void {
    if (!this.#pending) return;
    const records = this.#pending;
    this.#pending = undefined;
    this.#sink = this.#open();
    this.write(records);
  }
}

/** Whether a record says nothing by itself. */
function isReferredTo({ type }: ProfileRecord): boolean {
  return type === "frame" || type === "stack";
}
