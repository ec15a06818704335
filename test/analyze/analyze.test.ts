import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { analyze } from "../../src/analyze/analyze.js";
import type { Report } from "../../src/analyze/report.js";
import { readProfile } from "../../src/profile/reader.js";

const load = (name: string): Report =>
  analyze(readProfile(readFileSync(new URL(`../fixtures/profiles/${name}.linmem`, import.meta.url), "utf8")));
const KiB = 1024;
const page = 64 * KiB;

describe("one module that leaks images", () => {
  const report = load("photon");
  const module = report.modules[0]!;

  test("has the heap of its last snapshot", () => {
    assert.equal(module.heap?.allocations, 540);
    assert.equal(module.heap?.liveBytes, 9760 * KiB);
    assert.equal(module.heap?.liveBlocks, 250);
    assert.equal(module.heap?.peakLiveBytes, 9900 * KiB);
  });

  test("its contexts add up to its heap", () => {
    for (const key of [
      "allocations",
      "frees",
      "allocatedBytes",
      "liveBytes",
      "liveBlocks",
      "peakLiveBytes",
    ] as const) {
      const sum = module.contexts.reduce((total, context) => total + context[key], 0);
      assert.equal(sum, module.heap![key], key);
    }
  });

  test("a context's stack is its wasm frames and then its caller's, innermost first", () => {
    assert.deepEqual(
      module.contexts[0]!.stack.map((frame) => `${frame.kind} ${frame.function}`),
      [
        "wasm __wbindgen_malloc",
        "wasm photonimage_new",
        "js PhotonImage",
        "js open",
        "js main",
        "js ",
        "js runEntryPoint",
      ],
    );
  });

  test("what is live without a known caller is sampled, and has its wasm frames alone", () => {
    const sampled = module.contexts.filter((context) => context.sampled);
    assert.equal(sampled.length, 1);
    assert.equal(sampled[0]!.liveBytes, 160 * KiB);
    assert.ok(sampled[0]!.stack.every((frame) => frame.kind === "wasm"));
    // Also without a caller, but all of it was freed.
    assert.ok(module.contexts.some((context) => !context.sampled && context.frees === 60));
  });

  test("names the program's own line as the caller, not the glue's, most live bytes first", () => {
    assert.deepEqual(
      module.callers.map(({ frame, liveBytes, liveBlocks }) => [
        frame?.function,
        frame?.line,
        liveBytes,
        liveBlocks,
      ]),
      [
        ["open", 12, 7680 * KiB, 120],
        ["makeThumb", 19, 1920 * KiB, 120],
        [undefined, undefined, 160 * KiB, 10],
        ["probe", 25, 0, 0],
      ],
    );
  });

  test("bounds what a caller may hold by what its contexts hold for unknown callers", () => {
    const [open, makeThumb] = module.callers;
    assert.equal(open!.atMostLiveBytes, open!.liveBytes);
    assert.equal(makeThumb!.atMostLiveBytes, makeThumb!.liveBytes + 160 * KiB);
  });

  test("tells who asked for growth, granted or not", () => {
    assert.deepEqual(
      module.memory.grows.map(({ fromBytes, toBytes, granted, stack }) => [
        fromBytes / page,
        toBytes / page,
        granted,
        stack[1]?.function,
      ]),
      [
        [18, 82, true, "makeThumb"],
        [82, 594, true, "open"],
        [594, 602, true, undefined],
        [602, 65602, false, "makeThumb"],
      ],
    );
    assert.equal(module.memory.initialBytes, 18 * page);
    assert.equal(module.memory.peakBytes, 602 * page);
    assert.equal(module.memory.finalBytes, 602 * page);
    assert.equal(report.run.peakMemoryBytes, 602 * page);
  });
});

describe("several memories of one module", () => {
  const report = load("many-memories");
  const engine = report.modules[0]!;

  test("a module that a worker thread compiled again is the same module", () => {
    assert.equal(report.modules.length, 2);
    assert.deepEqual(engine.instances, { created: 4, collected: 1 });
    assert.equal(report.memories.filter(({ module }) => module === engine.id).length, 4);
  });

  test("figures are sums; what went with a collected memory is not live", () => {
    assert.equal(engine.heap?.allocations, 10 + 20 + 30 + 1);
    assert.equal(engine.heap?.liveBytes, 1600 + 2400 + 64);
    assert.equal(engine.heap?.collectedBytes, 800);
    assert.equal(engine.heap?.collectedBlocks, 8);
    assert.equal(engine.memory.finalBytes, (18 + 19 + 16) * page);
    assert.equal(engine.memory.peakBytes, (17 + 18 + 19 + 16) * page);
  });

  test("contexts with the same frames are one, whatever their ids", () => {
    assert.equal(engine.contexts.length, 2);
    assert.equal(engine.contexts[0]!.allocations, 60);
    assert.equal(engine.contexts[0]!.liveBlocks, 40);
  });

  test("a module without recorded blocks has a reason and no heap", () => {
    const lexer = report.modules[1]!;
    assert.equal(lexer.heap, undefined);
    assert.match(lexer.reason!, /no allocator/);
    assert.equal(lexer.memory.finalBytes, page);
  });

  test("the run's peak counts what lived at the same time", () => {
    // Memory 1 was collected before the fourth and the worker's came.
    const together = [17 + 18 + 19, 18 + 19 + 1 + 16].map((pages) => pages * page);
    assert.equal(report.run.peakMemoryBytes, Math.max(...together));
  });

  test("a signal is the exit", () => {
    assert.equal(report.run.exit, "SIGTERM");
  });
});

test("a killed run says that it is not complete", () => {
  const { run, modules } = load("truncated");
  assert.deepEqual([run.complete, run.exit, run.captureTime, run.duration], [false, null, null, 911]);
  assert.equal(modules[0]!.heap?.liveBytes, 640 * KiB);
});

test("damaged lines become a warning", () => {
  const text = readFileSync(new URL("../fixtures/profiles/photon.linmem", import.meta.url), "utf8");
  const { warnings } = analyze(readProfile(text.replace("\n", "\nxx\n")));
  assert.deepEqual(
    warnings.map(({ code }) => code),
    ["damaged-lines"],
  );
});

test("a name is demangled once, and only if it appears", () => {
  const asked: string[] = [];
  const text = readFileSync(new URL("../fixtures/profiles/photon.linmem", import.meta.url), "utf8");
  analyze(readProfile(text), {
    demangle(name) {
      asked.push(name);
      return name;
    },
  });
  assert.equal(new Set(asked).size, asked.length);
  assert.ok(asked.includes("photonimage_new"));
  assert.ok(!asked.includes("makeThumb"), "names of JavaScript are as they are");
});
