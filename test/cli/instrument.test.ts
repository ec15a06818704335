// `linmem instrument` as its users run it, on a real package. Runs dist/, so build first.
import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { ModuleReport, Report } from "../../src/analyze/report.js";
import { ended, linmem, Sandbox } from "../attach/run-program.js";

const resvgFile = createRequire(import.meta.url).resolve("@resvg/resvg-wasm/index_bg.wasm");
const resvg = readFileSync(resvgFile);
const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

const sandbox = new Sandbox();
const inSandbox = (name: string) => join(sandbox.folder, name);
before(() => {
  writeFileSync(inSandbox("resvg.wasm"), resvg);
  writeFileSync(inSandbox("empty.wasm"), Uint8Array.from(header));
  writeFileSync(inSandbox("damaged.wasm"), resvg.subarray(0, 5000));
  writeFileSync(inSandbox("text.wasm"), "not a module");
});
after(() => sandbox.remove());

/** Runs `linmem instrument`; standard output as bytes. */
async function instrument(...args: string[]) {
  const child = sandbox.start(process.execPath, [linmem, "instrument", ...args]);
  const chunks: Buffer[] = [];
  child.stdout!.on("data", (chunk: Buffer | string) => chunks.push(Buffer.from(chunk as string, "latin1")));
  const end = ended(child);
  child.stdout!.setEncoding("latin1");
  return { ...(await end), bytes: Buffer.concat(chunks) };
}

describe("linmem instrument", () => {
  test("writes a module with hooks, and says what it hooked and what the output needs", async () => {
    const { code, stdout, stderr } = await instrument("resvg.wasm", "-o", "hooked.wasm");
    assert.deepEqual([code, stdout], [0, ""], stderr);
    assert.match(stderr, /^linmem: 4 hooked functions, .* written to hooked\.wasm\n/);
    assert.match(stderr, /^ {2}free +398 +wasm-function\[398\] +.*callee of export "__wbindgen_free"$/m);
    assert.match(stderr, /module "linmem"/);
    assert.match(stderr, /`linmem run` provides them/);
    const module = new WebAssembly.Module(readFileSync(inSandbox("hooked.wasm")));
    const added = WebAssembly.Module.imports(module).filter((item) => item.module === "linmem");
    assert.deepEqual(added.map(({ name }) => name).slice(0, 3), ["alloc", "free", "realloc"]);
    const boundary = (items: WebAssembly.ModuleExportDescriptor[]) => items.map(({ name }) => name);
    assert.deepEqual(
      boundary(WebAssembly.Module.exports(module)),
      boundary(WebAssembly.Module.exports(new WebAssembly.Module(resvg))),
    );
  });

  test("writes the same to a pipe, with and without `-o -`", async () => {
    await instrument("resvg.wasm", "-o", "file.wasm");
    const expected = readFileSync(inSandbox("file.wasm"));
    for (const args of [[], ["-o", "-"]]) {
      const { code, bytes, stderr } = await instrument("resvg.wasm", ...args);
      assert.equal(code, 0, stderr);
      assert.ok(bytes.equals(expected), `${bytes.length} bytes instead of ${expected.length}`);
    }
  });

  test("hooks what --allocator names", async () => {
    const args = ["--allocator", "alloc_aligned=__wbindgen_malloc", "--allocator", "free=398"];
    const { code, stderr } = await instrument("resvg.wasm", "-o", "told.wasm", ...args);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^linmem: 2 hooked functions/);
    assert.match(stderr, /^ {2}free +398 .*--allocator/m);
  });

  test("writes a module with nothing to record as it is", async () => {
    const { code, bytes, stderr } = await instrument("empty.wasm");
    assert.equal(code, 0);
    assert.deepEqual([...bytes], header);
    assert.match(stderr, /^linmem: nothing to add to empty\.wasm/);
  });

  test("overwrites only with --force", async () => {
    writeFileSync(inSandbox("precious.wasm"), "precious");
    const refused = await instrument("resvg.wasm", "-o", "precious.wasm");
    assert.equal(refused.code, 2);
    assert.equal(
      refused.stderr,
      "linmem: cannot write precious.wasm: it exists already; --force overwrites it\n",
    );
    assert.equal(readFileSync(inSandbox("precious.wasm"), "utf8"), "precious");
    const forced = await instrument("resvg.wasm", "-o", "precious.wasm", "--force");
    assert.equal(forced.code, 0, forced.stderr);
    assert.ok(WebAssembly.validate(readFileSync(inSandbox("precious.wasm"))));
  });

  test("writes no binary to a terminal", async () => {
    sandbox.write("terminal.mjs", "process.stdout.isTTY = true;");
    for (const args of [[], ["-o", "-"]]) {
      const run = ["--import", "./terminal.mjs", linmem, "instrument", "resvg.wasm", ...args];
      const { code, stdout, stderr } = await sandbox.node(run);
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, /^linmem: no binary is written to a terminal: [^\n]+\n$/);
    }
  });

  for (const [what, args, message] of [
    ["a missing module", ["no.wasm"], "cannot read no.wasm: there is no such file"],
    ["a folder", ["."], "cannot read .: it is a directory"],
    ["a file of another kind", ["text.wasm"], /cannot decode text\.wasm: .*\(at offset 0x0\)/],
    ["a damaged module", ["damaged.wasm"], /cannot decode damaged\.wasm: .*\(at offset 0x[0-9a-f]+\)/],
    [
      "an output in no folder",
      ["resvg.wasm", "-o", "no/x.wasm"],
      "cannot write no/x.wasm: there is no such folder",
    ],
    ["an unknown function", ["resvg.wasm", "-a", "malloc=mallok"], /malloc=mallok.*no export or function/],
    ["an unknown role", ["resvg.wasm", "-a", "mallok=x"], /there is no role mallok/],
    ["no module", [], /missing required argument 'module'/],
  ] as const) {
    test(`${what}: one line, exit code 2, no output`, async () => {
      const { code, stdout, stderr } = await instrument(...args);
      assert.deepEqual([code, stdout], [2, ""], stderr);
      assert.match(stderr, /^linmem: [^\n]+\n$/);
      if (typeof message === "string") assert.equal(stderr, `linmem: ${message}\n`);
      else assert.match(stderr, message);
    });
  }

  test("refuses a module that is instrumented already", async () => {
    await instrument("resvg.wasm", "-o", "once.wasm");
    const { code, stderr } = await instrument("once.wasm", "-o", "twice.wasm");
    assert.equal(code, 2);
    assert.equal(
      stderr,
      "linmem: cannot instrument once.wasm: the module is instrumented already: give the original\n",
    );
  });
});

describe("what it wrote, in place of the original", () => {
  const program = `import { readFileSync } from "node:fs";
import { initWasm, Resvg } from "@resvg/resvg-wasm";
await initWasm(readFileSync(process.argv[2]));
function forget() { return new Resvg('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'); }
for (let i = 0; i < 10; i++) forget();
console.log("made 10");`;

  before(async () => {
    const folder = inSandbox("node_modules/@resvg/resvg-wasm");
    mkdirSync(folder, { recursive: true });
    cpSync(dirname(resvgFile), folder, { recursive: true });
    const { code, stderr } = await instrument("resvg.wasm", "-o", "replaced.wasm");
    assert.equal(code, 0, stderr);
    writeFileSync(inSandbox("app.mjs"), program);
  });

  async function report(module: string): Promise<ModuleReport> {
    const { code, stdout, stderr } = await sandbox.linmem(["run", "-f", "-o", "p.linmem", "app.mjs", module]);
    assert.deepEqual([code, stdout], [0, "made 10\n"], stderr);
    const { stdout: text } = await sandbox.linmem(["report", "p.linmem", "--format", "json"]);
    return (JSON.parse(text) as Report).modules[0];
  }

  test("is profiled by `linmem run` as the original is; only offsets in its code are unknown", async () => {
    const [original, replaced] = [await report("resvg.wasm"), await report("replaced.wasm")];
    assert.equal(replaced.callers[0].frame?.function, "forget");
    assert.ok(replaced.heap!.liveBlocks >= 10);
    assert.deepEqual(replaced.heap, original.heap);
    assert.deepEqual(replaced.allocator, original.allocator);
    assert.deepEqual(liveBytesByFunctions(replaced), liveBytesByFunctions(original));
  });

  /** Live bytes by the functions on the stack, without their offsets. */
  function liveBytesByFunctions({ contexts }: ModuleReport): Record<string, number> {
    const bytes: Record<string, number> = {};
    for (const { stack, liveBytes } of contexts) {
      const functions = stack.filter(({ kind }) => kind === "wasm").map(({ line }) => line);
      bytes[functions.join(" ")] = (bytes[functions.join(" ")] ?? 0) + liveBytes;
    }
    return bytes;
  }

  test("may be instantiated from its bytes", async () => {
    writeFileSync(
      inSandbox("bytes.mjs"),
      `import { readFileSync } from "node:fs";
const bytes = readFileSync("replaced.wasm");
const imports = new Proxy({}, { get: () => new Proxy({}, { get: () => () => 0 }) });
const { instance } = await WebAssembly.instantiate(bytes, imports);
instance.exports.__wbindgen_malloc(1000, 1);`,
    );
    const { code, stderr } = await sandbox.linmem(["run", "--out", "bytes.linmem", "bytes.mjs"]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^linmem: 1000 B live in 1 block at the end/);
  });

  test("is not taken by any other host", async () => {
    const { code, stderr } = await sandbox.node(["app.mjs", "replaced.wasm"]);
    assert.equal(code, 1);
    assert.match(stderr, /linmem/);
  });
});

test("a section that some other tool named linmem changes nothing", async () => {
  const section = [...Buffer.from("\0\x0a\x06linmem{}{", "latin1")];
  const memory = [5, 3, 1, 0, 1];
  writeFileSync(inSandbox("foreign.wasm"), Uint8Array.from([...header, ...memory, ...section]));
  writeFileSync(
    inSandbox("foreign.mjs"),
    `import { readFileSync } from "node:fs";
const bytes = readFileSync("foreign.wasm");
new WebAssembly.Instance(new WebAssembly.Module(bytes));
await WebAssembly.instantiate(bytes);
console.log("made");`,
  );
  const { code, stdout, stderr } = await sandbox.linmem(["run", "-q", "foreign.mjs"]);
  assert.deepEqual([code, stdout, stderr], [0, "made\n", ""]);
});
