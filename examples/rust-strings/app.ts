// Text and a struct go into a Rust program, a struct comes out: no bindings on either side. With `--forget` the result of
// each call is not released, and `linmem run` says where that is.
//
//   node --import=tsx examples/rust-strings/app.ts
//   node dist/cli/main.js run --import=tsx examples/rust-strings/app.ts --forget
import { readFileSync } from "node:fs";
import { allocators, bool, f64, ModuleHeap, struct, u32 } from "linmem";

// As in words.rs, where they are `repr(C)`.
const Options = struct({ minLength: u32, ignoreCase: bool });
const Stats = struct({ words: u32, different: u32, longest: u32, averageLength: f64 });

interface Exports {
  analyze(text: number, length: number, options: number): number;
}

const module = new WebAssembly.Module(readFileSync(new URL("words.wasm", import.meta.url)));
const instance = new WebAssembly.Instance(module);
const { analyze } = instance.exports as unknown as Exports;
const heap = new ModuleHeap(instance, {
  allocator: allocators.functions({ allocate: "allocate", free: "release" }),
});

/** All three blocks are released on the way out, the last one first, also if something throws. */
function statistics(text: string) {
  using input = heap.string(text);
  using options = heap.struct(Options, { minLength: 3, ignoreCase: true });
  using stats = heap.adoptStruct(Stats, analyze(input.ptr, input.byteLength, options.ptr));
  return stats.copy();
}

/** The same without a handle for the result: nobody releases it. */
function forgetfulStatistics(text: string) {
  using input = heap.string(text);
  using options = heap.struct(Options, { minLength: 3, ignoreCase: true });
  const stats = analyze(input.ptr, input.byteLength, options.ptr);
  return Stats.copy(heap.memory, stats);
}

const texts = [
  "The quick brown fox jumps over the lazy dog. The dog sleeps.",
  "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
  "Портной шил, шил — и сшил.",
];
const count = process.argv.includes("--forget") ? forgetfulStatistics : statistics;
for (let round = 0; round < 500; round++) for (const text of texts) count(text);

for (const text of texts) {
  const { words, different, longest, averageLength } = count(text);
  console.log(
    `${words} words, ${different} different, longest ${longest}, average ${averageLength.toFixed(1)}: ${text}`,
  );
}
console.log(`blocks still owned here: ${heap.live.blocks}`);
