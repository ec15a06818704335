// The assertion itself, on a C program whose allocator the tests call.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { sharedSession } from "../../src/attach/node/shared-session.js";
import { Heap, LinearMemory } from "../../src/index.js";
import { expectNoLeaks, LeakError, UsageError } from "../../src/testing/index.js";
import { assemble } from "../memory/support/assemble.js";
import { cHeap } from "./c-heap.js";

const heap = cHeap();
const here = fileURLToPath(import.meta.url);
/** Line of this file, from 1, that contains a text. */
const lineOf = (text: string) =>
  readFileSync(here, "utf8")
    .split("\n")
    .findIndex((line) => line.includes(text) && !line.includes("lineOf")) + 1;

function leak(bytes = 24): number {
  return heap.malloc(bytes); // leaks
}

const warnings: string[] = [];
const { warn } = console;
console.warn = (text: string) => void warnings.push(text);
after(() => {
  console.warn = warn;
});

async function failure(fn: () => unknown, options?: Parameters<typeof expectNoLeaks>[1]): Promise<string> {
  const error = await expectNoLeaks(fn, options).then(
    () => assert.fail("it passed"),
    (error: unknown) => error,
  );
  assert.ok(error instanceof LeakError, String(error));
  assert.equal(error.code, "ERR_LINMEM_LEAK");
  return error.message;
}

describe("expectNoLeaks passes", () => {
  test("what frees all that it makes", async () => {
    let runs = 0;
    await expectNoLeaks(() => {
      runs++;
      heap.free(heap.malloc(100));
    });
    assert.ok(runs > 3, `${runs} runs`);
  });

  test("what allocates nothing, and says so once", async () => {
    warnings.length = 0;
    await expectNoLeaks(() => {});
    await expectNoLeaks(() => {});
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0]!,
      /^expectNoLeaks: the function allocated nothing that linmem sees; if it should, load linmem first: /,
    );
  });

  test("a cache that is filled once", async () => {
    const cache = new Map<number, number>();
    let i = 0;
    await expectNoLeaks(() => {
      const key = i++ % 3;
      if (!cache.has(key)) cache.set(key, heap.malloc(64));
    });
  });

  test("a cache that goes on filling while runs are compared, but ends", async () => {
    let left = 14;
    await expectNoLeaks(() => {
      if (left-- > 0) heap.malloc(64);
    });
  });

  test("a list that doubles its room", async () => {
    let [room, length, address] = [4, 0, heap.malloc(16)];
    await expectNoLeaks(() => {
      if (++length > room) address = heap.realloc(address, 4 * (room *= 2));
    });
    heap.free(address);
  });

  test("a queue of fixed length", async () => {
    const queue = Array.from({ length: 50 }, () => heap.malloc(32));
    await expectNoLeaks(() => {
      queue.push(heap.malloc(32));
      heap.free(queue.shift()!);
    });
  });

  test("wrappers whose blocks the garbage collector frees", async () => {
    const registry = new FinalizationRegistry((address: number) => heap.free(address));
    await expectNoLeaks(() => {
      const address = heap.malloc(48);
      registry.register({ address }, address);
    });
  });

  test("instances, with all that is live in them, that nothing holds", async () => {
    await expectNoLeaks(() => {
      const { malloc } = cHeap();
      malloc(1000);
    });
  });
});

describe("expectNoLeaks fails, and names the line", () => {
  test("a block that is never freed", async () => {
    const message = await failure(() => leak());
    assert.match(message, /^expectNoLeaks: 24 B in 1 block more live after each run \(16 runs compared\)$/m);
    assert.match(message, /^24 B in 1 block per run, made by$/m);
    const [, first] = message.split("made by\n");
    assert.match(
      first!,
      new RegExp(`^ +leak +test/testing/leaks\\.test\\.ts:${lineOf("// leaks")}:15$`, "m"),
    );
  });

  test("after an await", async () => {
    const message = await failure(async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      leak();
      heap.free(heap.malloc(4000));
    });
    assert.match(
      message,
      new RegExp(`^ +leak +test/testing/leaks\\.test\\.ts:${lineOf("// leaks")}:15$`, "m"),
    );
  });

  test("in C++, whose names it makes readable; the demangler's own memory is not among what is measured", async () => {
    const bytes = readFileSync(new URL("../fixtures/symbols/cpp-4-O0.wasm", import.meta.url));
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), {});
    const total = exports.total as (shapes: number) => number;
    const memories = () => [...sharedSession(globalThis)!.memories()].length;
    const before = memories();
    const message = await failure(() => total(3));
    assert.match(message, /^ +geometry::Vector<geometry::Point>::grow\(unsigned long\) +cpp-4-O0\.wasm:0x/m);
    assert.doesNotMatch(message, /_ZN/);
    assert.equal(memories(), before);
  });

  test("the stack of the error begins with that line", async () => {
    const error = await expectNoLeaks(() => leak()).catch((error: Error) => error);
    const [first] = String(error!.stack).split("\n    at ").slice(1);
    assert.equal(first, `leak (${here}:${lineOf("// leaks")}:15)`);
  });

  test("a block that grows with every run", async () => {
    let [bytes, address] = [64, heap.malloc(64)];
    const message = await failure(() => {
      address = heap.realloc(address, (bytes += 8));
    });
    assert.match(message, /: 8 B in 0 blocks more live/);
    heap.free(address);
  });

  test("a wrapper that is held, while others are collected", async () => {
    const registry = new FinalizationRegistry((address: number) => heap.free(address));
    const held: object[] = [];
    const message = await failure(() => {
      for (let i = 0; i < 5; i++) {
        const address = heap.malloc(48);
        const wrapper = { address };
        registry.register(wrapper, address);
        if (i === 3) held.push(wrapper);
      }
    });
    assert.match(message, /^expectNoLeaks: 48 B in 1 block /);
  });

  test("whole instances that are held", async () => {
    const held: object[] = [];
    const message = await failure(() => {
      held.push(cHeap()); // holds
    });
    assert.match(
      message,
      /^a new memory.* per run, \d+ KiB, made by\n +cHeap .*\n.*\n?.*leaks\.test\.ts:\d+/m,
    );
    assert.ok(message.includes(`leaks.test.ts:${lineOf("// holds")}:`), message);
  });

  test("two places, the larger one first", async () => {
    const message = await failure(() => {
      heap.malloc(10); // small
      heap.malloc(2000); // large
    });
    const [large, small] = [`:${lineOf("// large")}:`, `:${lineOf("// small")}:`].map((at) =>
      message.indexOf(at),
    );
    assert.ok(large! > 0 && small! > large!, message);
    assert.match(message, /^expectNoLeaks: 2 KiB in 2 blocks/);
  });

  test("a function given later is measured alone, and in turn", async () => {
    const [clean, leaking] = await Promise.allSettled([
      expectNoLeaks(() => heap.free(heap.malloc(8))),
      expectNoLeaks(() => leak()),
    ]);
    assert.deepEqual([clean.status, leaking.status], ["fulfilled", "rejected"]);
  });
});

describe("options", () => {
  test("warmup and runs", async () => {
    let calls = 0;
    await failure(() => leak(++calls), { warmup: 2, runs: 3 });
    assert.equal(calls, 2 + 3 + 3);
  });

  test("allow: so many bytes per run", async () => {
    await expectNoLeaks(() => leak(24), { allow: "24 B" });
    await expectNoLeaks(() => leak(24), { allow: 24 });
    await failure(() => leak(25), { allow: "24 B" });
    await expectNoLeaks(() => leak(1500), { allow: ["1 KiB", "0.5 KiB"] });
  });

  test("allow: functions and files by name", async () => {
    const known = () => leak(100);
    await expectNoLeaks(() => known(), { allow: /^known$/ });
    await expectNoLeaks(() => known(), { allow: [/leaks\.test\.ts$/] });
    const message = await failure(
      () => {
        known();
        leak(10);
      },
      { allow: /known/g },
    );
    assert.match(message, /^expectNoLeaks: 10 B in 1 block/);
  });

  const wrong: [string, () => Promise<void>][] = [
    [
      "expectNoLeaks: give it a function to run, not 3: expectNoLeaks(() => …)",
      () => expectNoLeaks(3 as never),
    ],
    ["expectNoLeaks: runs has to be a whole number from 1 on, not 0", () => expectNoLeaks(leak, { runs: 0 })],
    [
      "expectNoLeaks: warmup has to be a whole number from 0 on, not 1.5",
      () => expectNoLeaks(leak, { warmup: 1.5 }),
    ],
    [
      'expectNoLeaks: allow: "4 megs" is no size: give bytes as a number, or text like "4 MiB"',
      () => expectNoLeaks(leak, { allow: "4 megs" as never }),
    ],
    [
      "expectNoLeaks: there is no option warmUp: there are warmup, runs, allow",
      () => expectNoLeaks(leak, { warmUp: 1 } as never),
    ],
  ];
  for (const [message, call] of wrong) {
    test(`refused: ${message}`, async () => {
      await assert.rejects(call(), (error: Error) => {
        assert.ok(error instanceof UsageError);
        assert.equal(error.message, message);
        return true;
      });
    });
  }

  test("what the function throws comes through, and the next measurement works", async () => {
    await assert.rejects(
      expectNoLeaks(() => {
        throw new RangeError("mine");
      }),
      new RangeError("mine"),
    );
    await failure(() => leak());
  });
});

describe("modules of which only whole pages are known", () => {
  let grow: () => void;
  before(async () => {
    const wat =
      '(module (memory (export "memory") 1) (func (export "grow") (drop (memory.grow (i32.const 1)))))';
    const instance = new WebAssembly.Instance(new WebAssembly.Module(await assemble(wat)));
    grow = instance.exports.grow as () => void;
  });

  test("growth in every run fails, with who asked for it", async () => {
    const message = await failure(() => grow()); // grows
    assert.match(message, /^expectNoLeaks: 64 KiB more live after each run/);
    assert.match(message, /^memory of leaks\.test\.ts grew by 64 KiB per run, asked for by\n/m);
    assert.ok(message.includes(`leaks.test.ts:${lineOf("// grows")}:`), message);
  });

  test("without growth it passes, and says what it could not see", async () => {
    warnings.length = 0;
    await expectNoLeaks(() => {});
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0]!,
      /^expectNoLeaks: of leaks\.test\.ts \(no allocator was found\) only whole pages are known, and no leak below 64 KiB is seen$/,
    );
  });
});

describe("expectNoLeaks of linmem's own heaps", () => {
  const own = Heap.create(new LinearMemory({ initial: 1, maximum: 100 }));

  test("passes what releases all, and names the line of what doesn't", async () => {
    await expectNoLeaks(() => own.string("text").release());
    const message = await failure(() => void own.allocate(100)); // forgotten here
    assert.match(message, /100 B in 1 block more live after each run/);
    assert.ok(message.includes(`leaks.test.ts:${lineOf("// forgotten here")}:`), message);
  });
});
