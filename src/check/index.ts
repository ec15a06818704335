/**
 * The host side of the checker (assembly/index.ts): the wasm module with the shadow memory of one linear memory. What
 * it finds it says here, while what did it is still on the stack.
 */
import { fromBase64 } from "../base64.js";
import { type MemoryErrorKind, memoryErrorKinds } from "../profile/records.js";
import { checkerWasmBase64 } from "./generated/checker-wasm.js";

const accesses = ["read", "write", "free", "realloc"] as const;

export type ViolationAccess = (typeof accesses)[number];

/** A block as the checker knows it. */
export interface CheckedBlock {
  address: number;
  /** Bytes that the program asked for. */
  size: number;
  /** Context in which it was allocated. */
  allocatedIn: bigint;
  /** Context in which it was freed; undefined while it is live. */
  freedIn?: bigint;
}

/** Something that a program should not have done to its memory. */
export interface Violation {
  kind: MemoryErrorKind;
  access: ViolationAccess;
  /** The first byte that the program should have left alone; what it freed. */
  address: number;
  /** Bytes of the access; what the program took for the size of the block that it freed. */
  size: number;
  block?: CheckedBlock;
  /** Violations of the same number are counted together: see `Checker.countOf`. */
  place: number;
}

export interface CheckerHost {
  /** Called as long as a place is new; later ever more seldom. */
  found(violation: Violation): void;
  /** A block is freed in this context: called at least when that is so for the first time. */
  freedIn(context: bigint): void;
  /** Pages of the program's memory. */
  pages(): number;
  /** The memory is full: so many bytes of freed blocks are held back from now on. */
  pressed(quarantine: number): void;
}

export interface CheckerOptions {
  /** Bytes of freed blocks that are kept from the allocator. */
  quarantine: number;
  /** Most bytes that the memory can have. */
  maximum: number;
  /** First address that the program's heap may use; 0 when unknown. */
  heapStart: number;
  /** No object lies below; 0 when unknown. */
  nullEnd: number;
  /** Whose accesses to the bytes before a block are errors. */
  headers: "any" | "writes";
  /** Blocks may be larger than is known, and be released unseen: only freed ones are checked. */
  freedOnly: boolean;
}

export interface Checker {
  /** What checked modules import, functions and the shadow memory. */
  imports: Record<string, WebAssembly.ExportValue>;
  /** The memory has that many pages. */
  setPages(pages: number): void;
  /** How often violations of a place came, whether they were announced or not. */
  countOf(place: number): number;
  /** Looks whether blocks that are held back were written to, in the program's memory. */
  compareHeld(memory: ArrayBuffer): void;
  /** Whether JavaScript knows an address in a block: it was handed it, or named it itself. */
  isExposed(address: number, size: number): boolean;
}

interface CheckerExports extends Record<CheckFunction, WebAssembly.ExportValue> {
  memory: WebAssembly.Memory;
  setPages(count: number): void;
  setNullPage(until: number): void;
  setHeap(start: number): void;
  checkHeaderReads(value: number): void;
  checkFreedOnly(value: number): void;
  setQuarantine(most: number): void;
  setMost(bytes: number): void;
  nextHeld(place: number): number;
  heldWords(place: number): number;
  compareHeld(place: number, sum: number): void;
  isExposed(address: number, size: number): number;
}

/** Names under which modules import the checker's functions; the recorder's have others. */
const checkFunctions = {
  checkPeek: "peek",
  checkPeek2: "peek2",
  checkUsable: "usable",
  checkAccess: "access",
  checkStack: "stack",
  checkAllocated: "allocated",
  checkRelease: "release",
  checkSummed: "summed",
  checkReleaseNow: "releaseNow",
  checkEvict: "evict",
  checkEvictAll: "evictAll",
  checkEvicted: "evicted",
  checkPressure: "pressure",
  checkArgument: "argument",
  checkSized: "sized",
  checkResize: "resize",
  checkResized: "resized",
  checkExpose: "expose",
} as const;

type CheckFunction = (typeof checkFunctions)[keyof typeof checkFunctions];

/** See assembly/layout.ts. */
const blockFields = { address: 0, size: 4, state: 12, allocatedIn: 16, queuedAt: 24 } as const;
const queueFields = { block: 0, freedIn: 8 } as const;
const live = 1;

// taken before anything puts itself between the program and WebAssembly
const { Module, Instance, validate } = WebAssembly;
let compiled: WebAssembly.Module | undefined;

/** Whether the engine takes a module with two memories: checks can read the shadow memory themselves then. */
export function hasMultipleMemories(): boolean {
  // the memory section: two of them, of no pages
  return validate(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 5, 2, 0, 0, 0, 0));
}

/** @throws RangeError when the engine has no room for a shadow memory. */
export function createChecker(host: CheckerHost, options: CheckerOptions): Checker {
  compiled ??= new Module(fromBase64(checkerWasmBase64));
  const found = (
    kind: number,
    address: number,
    size: number,
    access: number,
    place: number,
    block: number,
  ) => {
    host.found({
      kind: memoryErrorKinds[kind - 1]!,
      access: accesses[access]!,
      address,
      size: size >>> 0,
      place: place >>> 0,
      ...(block !== 0 && { block: blockAt(new DataView(wasm.memory.buffer), block >>> 0) }),
    });
  };
  const instance = new Instance(compiled, {
    host: {
      found,
      freedIn: (context: bigint) => host.freedIn(BigInt.asUintN(64, context)),
      pages: () => host.pages(),
      pressed: (limit: bigint) => host.pressed(Number(limit)),
    },
  });
  const wasm = instance.exports as unknown as CheckerExports;
  // where the memory can't grow much what is held back must not be what fills it
  wasm.setQuarantine(Math.min(options.quarantine, options.maximum / 16));
  wasm.setMost(options.maximum);
  wasm.setHeap(options.heapStart);
  wasm.checkFreedOnly(options.freedOnly ? 1 : 0);
  wasm.checkHeaderReads(options.headers === "any" ? 1 : 0);
  const imports: Record<string, WebAssembly.ExportValue> = { shadow: wasm.memory };
  for (const [name, own] of Object.entries(checkFunctions)) imports[name] = wasm[own];

  let nullPageIsSet = false;
  return {
    imports,
    setPages(pages) {
      wasm.setPages(pages);
      if (nullPageIsSet || pages === 0) return;
      nullPageIsSet = true;
      wasm.setNullPage(options.nullEnd);
    },
    isExposed: (address, size) => wasm.isExposed(address, size) !== 0,
    countOf: (place) => new DataView(wasm.memory.buffer).getUint32(place, true),
    compareHeld(memory) {
      const view = new DataView(memory);
      const own = new DataView(wasm.memory.buffer);
      for (let place = wasm.nextHeld(0); place !== 0; place = wasm.nextHeld(place)) {
        const block = own.getUint32((place >>> 0) + queueFields.block, true);
        const address = own.getUint32(block + blockFields.address, true);
        wasm.compareHeld(place, sumOfWords(view, address, wasm.heldWords(place)));
      }
    },
  };
}

function blockAt(view: DataView, at: number): CheckedBlock {
  const isLive = view.getUint8(at + blockFields.state) === live;
  const place = view.getUint32(at + blockFields.queuedAt, true);
  return {
    address: view.getUint32(at + blockFields.address, true),
    size: view.getUint32(at + blockFields.size, true),
    allocatedIn: view.getBigUint64(at + blockFields.allocatedIn, true),
    ...(!isLive && { freedIn: view.getBigUint64(place + queueFields.freedIn, true) }),
  };
}

/** As hooks sum up what is in a block: see `sumWords` in src/instrument/checks/hooks.ts. */
function sumOfWords(view: DataView, address: number, words: number): number {
  let sum = 0;
  for (let i = 0; i < words; i++) {
    sum = (((sum << 7) | (sum >>> 25)) + view.getInt32(address + 4 * i, true)) | 0;
  }
  return sum;
}
