// A checked module as tests use it: what it does wrong is written down.
import { createChecker, hasMultipleMemories, type Violation } from "../../src/check/index.js";
import { type AllocatorOverride, instrument } from "../../src/instrument/index.js";
import type { RecorderHost } from "../../src/recorder/index.js";
import { decodeModule } from "../../src/wasm/module.js";
import { createRecording, type Recording } from "./recording.js";

export interface CheckingOptions {
  allocator?: readonly AllocatorOverride[];
  /** Without it: where the engine has multiple memories. */
  inline?: boolean;
  redzone?: number;
  quarantine?: number;
  imports?: WebAssembly.Imports;
  /** Also what needs no check is checked. */
  everywhere?: boolean;
  /** Of the recorder. */
  host?: Partial<RecorderHost>;
}

export interface Checking extends Recording {
  instance: WebAssembly.Instance;
  call: Record<string, (...args: unknown[]) => unknown>;
  memory: WebAssembly.Memory;
  /** Since it was last looked at, as `heap-overflow write 4 past 16`. */
  found(): string[];
  violations: Violation[];
  /** Places that are checked. */
  sites: number;
  /** Bytes that the quarantine was left with, each time that the memory was full. */
  pressures: number[];
  /** What loops were told that looked at the memory before they began. */
  ranges: boolean[];
  /** How often violations came that were announced at least once, announced or not. */
  count(): number;
  /** Places that were announced count from the beginning, and announce each violation again as if they were new. */
  recount(): void;
  /** As at the end of a run. */
  compareHeld(): void;
  /** Whether JavaScript knows an address in these bytes. */
  isExposed(address: number, size: number): boolean;
}

/** Both ways in which a module can be checked on this engine. */
export const waysToCheck: readonly { name: string; inline: boolean }[] = [
  { name: "calls", inline: false },
  ...(hasMultipleMemories() ? [{ name: "inline checks", inline: true }] : []),
];

/** A violation as short as can be: where it is in its block, or its address. */
function describeViolation({ kind, access, address, block }: Violation): string {
  if (!block) return `${kind} ${access} at ${address}`;
  const offset = address - block.address;
  const place =
    offset < 0
      ? `${-offset} before`
      : offset >= block.size
        ? `${offset - block.size} past`
        : `${offset} into`;
  return `${kind} ${access} ${place} ${block.size}`;
}

/** What a module says of the size that its memory may have. */
function maximumOf(bytes: Uint8Array): { maximum?: number } {
  const maximum = decodeModule(bytes).memories[0]?.max;
  return maximum === undefined ? {} : { maximum };
}

/** Instruments a module with one memory, exported as `memory`, and instantiates it with a checker of its own. */
export function checking(
  bytes: Uint8Array,
  {
    allocator,
    inline = hasMultipleMemories(),
    redzone = 16,
    quarantine = 1 << 20,
    imports = {},
    everywhere = false,
    host = {},
  }: CheckingOptions = {},
): Checking {
  const recording = createRecording(host);
  const instrumentation = instrument(bytes, {
    ...(allocator && { allocator }),
    check: { inline, redzone, everywhere },
  });
  const { check } = instrumentation;
  if (!check) throw new Error("nothing of the module can be checked");
  const violations: Violation[] = [];
  const pressures: number[] = [];
  const pages = new WebAssembly.Module(bytes as BufferSource);
  const plain = new WebAssembly.Instance(pages, imports).exports.memory as WebAssembly.Memory;
  const initial = plain.buffer.byteLength / 65536;
  let memory: WebAssembly.Memory | undefined;
  const checker = createChecker(
    {
      found: (violation) => violations.push(violation),
      freedIn: () => {},
      pages: () => (memory ? memory.buffer.byteLength / 65536 : initial),
      pressed: (left) => pressures.push(left),
    },
    { quarantine, maximum: (decodeModule(bytes).memories[0]?.max ?? 65536) * 65536, ...check },
  );
  checker.setPages(initial);
  const ranges: boolean[] = [];
  const usable = checker.imports.checkUsable as (address: number, size: number) => number;
  const instance = new WebAssembly.Instance(new WebAssembly.Module(instrumentation.bytes as BufferSource), {
    ...imports,
    linmem: {
      ...recording.imports,
      ...checker.imports,
      checkUsable: (address: number, size: number) => {
        const answer = usable(address, size);
        ranges.push(answer !== 0);
        return answer;
      },
      grown: (_memory: number, before: number, asked: number) =>
        before < 0 ? undefined : checker.setPages(before + asked),
      ...(check.inline && { memory: new WebAssembly.Memory({ initial, ...maximumOf(bytes) }) }),
    },
  });
  memory = instance.exports.memory as WebAssembly.Memory;
  let told = 0;
  const places = () => new Set(violations.map(({ place }) => place));
  return {
    ...recording,
    instance,
    memory,
    call: instance.exports as Checking["call"],
    violations,
    sites: instrumentation.checks ?? 0,
    pressures,
    ranges,
    count: () => [...places()].reduce((sum, place) => sum + checker.countOf(place), 0),
    recount() {
      const counts = new DataView((checker.imports.shadow as WebAssembly.Memory).buffer);
      for (const place of places()) counts.setUint32(place, 0, true);
    },
    isExposed: checker.isExposed,
    compareHeld: () => checker.compareHeld(memory!.buffer as ArrayBuffer),
    found() {
      const fresh = violations.slice(told).map(describeViolation);
      told = violations.length;
      return fresh;
    },
  };
}
