/**
 * Whether the blocks that a module's exported `malloc` gives are recorded, once each, and gone when its `free` took them. Of a
 * module of which only exports have names that tells more than names do: a wrong hook sees none of these blocks, and one that is
 * reached through a table sees them as well as any.
 */
import { loaderGlobals } from "../../src/instrument/allocators/loader-globals.js";
import { stubs } from "../../src/instrument/allocators/stubs.js";
import { instrument } from "../../src/instrument/index.js";
import { recorderModuleName } from "../../src/recorder/index.js";
import { decodeModule, type Module } from "../../src/wasm/module.js";
import { externalKind, valueType } from "../../src/wasm/types.js";
import { createRecording, type Recording } from "../../test/support/recording.js";
import { type Kind, kindOfName } from "./truth.js";
import { stripped } from "./variants.js";

const sizes = [24, 100, 1000, 5000, 40_000];
/** What an allocator may put in front of a block, or add to it. */
const mostHeader = 64;

/** `nothing` where it could not be run: no such exports, or they don't work without the program around them. */
export interface Exercised {
  outcome: "confirmed" | "nothing" | "contradicted";
  /** In words, of a contradiction. */
  how: string;
}

const nothing: Exercised = { outcome: "nothing", how: "" };

type Call = (...args: number[]) => number | undefined;

/** @param module with its names; what is run is the stripped one, with what is found in it */
export function exercise(module: Module): Exercised {
  const { bytes, allocator } = instrument(stripped(module));
  if (allocator.length === 0) return nothing;
  const recording = createRecording();
  const decoded = decodeModule(bytes);
  const { globals, breakAt, heapBase } = loaderGlobals(decoded);
  const imports = stubs(decoded, globals);
  let exports: WebAssembly.Exports;
  try {
    exports = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(bytes)), {
      ...imports,
      [recorderModuleName]: recording.imports,
    }).exports;
    const [memory] = Object.values(imports)
      .flatMap((from) => Object.values(from))
      .filter((value) => value instanceof WebAssembly.Memory);
    if (memory && breakAt !== undefined) new DataView(memory.buffer).setUint32(breakAt, heapBase, true);
  } catch {
    return nothing;
  }
  const named = (wanted: RegExp) =>
    module.exports.flatMap(({ name }, i) => (wanted.test(name) ? [exports[`x${i}`]] : []));
  for (const prepare of named(
    /^(?:emscripten_stack_init|_initialize|__wasm_call_ctors|__wasm_apply_data_relocs)$/,
  ))
    attempt(prepare as Call);
  const [malloc] = ofKind(module, exports, "malloc", 1, 1);
  const [free] = ofKind(module, exports, "free", 1, 0);
  if (!malloc || !free) return nothing;
  return compare(recording, malloc, free);
}

function compare(recording: Recording, malloc: Call, free: Call): Exercised {
  const contradicted = (how: string): Exercised => ({ outcome: "contradicted", how });
  const before = addresses(recording);
  const made: number[] = [];
  for (const size of sizes) {
    const had = blocksOf(recording);
    const address = attempt(malloc, size);
    if (!address) return nothing;
    made.push(address >>> 0);
    const fresh = blocksOf(recording).filter(({ at }) => !had.some((block) => block.at === at));
    const [block] = fresh;
    if (!block) return contradicted(`malloc(${size}) is not recorded`);
    if (fresh.length > 1) return contradicted(`malloc(${size}) is recorded ${fresh.length} times`);
    const isIn = block.at <= address >>> 0 && block.at + mostHeader >= address >>> 0;
    if (!isIn) return contradicted(`malloc(${size}) gave ${address >>> 0}, recorded is ${block.at}`);
    if (block.size < size || block.size > size + mostHeader)
      return contradicted(`malloc(${size}) is recorded as ${block.size} bytes`);
  }
  for (const address of made) attempt(free, address);
  const left = [...addresses(recording)].filter((at) => !before.has(at));
  return left.length === 0
    ? { outcome: "confirmed", how: "" }
    : contradicted(`${left.length} of ${made.length} blocks live on after free`);
}

function ofKind(
  module: Module,
  exports: WebAssembly.Exports,
  kind: Kind,
  params: number,
  results: number,
): Call[] {
  return module.exports.flatMap((item, i) => {
    if (item.kind !== externalKind.function || kindOfName(item.name) !== kind) return [];
    const type = module.functionType(item.index);
    const fits = type.params.length === params && type.results.length === results;
    return fits && [...type.params, ...type.results].every((it) => it === valueType.i32)
      ? [exports[`x${i}`] as Call]
      : [];
  });
}

function attempt(call: Call, ...args: number[]): number | undefined {
  try {
    return call(...args);
  } catch {
    return undefined;
  }
}

function blocksOf({ recorder }: Recording) {
  const { addresses = [], sizes: bytes = [] } = recorder.blocks() ?? {};
  return Array.from(addresses, (at, i) => ({ at, size: bytes[i] ?? 0 }));
}

function addresses(recording: Recording): Set<number> {
  return new Set(blocksOf(recording).map(({ at }) => at));
}
