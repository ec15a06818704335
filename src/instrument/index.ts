import type { AllocatorFunction, AllocatorRole } from "./roles.js";

/** `--allocator malloc=v`: the function to hook under a role, by export name, name-section name or index. */
export interface AllocatorOverride {
  role: AllocatorRole;
  /** A name, or a decimal function index of the original module. */
  target: string;
}

export interface InstrumentOptions {
  /** Replaces what would be found. */
  allocator?: readonly AllocatorOverride[];
}

/** Where a frame of the instrumented module was in the original. */
export interface OriginalPosition {
  functionIndex: number;
  /** Byte offset in the original module; 0 when unknown. */
  offset: number;
  /** `hook` and `entry` functions were added by linmem and are no part of the program's stack. */
  added?: "hook" | "entry";
}

/** An instrumented module. */
export interface Instrumentation {
  bytes: Uint8Array;
  /** Functions that were hooked; when empty nothing but growth is recorded. */
  allocator: readonly AllocatorFunction[];
  /** Maps function index and byte offset of a frame in the instrumented module to the original. */
  toOriginal(functionIndex: number, offset: number): OriginalPosition;
}

/**
 * Adds hooks at the allocator's functions, calling contexts and growth events to a module.
 * @throws DecodeError when the bytes are no module; InstrumentError when this version can't instrument them.
 */
export declare function instrument(bytes: Uint8Array, options?: InstrumentOptions): Instrumentation;
