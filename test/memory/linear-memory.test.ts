// Making, wrapping and growing memories, and what is said when that can't be.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LinearMemory, LinmemRangeError, LinmemTypeError, PAGE_SIZE } from "../../src/index.js";
import { hasAddresses64, wat } from "./modules.js";

type Expected = [typeof LinmemRangeError | typeof LinmemTypeError, string];
const pagesError: Expected = [LinmemTypeError, "ERR_LINMEM_PAGES"];
const maximumError: Expected = [LinmemRangeError, "ERR_LINMEM_MAXIMUM"];
const limitError: Expected = [LinmemRangeError, "ERR_LINMEM_LIMIT"];

/** `action` throws an error of the class and code, and of the engine's class of the same kind. */
function throwsCode(action: () => unknown, [errorClass, code]: Expected, message?: RegExp): void {
  assert.throws(action, (error: unknown) => {
    assert.ok(error instanceof errorClass, String(error));
    assert.ok(error instanceof (errorClass === LinmemRangeError ? RangeError : TypeError));
    assert.equal(error.code, code);
    if (message !== undefined) assert.match(error.message, message);
    return true;
  });
}

test("a memory has pages of 64 KiB, a maximum, and a WebAssembly.Memory to pass on", async () => {
  const memory = new LinearMemory({ initial: 2, maximum: 5 });
  assert.equal(memory.pages, 2);
  assert.equal(memory.byteLength, 2 * 65_536);
  assert.equal(memory.maximum, 5);
  assert.equal(memory.shared, false);
  assert.equal(memory.address, "i32");
  assert.equal(PAGE_SIZE, 65_536);
  assert.ok(memory.wasm instanceof WebAssembly.Memory);
  assert.equal(memory.buffer, memory.wasm.buffer);
  const module = await wat(`(module (memory (import "env" "memory") 2 5)
    (func (export "store") (i32.store (i32.const 8) (i32.const 0x12345678))))`);
  const instance = new WebAssembly.Instance(module, { env: { memory: memory.wasm } });
  (instance.exports.store as () => void)();
  assert.equal(memory.u32[2], 0x12345678);
});

test("a memory without a maximum has none, and an empty one grows", () => {
  const memory = new LinearMemory({ initial: 0 });
  assert.equal(memory.maximum, undefined);
  assert.equal(memory.pages, 0);
  assert.equal(memory.u8.length, 0);
  assert.equal(memory.grow(1), 0);
  assert.equal(memory.u8.length, 65_536);
});

test("-0 pages are 0 pages", () => {
  assert.equal(new LinearMemory({ initial: -0 }).pages, 0);
  assert.equal(new LinearMemory({ initial: 1 }).grow(-0), 1);
});

for (const bad of [
  -1,
  1.5,
  Number.NaN,
  Infinity,
  -Infinity,
  "1",
  "x",
  1n,
  null,
  undefined,
  {},
  [],
  true,
  Symbol("s"),
]) {
  const name = typeof bad === "object" ? JSON.stringify(bad) : String(bad);
  test(`${typeof bad} ${name} is no number of pages`, () => {
    const options = { initial: bad } as unknown as { initial: number };
    throwsCode(() => new LinearMemory(options), pagesError, /^initial must be a whole number of pages, not /);
    if (bad !== undefined) {
      const limited = { initial: 0, maximum: bad } as unknown as { initial: number };
      throwsCode(() => new LinearMemory(limited), pagesError, /^maximum must be/);
    }
    const memory = new LinearMemory({ initial: 1, maximum: 3 });
    memory.u8[0] = 7;
    const { buffer } = memory;
    throwsCode(() => memory.grow(bad as number), pagesError, /^pages must be/);
    assert.equal(memory.buffer, buffer, "nothing changed");
    assert.equal(memory.u8[0], 7);
  });
}

test("what the engine refuses is an error of the same class, with the numbers", () => {
  throwsCode(() => new LinearMemory({ initial: 3, maximum: 2 }), maximumError, /initial 3 .* maximum 2/);
  throwsCode(() => new LinearMemory({ initial: 65_537 }), limitError, /65537 .* 65536/);
  throwsCode(() => new LinearMemory({ initial: 1, maximum: 65_537 }), limitError);
  throwsCode(() => new LinearMemory({ initial: 2 ** 40 }), limitError);
  const options = [LinmemTypeError, "ERR_LINMEM_OPTIONS"] satisfies Expected;
  throwsCode(() => new LinearMemory({ initial: 1, shared: true }), options, /shared memory needs a maximum/);
  for (const bad of [undefined, null, 5, "x"]) {
    throwsCode(() => new LinearMemory(bad as unknown as { initial: number }), options);
  }
  throwsCode(() => new LinearMemory({ initial: 1, shared: "yes" as unknown as boolean }), options);
  throwsCode(() => new LinearMemory({ initial: 1, address: "i128" as "i32" }), options);
  assert.throws(() => new WebAssembly.Memory({ initial: 3, maximum: 2 }), RangeError);
  assert.throws(() => new WebAssembly.Memory({ initial: 65_537 }), RangeError);
});

test("an error carries its numbers", () => {
  try {
    new LinearMemory({ initial: 1, maximum: 3 }).grow(9);
    assert.fail();
  } catch (error) {
    assert.ok(error instanceof LinmemRangeError);
    assert.deepEqual(error.numbers, { previous: 1, pages: 9, maximum: 3 });
    assert.equal(error.name, "LinmemRangeError");
  }
});

test("grow returns the pages before, and refuses to pass the maximum without changing anything", () => {
  const memory = new LinearMemory({ initial: 1, maximum: 3 });
  assert.equal(memory.grow(1), 1);
  assert.equal(memory.grow(0), 2);
  memory.u8[100] = 1;
  const { buffer, u8 } = memory;
  for (const pages of [2, 65_536, 2 ** 32, 2 ** 50]) {
    throwsCode(() => memory.grow(pages), maximumError, /2 pages can't grow by \d+: the maximum is 3/);
  }
  assert.equal(memory.buffer, buffer);
  assert.equal(memory.u8, u8);
  assert.equal(memory.grow(1), 2);
  assert.equal(memory.pages, 3);
  assert.equal(memory.u8[100], 1);
});

test("grow(0) leaves every view as it is, where the engine's detaches them", () => {
  const memory = new LinearMemory({ initial: 1 });
  const view = new Uint8Array(memory.buffer);
  memory.grow(0);
  assert.equal(view.length, 65_536);
});

test("without a maximum, 65,536 pages bound a memory", () => {
  const memory = new LinearMemory({ initial: 1 });
  throwsCode(() => memory.grow(65_536), maximumError, /the maximum is 65536/);
  assert.equal(memory.pages, 1);
});

test("wrap gives one object for one memory, whoever made it", async () => {
  const wasm = new WebAssembly.Memory({ initial: 1, maximum: 4 });
  const memory = LinearMemory.wrap(wasm);
  assert.equal(LinearMemory.wrap(wasm), memory);
  assert.equal(memory.wasm, wasm);
  const own = new LinearMemory({ initial: 1 });
  assert.equal(LinearMemory.wrap(own.wasm), own);
  const module = await wat(`(module (memory (export "memory") 1) (func (export "f")))`);
  const instance = new WebAssembly.Instance(module);
  const exported = LinearMemory.wrap(instance);
  assert.equal(LinearMemory.wrap(instance, "memory"), exported);
  assert.equal(LinearMemory.wrap(instance.exports.memory as WebAssembly.Memory), exported);
  assert.ok(exported instanceof LinearMemory);
});

test("wrap finds the maximum of a memory that somebody else made", async () => {
  for (const maximum of [1, 2, 3, 777, 32_767, 65_535, 65_536]) {
    assert.equal(LinearMemory.wrap(new WebAssembly.Memory({ initial: 1, maximum })).maximum, maximum);
  }
  assert.equal(LinearMemory.wrap(new WebAssembly.Memory({ initial: 1 })).maximum, undefined);
  assert.equal(LinearMemory.wrap(new WebAssembly.Memory({ initial: 0, maximum: 0 })).maximum, 0);
  assert.equal(
    LinearMemory.wrap(new WebAssembly.Memory({ initial: 2, maximum: 9, shared: true })).maximum,
    9,
  );
  const instance = new WebAssembly.Instance(await wat(`(module (memory (export "memory") 3 20))`));
  const memory = LinearMemory.wrap(instance);
  throwsCode(() => memory.grow(18), maximumError, /3 pages can't grow by 18: the maximum is 20/);
  assert.equal(memory.pages, 3);
  assert.equal(memory.grow(17), 3);
});

test("wrap refuses what is no memory, and asks which one where there are several", async () => {
  const notAMemory = [LinmemTypeError, "ERR_LINMEM_NOT_A_MEMORY"] satisfies Expected;
  for (const bad of [
    undefined,
    null,
    5,
    "memory",
    {},
    { exports: null },
    new ArrayBuffer(8),
    { buffer: 1 },
  ]) {
    throwsCode(() => LinearMemory.wrap(bad as unknown as WebAssembly.Memory), notAMemory);
  }
  const bare = new WebAssembly.Instance(await wat(`(module (func (export "f")))`));
  throwsCode(() => LinearMemory.wrap(bare), notAMemory, /exports no memory$/);
  throwsCode(() => LinearMemory.wrap(bare, "f"), notAMemory, /no memory "f"/);
  const a = new WebAssembly.Memory({ initial: 1 });
  const b = new WebAssembly.Memory({ initial: 2 });
  const several = { exports: { a, b, f: () => 0 } };
  throwsCode(() => LinearMemory.wrap(several), notAMemory, /several memories, name one: "a", "b"/);
  assert.equal(LinearMemory.wrap(several, "b").pages, 2);
});

test("wrap looks at the memory itself, not at properties that somebody gave it", () => {
  const wasm = new WebAssembly.Memory({ initial: 1 });
  Object.defineProperty(wasm, "buffer", { get: () => new ArrayBuffer(8) });
  assert.equal(LinearMemory.wrap(wasm).byteLength, 65_536);
});

test("reserve falls back where the engine refuses, and says what it got", () => {
  const plain = LinearMemory.reserve({ initial: 1, maximum: 100 });
  assert.deepEqual([plain.asked, plain.maximum, plain.pages], [100, 100, 1]);
  assert.equal(new LinearMemory({ initial: 1, maximum: 2 }).asked, undefined);
  assert.equal(
    LinearMemory.reserve({ initial: 1, maximum: 70_000 }).maximum,
    65_536,
    "no more than addresses reach",
  );
  throwsCode(() => LinearMemory.reserve({ initial: 5, maximum: 4 }), maximumError);

  // An engine that grants 1,000 pages: mobile browsers refuse large maxima like this.
  const Real = WebAssembly.Memory;
  const asked: number[] = [];
  class Stingy extends Real {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      asked.push(descriptor.maximum ?? 0);
      if ((descriptor.maximum ?? 65_536) > 1000) throw new RangeError("could not allocate memory");
      super(descriptor);
    }
  }
  WebAssembly.Memory = Stingy;
  try {
    const memory = LinearMemory.reserve({ initial: 10, maximum: 65_536 });
    assert.deepEqual(asked, [65_536, 32_768, 16_384, 8192, 4096, 2048, 1024, 512]);
    assert.deepEqual([memory.asked, memory.maximum, memory.pages], [65_536, 512, 10]);
    assert.equal(LinearMemory.reserve({ initial: 900, maximum: 2000 }).maximum, 1000);
    const refused = [LinmemRangeError, "ERR_LINMEM_REFUSED"] satisfies Expected;
    throwsCode(
      () => LinearMemory.reserve({ initial: 2000, maximum: 9000 }),
      refused,
      /2000 of at most 2000 pages/,
    );
    throwsCode(() => new LinearMemory({ initial: 1, maximum: 2000 }), refused, /could not allocate memory/);
  } finally {
    WebAssembly.Memory = Real;
  }
});

test("64-bit addresses, or a clear error where the engine has none", () => {
  if (!hasAddresses64) {
    const unsupported = [LinmemTypeError, "ERR_LINMEM_UNSUPPORTED"] satisfies Expected;
    throwsCode(() => new LinearMemory({ initial: 1, maximum: 2, address: "i64" }), unsupported);
    return;
  }
  const memory = new LinearMemory({ initial: 1, maximum: 4, address: "i64" });
  assert.deepEqual([memory.address, memory.pages, memory.maximum], ["i64", 1, 4]);
  assert.equal(memory.grow(2), 1);
  assert.equal(memory.pages, 3);
  throwsCode(() => memory.grow(2), maximumError);
  memory.writeU32(65_536n, 5);
  assert.equal(memory.readU32(65_536), 5);
  const wrapped = LinearMemory.wrap(
    new WebAssembly.Memory({
      address: "i64",
      initial: 1n,
      maximum: 70n,
    } as unknown as WebAssembly.MemoryDescriptor),
  );
  assert.deepEqual([wrapped.address, wrapped.maximum], ["i64", 70]);
  assert.equal(wrapped.grow(1), 1);
  const shared = new LinearMemory({ initial: 1, maximum: 4, shared: true, address: "i64" });
  assert.equal(shared.grow(1), 1);
  assert.equal(shared.u8.length, 2 * 65_536);
});

test("right up to the last byte of 4 GiB", () => {
  const memory = new LinearMemory({ initial: 65_535, maximum: 65_536 });
  assert.equal(memory.grow(1), 65_535);
  assert.equal(memory.byteLength, 2 ** 32);
  throwsCode(() => memory.grow(1), maximumError, /65536 pages can't grow by 1: the maximum is 65536/);
  const last = 2 ** 32 - 1;
  memory.u8[last] = 0xab;
  assert.equal(memory.readU8(last), 0xab);
  assert.equal(memory.readU8(BigInt(last)), 0xab);
  memory.writeF64(2 ** 32 - 8, Math.PI);
  assert.equal(memory.f64[2 ** 29 - 1], Math.PI);
  memory.writeU64(2 ** 32 - 8, 0x0123456789abcdefn);
  assert.equal(memory.u32[2 ** 30 - 1], 0x01234567);
  assert.equal(memory.readI16(2 ** 32 - 3), 0x2345);
  const bounds = [LinmemRangeError, "ERR_LINMEM_BOUNDS"] satisfies Expected;
  throwsCode(() => memory.readU16(last), bounds, /2 bytes at 0xffffffff of a memory of 0x100000000 bytes/);
  throwsCode(() => memory.readU8(2 ** 32), bounds, /1 byte at 0x100000000/);
  throwsCode(() => memory.writeU32(2 ** 32 - 3, 0), bounds);
  assert.equal(memory.writeCString(2 ** 32 - 4, "end"), 4);
  assert.equal(memory.readCString(2 ** 32 - 4), "end");
  assert.equal(memory.readUtf8(2 ** 32 - 4, 3), "end");
  assert.deepEqual([...memory.viewBytes(2 ** 32 - 2, 2)], [100, 0]);
  assert.deepEqual([...memory.copyBytes(2 ** 32 - 2, 2)], [100, 0]);
  assert.equal(memory.viewBytes(2 ** 32, 0).length, 0);
  assert.match(memory.dump(2 ** 32 - 4, 4), /^0?fffffffc {2}65 6e 64 00 .*\|end\.\|$/);
  memory.writeBytes(2 ** 31 - 1, Uint8Array.of(1, 2, 3));
  assert.equal(memory.readU8(2 ** 31 + 1), 3);
});
