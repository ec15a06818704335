// What the library must do in every engine, as plain JavaScript without imports: library.test.ts runs it in Node and
// in Chromium, with the library as the packed tarball has it. Returns what it found out about the engine.

/** (module (memory (export "memory") 1 100) (func (export "grow") (param i32) (result i32) …memory.grow)) */
const growing = [
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f, 3, 2, 1, 0, 5, 4, 1, 1, 1, 100],
  ...[7, 17, 2, 6, 0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79, 2, 0, 4, 0x67, 0x72, 0x6f, 0x77, 0, 0],
  ...[10, 8, 1, 6, 0, 0x20, 0, 0x40, 0, 11],
];

const kinds = ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "f64", "i64", "u64"];

function equal(actual, expected, what) {
  const [a, b] = [actual, expected].map((value) => JSON.stringify(value));
  if (a !== b) throw new Error(`${what}: ${a}, not ${b}`);
}

function throws(action, errorClass, code) {
  try {
    action();
  } catch (error) {
    if (!(error instanceof errorClass) || error.code !== code) throw error;
    return error.message;
  }
  throw new Error(`${action} did not throw ${code}`);
}

function covers(memory, pages, what) {
  for (const kind of kinds) equal(memory[kind].byteLength, pages * 65_536, `${what}: ${kind}`);
}

/** (module (memory (export "memory") 1 16) …a malloc that only moves on, a free that does nothing, length(point)) */
const withHeap =
  "AGFzbQEAAAABDwNgAX8Bf2ABfwBgAX8BfQMEAwABAgUEAQEBEAYHAX8BQYAICwcjBAZtZW1vcnkCAAZtYWxsb2MAAARmcmVlAAEGbGVuZ3RoAAIKMQMR" +
  "ACMAIwAgAGpBB2pBeHEkAAsCAAsaACAAKgIAIAAqAgCUIAAqAgQgACoCBJSSkQs=";

const decode = (base64) => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));

/** Blocks, structs, scopes, regions, plugins. */
async function checkHeaps({
  array,
  f32,
  instantiateIsolated,
  LinearMemory,
  ModuleHeap,
  Region,
  Scope,
  struct,
  u8,
}) {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(decode(withHeap)));
  const heap = new ModuleHeap(instance);
  const Point = struct({ x: f32, y: f32, tag: array(u8, 3) });
  equal([Point.byteLength, Point.fields.tag.offset], [12, 8], "layout");
  const kept = Scope.run((scope) => {
    const point = scope.add(heap.struct(Point, { x: 3, y: 1 }));
    point.value.y = 4;
    equal(instance.exports.length(point.ptr), 5, "a struct goes in");
    const text = scope.add(heap.string("añ→😀"));
    equal(heap.memory.readCString(text.ptr), "añ→😀", "text goes in");
    equal([...scope.add(heap.array("i16", [1, -2])).copy()], [1, -2], "an array goes in");
    equal(heap.live.blocks, 3, "blocks");
    return point;
  });
  equal(heap.live, { blocks: 0, bytes: 0 }, "everything is released");
  throws(() => kept.ptr, Error, "ERR_LINMEM_RELEASED");
  throws(() => heap.block(2 ** 31), RangeError, "ERR_LINMEM_ALLOCATOR_RESULT");

  const memory = new LinearMemory({ initial: 1, maximum: 2 });
  const region = new Region(memory, 16, 16);
  const point = Point.at(region, 0);
  point.x = 1.5;
  memory.grow(1);
  equal([point.x, memory.readF32(16)], [1.5, 1.5], "a struct in a region");
  throws(() => region.readU32(13), RangeError, "ERR_LINMEM_BOUNDS");
  throws(() => region.readOnly().writeU8(0, 1), TypeError, "ERR_LINMEM_READ_ONLY");

  const refused = [];
  const options = { maxMemory: 3, onRefusedGrowth: ({ asked, pages }) => refused.push([asked, pages]) };
  const plugin = await instantiateIsolated(Uint8Array.from(growing), options);
  equal(
    [plugin.exports.grow(1), plugin.exports.grow(2), refused],
    [1, -1, [[2, 2]]],
    "a plugin at its limit",
  );
  plugin.dispose();
  throws(() => plugin.exports.grow(0), Error, "ERR_LINMEM_RELEASED");
}

export async function check(library) {
  const { Budget, LinearMemory, liveMemories } = library;
  const found = {};
  await checkHeaps(library);

  // Growth by everybody.
  const memory = LinearMemory.wrap(
    new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(growing))),
  );
  equal(memory.maximum, 100, "maximum of an exported memory");
  const growths = [];
  memory.onGrow(({ previous, pages }) => growths.push([previous, pages]));
  const { grow } = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(growing))).exports;
  equal(grow(1), 1, "another instance");
  equal(memory.pages, 1, "memories are separate");
  const instance = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(growing)));
  const own = LinearMemory.wrap(instance);
  own.u32[3] = 7;
  equal(instance.exports.grow(2), 1, "the module grows");
  covers(own, 3, "the module grew");
  equal(own.readU32(12), 7, "the bytes stay");
  memory.grow(1);
  memory.wasm.grow(1);
  covers(memory, 3, "JavaScript grew");
  equal(
    growths,
    [
      [1, 2],
      [2, 3],
    ],
    "growths heard",
  );
  throws(() => memory.grow(98), RangeError, "ERR_LINMEM_MAXIMUM");
  throws(() => memory.grow("1"), TypeError, "ERR_LINMEM_PAGES");
  throws(() => new LinearMemory({ initial: 2, maximum: 1 }), RangeError, "ERR_LINMEM_MAXIMUM");
  throws(() => memory.readU32(3 * 65_536 - 3), RangeError, "ERR_LINMEM_BOUNDS");

  // Text, also in the buffers that browsers' TextDecoder and TextEncoder refuse.
  const shared = new LinearMemory({ initial: 1, maximum: 4, shared: true });
  const resizable = new LinearMemory({ initial: 1, maximum: 4 });
  found.resizable = typeof resizable.wasm.toResizableBuffer === "function";
  if (found.resizable) resizable.wasm.toResizableBuffer();
  const text = "añ→😀 linear memory";
  for (const target of [memory, shared, resizable]) {
    for (const at of [0, 1, 65_000]) {
      const size = target.writeUtf8(at, text);
      equal(target.readUtf8(at, size), text, "UTF-8");
      target.writeCString(at, text);
      equal(target.readCString(at), text, "C string");
      target.writeUtf16(at, `${text}\ud800`);
      equal(target.readUtf16(at, text.length * 2 + 2), `${text}\ud800`, "UTF-16");
    }
    target.grow(1);
    target.writeF64(65_537, Math.PI);
    equal(target.readF64(65_537), Math.PI, "unaligned");
    equal(target.copyBytes(65_537, 8).buffer instanceof ArrayBuffer, true, "a copy has a buffer of its own");
  }
  covers(shared, 2, "shared");
  WebAssembly.Memory.prototype.grow.call(shared.wasm, 1);
  covers(shared, 3, "shared, grown behind the library's back");

  // 4 GiB, and beyond where there are 64-bit addresses.
  try {
    const large = LinearMemory.reserve({ initial: 65_536, maximum: 65_536 });
    large.writeU8(2 ** 32 - 1, 9);
    equal(large.u8[2 ** 32 - 1], 9, "the last byte of 4 GiB");
    throws(() => large.readU16(2 ** 32 - 1), RangeError, "ERR_LINMEM_BOUNDS");
    found.fourGiB = true;
  } catch (error) {
    if (error.code !== "ERR_LINMEM_REFUSED") throw error;
    found.fourGiB = false;
  }
  try {
    const wide = new LinearMemory({ initial: 65_540, maximum: 65_600, address: "i64" });
    wide.writeU32(2n ** 32n + 5n, 5);
    equal(wide.readU32(2 ** 32 + 5), 5, "beyond 4 GiB");
    equal([wide.grow(1), wide.pages, wide.address], [65_540, 65_541, "i64"], "64-bit addresses");
    equal(wide.u8[2 ** 32 + 5], 5, "a view beyond 4 GiB");
    found.addresses64 = true;
  } catch (error) {
    if (error.code !== "ERR_LINMEM_UNSUPPORTED" && error.code !== "ERR_LINMEM_REFUSED") throw error;
    found.addresses64 = false;
  }

  const budget = new Budget({ pages: 3 });
  const capped = new LinearMemory({ initial: 2, budget });
  throws(() => capped.wasm.grow(2), RangeError, "ERR_LINMEM_BUDGET");

  const live = liveMemories().find((entry) => entry.memory.deref() === memory.wasm);
  equal([live.pages, live.reservedBytes], [4, 6_553_600], "liveMemories()");
  found.resident = live.residentBytes !== undefined;
  return found;
}
