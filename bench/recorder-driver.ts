/**
 * A small wasm module that calls the recorder as hooks do, in loops, so that the cost of calls from JavaScript
 * does not blur what is measured. Compiled on the spot.
 */
import type { Recorder } from "../src/recorder/index.js";
import { compileAssembly } from "./compile-assembly.js";

const source = `
@external("linmem", "alloc") declare function quickAlloc(address: u32, bytes: u32, context: u64): i32;
@external("linmem", "free") declare function quickFree(address: u32): i32;
@external("linmem", "allocSlowly") declare function allocSlowly(address: u32, bytes: u32, context: u64): i32;
@external("linmem", "freeSlowly") declare function freeSlowly(address: u32): i32;
@external("linmem", "leave") declare function leave(): void;

@inline function alloc(address: u32, bytes: u32, context: u64): void {
  if (quickAlloc(address, bytes, context) < 0) allocSlowly(address, bytes, context);
}

@inline function free(address: u32): void {
  if (quickFree(address) < 0) freeSlowly(address);
}

let random: u32 = 1;

@inline function next(): u32 {
  random ^= random << 13;
  random ^= random >> 17;
  random ^= random << 5;
  return random;
}

@inline function below(bound: u32): u32 {
  return <u32>((<u64>next() * <u64>bound) >> 32);
}

/** An address for the i-th block, 32 bytes apart, that does not depend on the order of allocation. */
@inline function address(i: u32): u32 {
  return 4096 + (i << 5);
}

/** Blocks that die before the next one comes; \`contexts\`: a power of two. */
export function temporary(pairs: u32, contexts: u64): void {
  for (let i: u32 = 0; i < pairs; i++) {
    alloc(address(i & 1023), 24, ((<u64>i & (contexts - 1)) + 1) * 0x29e3779b1 << 1);
    free(address(i & 1023));
  }
}

/** A block that dies at once, in each of so many contexts. */
export function contexts(count: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    alloc(4096, 24, (<u64>i + 1) * 0x29e3779b1 << 1);
    free(4096);
  }
}

/** Blocks that die in the reverse order, \`depth\` deep. */
export function lifo(pairs: u32, depth: u32, contexts: u64): void {
  for (let i: u32 = 0; i < pairs; i += depth) {
    for (let k: u32 = 0; k < depth; k++) {
      alloc(address(k), 16 + k, ((<u64>k & (contexts - 1)) + 1) * 0x29e3779b1 << 1);
    }
    for (let k = depth; k > 0; k--) free(address(k - 1));
  }
}

/** Allocates \`count\` blocks from the \`from\`-th on. */
export function fill(from: u32, count: u32, contexts: u64): void {
  for (let i = from; i < from + count; i++) {
    alloc(address(i), 24, ((<u64>i & (contexts - 1)) + 1) * 0x29e3779b1 << 1);
  }
}

export function empty(count: u32): void {
  for (let i: u32 = 0; i < count; i++) free(address(i));
}

/** With \`live\` blocks there, one at random dies and comes again; an entry ends every \`perEntry\` pairs, unless 0. */
export function churn(pairs: u32, live: u32, contexts: u64, perEntry: u32): void {
  let left = perEntry;
  for (let i: u32 = 0; i < pairs; i++) {
    const at = address(below(live));
    free(at);
    alloc(at, 16 + (i & 255), ((<u64>i & (contexts - 1)) + 1) * 0x29e3779b1 << 1);
    if (perEntry && !--left) {
      leave();
      left = perEntry;
    }
  }
}
`;

export interface Driver {
  temporary(pairs: number, contexts: bigint): void;
  contexts(count: number): void;
  lifo(pairs: number, depth: number, contexts: bigint): void;
  fill(from: number, count: number, contexts: bigint): void;
  empty(count: number): void;
  churn(pairs: number, live: number, contexts: bigint, perEntry: number): void;
}

let compiled: WebAssembly.Module | undefined;

/** Compiles the driver; once is enough. */
export async function compileDriver(): Promise<void> {
  if (compiled) return;
  compiled = new WebAssembly.Module(await compileAssembly(source));
}

/** A driver of this recorder. `compileDriver` comes first. */
export function createDriver(recorder: Pick<Recorder, "imports">): Driver {
  if (!compiled) throw new Error("compileDriver() comes first");
  const instance = new WebAssembly.Instance(compiled, { linmem: { ...recorder.imports } });
  return instance.exports as unknown as Driver;
}
