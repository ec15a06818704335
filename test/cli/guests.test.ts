// A stripped module of Go under `linmem run`: what it allocated is what its own runtime counted, and stacks and lines are
// those that its own traceback gives. Runs dist/, so build first.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { brotliDecompressSync } from "node:zlib";
import { analyze } from "../../src/analyze/analyze.js";
import type { ContextReport, Report } from "../../src/analyze/report.js";
import { readProfileFile } from "../../src/profile/file.js";
import { textReport } from "../../src/report/text.js";
import { Sandbox } from "../attach/run-program.js";

const host = `import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";
const wasi = new WASI({ version: "preview1" });
const { instance } = await WebAssembly.instantiate(readFileSync("guest.wasm"), wasi.getImportObject());
wasi.start(instance);`;

const fixture = new URL("../fixtures/guests/", import.meta.url);
const sources = readFileSync(new URL("guest.go", fixture), "utf8").split("\n");
/** Number of the first line that contains a text. */
const lineOf = (text: string) => sources.findIndex((line) => line.includes(text)) + 1;

describe("a stripped module of Go", () => {
  const sandbox = new Sandbox();
  after(() => sandbox.remove());
  /** What the program says that Go's runtime knows. */
  let said: { allocations: number; collections: number; frames: string[] };
  let report: Report;

  before(async () => {
    const bytes = brotliDecompressSync(readFileSync(new URL("guest.wasm.br", fixture)));
    writeFileSync(join(sandbox.folder, "guest.wasm"), bytes);
    writeFileSync(join(sandbox.folder, "guest.mjs"), host);
    const { native, profiled } = await sandbox.both(["--no-warnings", "guest.mjs"]);
    assert.equal(profiled.code, 0, profiled.stderr);
    const words = (text: string, key: string) =>
      text.split("\n").flatMap((line) => (line.startsWith(`${key} `) ? [line.slice(key.length + 1)] : []));
    // when a collection runs, and what it allocates itself, depends on time
    for (const key of ["sum", "frame"])
      assert.deepEqual(words(profiled.stderr, key), words(native.stderr, key));
    said = {
      allocations: Number(words(profiled.stderr, "allocations")[0]),
      collections: Number(words(profiled.stderr, "collections")[0]),
      frames: words(profiled.stderr, "frame"),
    };
    report = analyze(await readProfileFile(join(sandbox.folder, sandbox.profiles()[0])));
  });

  const contextsOf = (name: string): ContextReport[] =>
    report.modules[0].contexts.filter(({ stack }) => stack.some((frame) => frame.function === name));
  const blocksOf = (name: string) => contextsOf(name).reduce((sum, { allocations }) => sum + allocations, 0);

  test("allocates what its runtime counted", () => {
    const { heap } = report.modules[0];
    assert.ok(heap);
    // before and after the program's own two looks there is more: its start, and what the looks themselves take
    const beyond = heap.allocations - said.allocations;
    assert.ok(beyond >= 0 && beyond < 500, `${heap.allocations} counted, ${said.allocations} in between`);
    assert.equal(blocksOf("main.makeNodes"), 3000);
    assert.equal(blocksOf("main.deep"), 1);
    const made = contextsOf("main.worker").reduce((sum, { allocations }) => sum + allocations, 0);
    const resumed = report.modules[0].contexts
      .filter(({ stack }) => stack[1]?.function === "wasm_pc_f_loop")
      .reduce((sum, { allocations }) => sum + allocations, 0);
    // an allocation during which another goroutine ran goes on without those that called it
    assert.ok(made <= 12_000 && made + resumed >= 12_000, `${made} on stacks of workers, ${resumed} resumed`);
    assert.ok(heap.collections >= said.collections, `${heap.collections} of ${said.collections} collections`);
  });

  test("is never said to hold or to leak anything", () => {
    const [module] = report.modules;
    assert.deepEqual(
      [
        module.heap?.liveBytes,
        module.heap?.liveBlocks,
        module.callers.filter(({ liveBlocks }) => liveBlocks),
      ],
      [0, 0, []],
    );
    for (const { kind, title } of report.findings)
      assert.ok(["growth", "flat", "reservation"].includes(kind), `${kind}: ${title}`);
    const text = textReport(report);
    assert.doesNotMatch(text, /leaks|leaked|Nothing is live|high-water|heap is flat/);
    assert.match(text, /allocated in [\d,]+ blocks of a collected heap/);
    assert.match(text, /live +only the module's own garbage collector knows/);
    assert.match(text, /Allocated in the whole run, by stack/);
  });

  test("has the functions and lines that Go's own traceback has, inlined ones too", () => {
    const [context] = contextsOf("main.whoCalls");
    const frames = context.stack.map(
      ({ function: name, source }) => `${name} ${source?.file} ${source?.line}`,
    );
    const from = frames.findIndex((frame) => frame.startsWith("main."));
    // those further out stand on Go's own stack alone: the goroutine was resumed in main
    assert.deepEqual(frames.slice(from, from + 3), said.frames.slice(0, 3));
    assert.ok(context.stack[from].inlined, "main.calledFrom was inlined");
  });

  test("has the lines that are in its source", () => {
    const [context] = contextsOf("main.makeNodes");
    const lines = context.stack
      .filter(({ function: name }) => name.startsWith("main."))
      .map(({ function: name, source }) => `${name} ${basename(source?.file ?? "")}:${source?.line}`);
    assert.deepEqual(lines, [
      `main.newNode guest.go:${lineOf("return &node{")}`,
      `main.makeNodes guest.go:${lineOf("head = newNode(head)")}`,
      `main.main guest.go:${lineOf("keep = makeNodes(rounds)")}`,
    ]);
  });
});
