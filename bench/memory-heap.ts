/**
 * Owned blocks in the heap of a module, against calls of its exports by hand: allocate, write, release. The module is
 * the C program of test/fixtures/heaps/.
 */
import { readFileSync } from "node:fs";
import {
  disableDevelopmentMode,
  enableDevelopmentMode,
  f32,
  ModuleHeap,
  Scope,
  struct,
} from "../src/index.js";
import { measure, type Variant } from "./memory-rounds.js";
import { root } from "./packages.js";
import { table } from "./tables.js";

const Point = struct({ x: f32, y: f32 });
const TEXT = "hello, world: a string of 40 ASCII units!";
const NUMBERS = Float32Array.from({ length: 64 }, (_, i) => i);
const COUNT = 5000;
const ROUNDS = 60;

interface Exports {
  memory: WebAssembly.Memory;
  malloc(size: number): number;
  free(ptr: number): void;
}

const module = new WebAssembly.Module(readFileSync(`${root}test/fixtures/heaps/c.wasm`));
const instantiate = () => new WebAssembly.Instance(module);

const repeat = (name: string, once: () => number): Variant => ({
  name,
  loop: (count) => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += once();
    return sum;
  },
});

function byHand(
  what: string,
  write: (memory: WebAssembly.Memory, ptr: number) => void,
  size: number,
): Variant {
  const { memory, malloc, free } = instantiate().exports as unknown as Exports;
  return repeat(what, () => {
    const ptr = malloc(size) >>> 0;
    if (ptr === 0) throw new Error("out of memory");
    write(memory, ptr);
    free(ptr);
    return ptr;
  });
}

function owned(what: string, make: (heap: ModuleHeap) => { ptr: number; release(): void }): Variant {
  const heap = new ModuleHeap(instantiate());
  return repeat(what, () => {
    const block = make(heap);
    const { ptr } = block;
    block.release();
    return ptr;
  });
}

export function runHeap(): string {
  const encoder = new TextEncoder();
  const rows: string[][] = [];
  const add = (what: string, hand: Variant, ...others: Variant[]) => {
    const [first, ...rest] = measure([hand, ...others], COUNT, ROUNDS);
    rows.push([`${what}: by hand`, first.time.toFixed(0), "0", "1.00"]);
    for (const { name, time, over, ratio } of rest) {
      rows.push([`… ${name}`, time.toFixed(0), over.toFixed(0), ratio.toFixed(2)]);
    }
  };
  add(
    "64 bytes, nothing written",
    byHand("by hand", () => {}, 64),
    owned("**heap.block**", (heap) => heap.block(64)),
    inScope(),
  );
  add(
    "text of 41 bytes",
    byHand(
      "by hand",
      (memory, ptr) => {
        const bytes = new Uint8Array(memory.buffer, ptr, TEXT.length + 1);
        encoder.encodeInto(TEXT, bytes);
        bytes[TEXT.length] = 0;
      },
      TEXT.length + 1,
    ),
    owned("**heap.string**", (heap) => heap.string(TEXT)),
  );
  add(
    "64 floats",
    byHand("by hand", (memory, ptr) => new Float32Array(memory.buffer, ptr, 64).set(NUMBERS), 256),
    owned("**heap.array**", (heap) => heap.array("f32", NUMBERS)),
  );
  add(
    "a struct of two floats",
    byHand(
      "by hand",
      (memory, ptr) => {
        const view = new Float32Array(memory.buffer, ptr, 2);
        view[0] = 1;
        view[1] = 2;
      },
      8,
    ),
    owned("**heap.struct**", (heap) => heap.struct(Point, { x: 1, y: 2 })),
    owned("heap.struct, fields assigned", (heap) => {
      const block = heap.struct(Point);
      const { value } = block;
      value.x = 1;
      value.y = 2;
      return block;
    }),
  );
  enableDevelopmentMode({ onUnreleased: () => {} });
  add(
    "64 bytes in development mode",
    byHand("by hand", () => {}, 64),
    owned("heap.block", (heap) => heap.block(64)),
  );
  disableDevelopmentMode();
  return [
    "Allocated, written, released in the heap of a C program (wasi-libc's malloc), against calls of its exports and a new typed array for each block.",
    table(["", "ns", "over by hand", "times by hand"], rows),
  ].join("\n\n");
}

function inScope(): Variant {
  const heap = new ModuleHeap(instantiate());
  return repeat("heap.block in a Scope of its own", () => {
    const scope = new Scope();
    const { ptr } = scope.add(heap.block(64));
    scope.release();
    return ptr;
  });
}
