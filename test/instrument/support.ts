// Small modules in text form, assembled, instrumented and run with a recorder.
import binaryen from "binaryen";
import wabtModule from "wabt";
import { type AllocatorOverride, type Instrumentation, instrument } from "../../src/instrument/index.js";
import type { AllocatorRole } from "../../src/instrument/roles.js";
import { type RecorderHost, recorderModuleName } from "../../src/recorder/index.js";
import { op } from "../../src/wasm/instructions.js";
import { Writer } from "../../src/wasm/leb128.js";
import { encodeModule, makeSection } from "../../src/wasm/module.js";
import { sectionId } from "../../src/wasm/types.js";
import { createRecording, type Recording } from "../support/recording.js";

const wabt = await wabtModule();

const wabtFeatures = {
  exceptions: true,
  tail_call: true,
  memory64: true,
  function_references: true,
  reference_types: true,
  threads: true,
  bulk_memory: true,
  multi_value: true,
};

interface AssembleOptions {
  /** Indices in five bytes each, as linkers leave them. */
  paddedIndices?: boolean;
}

/** Bytes of a module in text form, instruction by instruction as written. */
export function assemble(wat: string, { paddedIndices }: AssembleOptions = {}): Uint8Array<ArrayBuffer> {
  const parsed = wabt.parseWat("test.wat", wat, wabtFeatures);
  const padding = paddedIndices ? { relocatable: true, canonicalize_lebs: false } : {};
  try {
    return new Uint8Array(parsed.toBinary({ write_debug_names: true, ...padding }).buffer);
  } finally {
    parsed.destroy();
  }
}

/** The same for what wabt doesn't know (multiple memories, `try_table`). Binaryen may rearrange code. */
export function assembleNewer(wat: string): Uint8Array<ArrayBuffer> {
  const parsed = binaryen.parseText(wat);
  parsed.setFeatures(binaryen.Features.All);
  try {
    return new Uint8Array(parsed.emitBinary());
  } finally {
    parsed.dispose();
  }
}

/** Whether the engine compiles a module; tests of newer features skip where it doesn't. */
export function supports(bytes: Uint8Array<ArrayBuffer>): boolean {
  return WebAssembly.validate(bytes);
}

export type Exports = Record<string, (...args: unknown[]) => unknown>;

export interface Profiled extends Recording {
  instrumentation: Instrumentation;
  instance: WebAssembly.Instance;
  /** The exports that are functions; call them as they are. */
  call: Exports;
}

/** Roles by the names of the functions that have them. */
export type Allocator = Readonly<Record<string, AllocatorRole>>;

export const mallocAndFree: Allocator = { malloc: "malloc", free: "free" };

export function overridesOf(allocator: Allocator): AllocatorOverride[] {
  return Object.entries(allocator).map(([target, role]) => ({ role, target }));
}

/** Instruments a module and instantiates it with a recorder of its own. */
export function profile(
  bytes: Uint8Array<ArrayBuffer>,
  allocator: Allocator = mallocAndFree,
  imports: WebAssembly.Imports = {},
  host: Partial<RecorderHost> = {},
): Profiled {
  const recording = createRecording(host);
  const instrumentation = instrument(bytes, { allocator: overridesOf(allocator) });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(instrumentation.bytes)), {
    ...imports,
    [recorderModuleName]: recording.imports,
  });
  return { ...recording, instrumentation, instance, call: instance.exports as unknown as Exports };
}

/** What a recorder counted, without what few tests look at. */
export function counts({ recorder }: Recording) {
  const { allocations, frees, allocatedBytes, liveBytes, liveBlocks, unknownFrees } = recorder.totals();
  return { allocations, frees, allocatedBytes, liveBytes, liveBlocks, unknownFrees };
}

/** An allocator that never uses memory again, and what it needs. `$bump` is no allocator function itself. */
export const bumpAllocator = `
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 1024))
  (func $bump (param $size i32) (result i32)
    (global.get $top)
    (global.set $top
      (i32.add (global.get $top) (i32.and (i32.add (local.get $size) (i32.const 31)) (i32.const -16)))))
  (func $malloc (export "malloc") (param $size i32) (result i32) (call $bump (local.get $size)))
  (func $free (export "free") (param i32))`;

/** A module of 4 MiB, which grows its memory: the walker's own memory is not kept for the next one. */
export function largeModule(): Uint8Array<ArrayBuffer> {
  const nop = 0x01;
  const body = new Uint8Array(65_536).fill(nop);
  body.set([0, op.i32Const, 1, op.memoryGrow, 0, op.drop]);
  body[body.length - 1] = op.end;
  const code = new Writer(body.length);
  code.u32(64);
  for (let i = 0; i < 64; i++) {
    code.u32(body.length);
    code.bytes(body);
  }
  return encodeModule([
    makeSection(sectionId.type, Uint8Array.of(1, 0x60, 0, 0)),
    makeSection(sectionId.function, Uint8Array.of(64, ...new Uint8Array(64))),
    makeSection(sectionId.memory, Uint8Array.of(1, 0, 1)),
    makeSection(sectionId.code, code.finish()),
    makeSection(sectionId.data, Uint8Array.of(1, 0, op.i32Const, 0, op.end, 3, 7, 8, 9)),
  ]);
}
