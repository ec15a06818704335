// Filters a picture with functions written in C: pixels and structs lie in the program's own heap.
//
//   node --import=tsx examples/c-image-filter/app.ts
import { readFileSync } from "node:fs";
import { array, f32, ModuleHeap, pointer, Scope, struct, u8, u32 } from "linmem";

// As in filter.c.
const Image = struct({ width: u32, height: u32, pixels: pointer(u8) });
const Histogram = struct({ counts: array(u32, 8), mean: f32 });

interface Exports {
  _initialize(): void;
  grayscale(image: number): void;
  blur(image: number, radius: number): number;
  histogram(image: number, result: number): void;
}

const module = new WebAssembly.Module(readFileSync(new URL("filter.wasm", import.meta.url)));
const instance = new WebAssembly.Instance(module);
const filters = instance.exports as unknown as Exports;
filters._initialize();
const heap = new ModuleHeap(instance);

const width = 48;
const height = 20;

/** A red disc on a blue ground. */
function draw(): Uint8Array {
  const pixels = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const inside = ((x - width / 2) / 2) ** 2 + (y - height / 2) ** 2 < 49;
      pixels.set(inside ? [255, 160, 120, 255] : [0, 20, 90, 255], (y * width + x) * 4);
    }
  }
  return pixels;
}

function show(pixels: Uint8Array): void {
  for (let y = 0; y < height; y += 2) {
    const row = Array.from(
      { length: width },
      (_, x) => " .:-=+*#%@"[Math.floor(pixels[(y * width + x) * 4] / 25.6)],
    );
    console.log(row.join(""));
  }
}

// Everything is released when the function ends; `using` in each place does the same.
Scope.run((scope) => {
  const pixels = scope.add(heap.copyIn(draw(), { alignment: 4 }));
  const image = scope.add(heap.struct(Image, { width, height, pixels: pixels.ptr }));
  filters.grayscale(image.ptr);
  show(pixels.view());
  if (filters.blur(image.ptr, 2) === 0) throw new Error("no memory to blur in");
  // The view from before is stale if the filter made the memory grow: ask for it again.
  show(pixels.view());

  const result = scope.add(heap.struct(Histogram));
  filters.histogram(image.ptr, result.ptr);
  console.log(`brightness ${result.value.mean.toFixed(1)} on average; ${[...result.value.counts].join(" ")}`);
});
console.log(`blocks still owned here: ${heap.live.blocks}`);
