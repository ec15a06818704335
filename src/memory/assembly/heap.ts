// The allocator of a `Heap` as a module that imports the heap's memory. scripts/build-wasm.mjs puts the sources from heap/
// beside this file, with `number` as a word without a sign.
import { HeapCore } from "./core";

@inline
function at(header: u32): HeapCore {
  return changetype<HeapCore>(header);
}

export function allocate(header: u32, requested: u32): u32 {
  return at(header).allocate(requested);
}

export function allocateAligned(header: u32, requested: u32, alignment: u32): u32 {
  return at(header).allocateAligned(requested, alignment);
}

export function allocateWide(header: u32, requested: u32, alignment: u32): u32 {
  return at(header).allocateWide(requested, alignment);
}

export function isBlock(header: u32, payload: u32): bool {
  return at(header).isBlock(payload);
}

export function requestedOf(header: u32, payload: u32): u32 {
  return at(header).requestedOf(payload);
}

export function reallocate(header: u32, payload: u32, requested: u32): u32 {
  return at(header).reallocate(payload, requested);
}

export function free(header: u32, payload: u32): bool {
  return at(header).free(payload);
}
