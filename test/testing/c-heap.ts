import { readFileSync } from "node:fs";

/** Exports of test/fixtures/heaps/c.wasm, a C program with the allocator of wasi-libc. */
export interface CHeap {
  memory: WebAssembly.Memory;
  malloc(bytes: number): number;
  free(address: number): void;
  realloc(address: number, bytes: number): number;
  make_point(x: number, y: number): number;
  grow(pages: number): number;
}

const bytes = readFileSync(new URL("../fixtures/heaps/c.wasm", import.meta.url));

/** A new instance. Import linmem first. */
export function cHeap(): CHeap {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), {});
  (exports as { _initialize(): void })._initialize();
  return exports as unknown as CHeap;
}
