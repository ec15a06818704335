// Fireworks, computed by a kernel in C that has no allocator: a `Heap` behind its data hands out the memory.
//
//   node --import=tsx examples/particles/app.ts
//
// A rocket's particles are one array for each field, in one movable block: rockets live for different times, and what they
// leave behind is pushed together, half a millisecond a frame. What a frame needs for itself lies in an arena.
import { readFileSync } from "node:fs";
import { Arena, f32, Heap, LinearMemory, type MovableBlock, pointer, Scope, struct } from "linmem";

// As in particles.c.
const fields = ["x", "y", "vx", "vy", "life"] as const;
const Particles = struct({
  x: pointer(f32),
  y: pointer(f32),
  vx: pointer(f32),
  vy: pointer(f32),
  life: pointer(f32),
});

interface Kernel {
  __heap_base: WebAssembly.Global<"i32">;
  set_wind(table: number, count: number): void;
  step(particles: number, count: number, dt: number): number;
  draw(particles: number, count: number, cells: number, width: number, height: number): void;
}

interface Rocket {
  block: MovableBlock;
  /** Floats from the beginning of one field to that of the next. */
  capacity: number;
  count: number;
}

const [width, height, frames, dt] = [64, 20, 600, 1 / 60];

const memory = new LinearMemory({ initial: 2, maximum: 1000 });
const module = new WebAssembly.Module(readFileSync(new URL("particles.wasm", import.meta.url)));
const instance = new WebAssembly.Instance(module, { env: { memory: memory.wasm } });
const kernel = instance.exports as unknown as Kernel;
const heap = Heap.create(memory, { start: kernel.__heap_base.value });
const arena = new Arena(heap);

/** The kernel keeps the address of the wind: its block has to stay where it is. */
const wind = heap.movable(height * 4);
const held = wind.pin();
for (let layer = 0; layer < height; layer++) memory.f32[held.ptr / 4 + layer] = 4 * Math.sin(layer / 4);
kernel.set_wind(held.ptr, height);

let seed = 1;
const chance = () => {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
  return seed / 2 ** 32;
};

function launch(): Rocket {
  const capacity = 50 + Math.floor(2000 * chance() ** 3);
  const block = heap.movable(fields.length * capacity * 4);
  const { f32: floats } = memory; // after what may grow the memory
  const start = block.ptr / 4;
  const [x, y, duration] = [width * chance(), 8 + 8 * chance(), 0.4 + 4 * chance() ** 4];
  for (let i = 0; i < capacity; i++) {
    const [angle, speed] = [2 * Math.PI * chance(), 7 * Math.sqrt(chance())];
    const values = [
      x,
      y,
      speed * Math.cos(angle),
      speed * Math.sin(angle),
      duration * (0.7 + 0.3 * chance()),
    ];
    values.forEach((value, field) => {
      floats[start + field * capacity + i] = value;
    });
  }
  return { block, capacity, count: capacity };
}

/** Says where a rocket's arrays are now: a block may have moved since the frame before. */
function describe({ block, capacity }: Rocket): number {
  const at = (field: number) => block.ptr + 4 * field * capacity;
  return arena.struct(Particles, { x: at(0), y: at(1), vx: at(2), vy: at(3), life: at(4) }).ptr;
}

function show(rockets: readonly Rocket[]): void {
  Scope.run(() => {
    const cells = arena.array("u32", width * height);
    for (const rocket of rockets) kernel.draw(describe(rocket), rocket.count, cells.ptr, width, height);
    const counts = cells.view();
    for (let row = 0; row < height; row++) {
      const line = counts.subarray(row * width, (row + 1) * width);
      console.log(
        Array.from(line, (count) => " .:*#@"[Math.min(count, 5)])
          .join("")
          .trimEnd(),
      );
    }
  }, arena);
}

let rockets: Rocket[] = [];
let launched = 0;
let moved = 0;

for (let frame = 0; frame < frames; frame++) {
  if (chance() < 0.5 && ++launched) rockets.push(launch());
  // takes back all of the frame's own data at its end
  Scope.run(() => {
    for (const rocket of rockets) rocket.count = kernel.step(describe(rocket), rocket.count, dt);
  }, arena);
  for (const { block, count } of rockets) if (count === 0) block.release();
  rockets = rockets.filter(({ count }) => count > 0);
  moved += heap.compact({ budgetMs: 0.5 }).blocks;
}

show(rockets);
const particles = rockets.reduce((sum, { count }) => sum + count, 0);
console.log(`${launched} rockets, ${rockets.length} of them still burning with ${particles} particles`);

arena.release();
while (!heap.compact().done);
const { blocks, used, span } = heap.stats();
heap.check();
console.log(
  `${blocks} blocks, which take ${(span / used).toFixed(2)} times their size; any were moved: ${moved > 0}`,
);

for (const { block } of rockets) block.release();
held.release();
wind.release();
console.log(`blocks still owned here: ${heap.live.blocks}`);
