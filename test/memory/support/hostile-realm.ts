// Run by region.test.ts: replaces every function and getter of the engine that a region could call by one that looks at
// what it is handed, then uses regions in every way. Prints what showed more than the region. With "control" it uses the
// memory instead, which shows that the spies see.
import { array } from "../../../src/memory/array-type.js";
import { f32, u8, u16 } from "../../../src/memory/data-types.js";
import { LinearMemory } from "../../../src/memory/linear-memory.js";
import { Region } from "../../../src/memory/region.js";
import { struct } from "../../../src/memory/struct.js";

const { apply, construct, ownKeys, getOwnPropertyDescriptor, defineProperty } = Reflect;
const Bytes = Uint8Array;
const bufferOf = getOwnPropertyDescriptor(WebAssembly.Memory.prototype, "buffer")!.get!;
const typedArray = Object.getPrototypeOf(Uint8Array.prototype);
const viewBuffer = getOwnPropertyDescriptor(typedArray, "buffer")!.get!;
const dataBuffer = getOwnPropertyDescriptor(DataView.prototype, "buffer")!.get!;
const length = (buffer: ArrayBufferLike) => {
  const shared = buffer instanceof SharedArrayBuffer;
  const prototype = shared ? SharedArrayBuffer.prototype : ArrayBuffer.prototype;
  return apply(byteLength.get(prototype)!, buffer, []);
};
const byteLength = new Map(
  [ArrayBuffer.prototype, SharedArrayBuffer.prototype].map((prototype) => [
    prototype as object,
    getOwnPropertyDescriptor(prototype, "byteLength")!.get!,
  ]),
);
const isBuffer = (value: unknown) => {
  for (const get of byteLength.values()) {
    try {
      apply(get, value, []);
      return true;
    } catch {}
  }
  return false;
};

/** Bytes of memory that somebody who has `value` can see. */
function reach(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  for (const get of [viewBuffer, dataBuffer, bufferOf]) {
    try {
      return length(apply(get, value, []));
    } catch {}
  }
  return isBuffer(value) ? length(value as ArrayBuffer) : 0;
}

const REGION = 64;
const leaks = new Set<string>();
let looking = false;
let seen = 0;
/** Inside of a spy nothing is looked at: the spy's own calls are no leaks. */
let inside = false;

function look(where: string, values: unknown[]): void {
  if (!looking || inside) return;
  inside = true;
  seen++;
  for (let i = 0; i < values.length; i++) {
    if (reach(values[i]) > REGION) leaks.add(where);
  }
  inside = false;
}

function spy<F extends (...values: never[]) => unknown>(fn: F, where: string): F {
  return new Proxy(fn, {
    apply(target, self, values) {
      look(where, [self, values[0], values[1], values[2]]);
      const result = apply(target, self, values);
      look(where, [result]);
      return result;
    },
    construct(target, values, newTarget) {
      look(where, [values[0], values[1], values[2]]);
      const result = construct(target, values, newTarget);
      look(where, [result]);
      return result;
    },
  });
}

const memory = new LinearMemory({ initial: 1, maximum: 8 });
const shared = new LinearMemory({ initial: 1, maximum: 8, shared: true });
const regions = [memory, shared].map((m) => new Region(m, 4096, REGION));
const Point = struct({ x: f32, tag: array(u8, 4), y: u16 });

const replaced: [string, object][] = [
  ["ArrayBuffer", ArrayBuffer],
  ["SharedArrayBuffer", SharedArrayBuffer],
  ["TypedArray", Object.getPrototypeOf(Uint8Array)],
  ["Uint8Array", Uint8Array],
  ["Float32Array", Float32Array],
  ["Uint16Array", Uint16Array],
  ["DataView", DataView],
  ["Memory", WebAssembly.Memory],
  ["Array", Array],
  ["Function", Function],
  ["Object", Object],
  ["Number", Number],
  ["BigInt", BigInt],
  ["Error", Error],
  ["RangeError", RangeError],
  ["WeakMap", WeakMap],
  ["Symbol", Symbol],
  ["TextEncoder", TextEncoder],
  ["TextDecoder", TextDecoder],
  ["Region", Region],
  ["LinearMemory", LinearMemory],
];
const namespaces: [string, object][] = [
  ["Reflect", Reflect],
  ["Math", Math],
  ["JSON", JSON],
  ["WebAssembly", WebAssembly],
  ["globalThis", globalThis],
];
const keep = new Set<PropertyKey>(["prototype", "constructor", "globalThis", "process", "console"]);

function replaceAll(name: string, target: object): void {
  for (const key of ownKeys(target)) {
    if (keep.has(key)) continue;
    const property = getOwnPropertyDescriptor(target, key)!;
    if (!property.configurable) continue;
    const where = `${name}.${String(key)}`;
    if (typeof property.value === "function") property.value = spy(property.value, where);
    else if (property.get) property.get = spy(property.get, where);
    else continue;
    defineProperty(target, key, property);
  }
}

const attempts: ((region: Region) => unknown)[] = [
  (region) => region.byteLength,
  (region) => region.writable,
  (region) => region.copyBytes(),
  (region) => region.copyBytes(8n, 8n),
  (region) => region.writeBytes(0, new Uint8Array(8)),
  (region) => region.writeBytes(0, new (class extends Uint8Array {})(8)),
  (region) => region.writeBytes(0, new Uint8Array(0)),
  (region) => region.writeBytes(60, new Uint8Array(8)),
  (region) => region.writeBytes(0, { length: 8 } as never),
  (region) => region.fill(7),
  (region) => region.readUtf8(0, 8),
  (region) => region.writeUtf8(0, "text"),
  (region) => region.subregion(8, 8).readU32(0),
  (region) => region.subregion(8, 80),
  (region) => region.readOnly().writeU8(0, 1),
  (region) => region.readOnly().copyBytes(),
  (region) => region.readU64(56) + region.readI64(0),
  (region) => region.readF64(0) + region.readF32(1) + region.readU16(3) + region.readI8(4),
  (region) => region.readU32(61),
  (region) => region.readU32(-1),
  (region) => region.readU32({ valueOf: () => 0 } as never),
  (region) => region.readU32(2n ** 80n),
  (region) => region.writeF32(0, 1),
  (region) => region.writeU64(0, 1n),
  (region) => region.writeU8(0, {} as never),
  (region) => Point.at(region, 0).x,
  (region) => Point.at(region, 0).tag.copy(),
  (region) => Point.at(region, 0).tag.view(),
  (region) => Point.write(region, 0, { x: 1, tag: [1, 2, 3, 4] }),
  (region) => Point.copy(region, 52),
  (region) => Point.copy(region, 60),
  (region) => array(u16, 4).at(region, 2).copyFrom([1, 2]),
];

const control = [() => memory.copyBytes(0, 8), () => memory.buffer, () => Point.at(memory, 0).tag.copy()];

for (const [name, target] of replaced) {
  replaceAll(name, target);
  if ("prototype" in target) replaceAll(`${name}.prototype`, target.prototype as object);
}
replaceAll("ArrayIterator", Object.getPrototypeOf([][Symbol.iterator]()));
for (const [name, target] of namespaces) replaceAll(name, target);
defineProperty(Object.getPrototypeOf(Uint8Array.prototype), "length", {
  configurable: true,
  get: spy(() => 1_000_000, "hostile length"),
});
defineProperty(Uint8Array, Symbol.species, { configurable: true, get: spy(() => Uint8Array, "species") });
defineProperty(LinearMemory, Symbol.hasInstance, {
  configurable: true,
  value: spy(() => false, "hasInstance"),
});

for (let round = 0; round < 2; round++) {
  for (const region of regions) {
    for (const attempt of process.argv[2] === "control" ? control : attempts) {
      looking = true;
      try {
        attempt(region);
      } catch {}
      looking = false;
    }
  }
  // The next round finds every view detached.
  memory.wasm.grow(1);
  shared.wasm.grow(1);
}
let untouched = true;
const whole = new Bytes(apply(bufferOf, memory.wasm, []));
for (let at = 0; at < 65_536; at++) {
  if ((at < 4096 || at >= 4096 + REGION) && whole[at] !== 0) untouched = false;
}
process.stdout.write(JSON.stringify({ leaks: [...leaks], seen, untouched }));
