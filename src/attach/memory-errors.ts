/**
 * What a checked program does wrong to one memory: who did it, and who allocated and freed the block, as records of the
 * profile. Each place is written down once, at once, and with its count when the run ends.
 */
import { type Checker, createChecker, type Violation } from "../check/index.js";
import type { CheckedModule } from "../instrument/index.js";
import type { MemoryErrorRecord, ProfileRecord } from "../profile/records.js";
import { maximumMemoryErrors } from "./limits.js";
import type { Site } from "./stacks.js";
import type { CallSite } from "./v8-stacks.js";
import { type AnyFunction, captureCallSites } from "./v8-stacks.js";

/** How a run is checked. */
export interface CheckSettings {
  /** Bytes of freed blocks that are kept from the allocator. */
  quarantine: number;
  /** Called when the first error is written; it may end the process. */
  onError?: (() => void) | undefined;
}

export interface MemoryErrorsHost {
  /** Id of the memory in the profile. */
  memory: number;
  now(): number;
  pages(): number;
  /** Most pages that the memory can have; null when nothing says so. */
  maximumPages: number | null;
  write(record: ProfileRecord): void;
  /** Tells people that less is checked than they may think. */
  warn(message: string): void;
  /** Sites of a stack on which the checker called. */
  sites(callSites: readonly CallSite[]): Site[];
  /** Id of what of a stack belongs to the program. */
  stackId(sites: readonly Site[]): number;
  /** Id of what of a stack belongs to the calling context. */
  contextStackId(sites: readonly Site[]): number;
  /** Id of the stack of a calling context. */
  contextStacks: Map<bigint, number>;
  /** Id of the stack that the context of a live block was called by; 0 when it is not known. */
  callerOf(address: number): number;
}

const pageSize = 65536;
/** Of a memory with addresses of 32 bits. */
const maximumPages = 65536;

interface Entry {
  record: MemoryErrorRecord;
}

export class MemoryErrors {
  readonly checker: Checker;
  readonly #host: MemoryErrorsHost;
  readonly #settings: CheckSettings;
  readonly #entries = new Map<string, Entry>();
  /** By place: how often it was announced, and for what at last. */
  readonly #places = new Map<number, { announced: number; last: Entry }>();

  /** @throws RangeError when the engine has no room for a shadow memory */
  constructor(host: MemoryErrorsHost, check: CheckedModule, settings: CheckSettings) {
    this.#host = host;
    this.#settings = settings;
    const found = (violation: Violation) => this.#found(violation, found);
    const freedIn = (context: bigint): void => {
      const { contextStacks } = host;
      if (contextStacks.has(context)) return;
      contextStacks.set(context, host.contextStackId(host.sites(captureCallSites(freedIn))));
    };
    this.checker = createChecker(
      { found, freedIn, pages: () => host.pages(), pressed: (left) => this.#pressed(left) },
      {
        quarantine: settings.quarantine,
        maximum: (host.maximumPages ?? maximumPages) * pageSize,
        ...check,
      },
    );
  }

  #pressed(left: number): void {
    this.#host.warn(
      left > 0
        ? `its memory is nearly full: only ${left} bytes of freed blocks are kept back from now on`
        : "its memory is full: no freed blocks are kept back from now on, uses after free may be missed",
    );
  }

  #found(violation: Violation, from: AnyFunction): void {
    const host = this.#host;
    const { kind, access, address, size, block, place } = violation;
    const isLate = kind === "host-write-after-free";
    // who it was is not on the stack of whoever finds it out
    const stack = isLate ? 0 : host.stackId(host.sites(captureCallSites(from)));
    const key = `${kind} ${access} ${isLate ? `${block?.allocatedIn} ${block?.freedIn}` : stack}`;
    let entry = this.#entries.get(key);
    if (!entry) {
      if (this.#entries.size >= maximumMemoryErrors) return;
      const { contextStacks } = host;
      const record: MemoryErrorRecord = {
        type: "memory-error",
        id: this.#entries.size,
        memory: host.memory,
        time: host.now(),
        kind,
        access,
        address,
        size,
        stack,
        count: 0,
      };
      if (block) {
        record.block = { address: block.address, size: block.size };
        record.allocatedAt = contextStacks.get(block.allocatedIn) ?? 0;
        if (block.freedIn === undefined) record.allocatedBy = host.callerOf(block.address);
        else record.freedAt = contextStacks.get(block.freedIn) ?? 0;
      }
      entry = { record };
      this.#entries.set(key, entry);
    }
    const counted = this.#places.get(place);
    if (counted) {
      counted.announced++;
      counted.last = entry;
    } else this.#places.set(place, { announced: 1, last: entry });
    if (++entry.record.count > 1) return;
    host.write({ ...entry.record });
    this.#settings.onError?.();
  }

  /**
   * Writes how often each error came, where that is not known yet.
   * @param memory the program's, when it can be looked at
   */
  end(memory?: ArrayBuffer): void {
    if (memory) this.checker.compareHeld(memory);
    for (const [place, { announced, last }] of this.#places) {
      last.record.count += Math.max(0, this.checker.countOf(place) - announced);
    }
    this.#places.clear();
    for (const { record } of this.#entries.values()) if (record.count > 1) this.#host.write({ ...record });
  }
}
