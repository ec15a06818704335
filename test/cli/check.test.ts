// `linmem check` as its users run it, on modules of the bug suite. Runs dist/, so build first.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Sandbox } from "../attach/run-program.js";

const sandbox = new Sandbox();
after(() => sandbox.remove());

const bugs = fileURLToPath(new URL("../fixtures/bugs/c-O0.wasm", import.meta.url));

/** A program that calls cases of the suite, each with 1 unless its name ends in `=0`. */
const program = (name: string, ...cases: string[]) =>
  sandbox.write(
    name,
    `import { readFileSync } from "node:fs";
const module = new WebAssembly.Module(readFileSync(${JSON.stringify(bugs)}));
const wasi = Object.fromEntries(WebAssembly.Module.imports(module).map(({ name }) => [name, () => 0]));
const { exports } = new WebAssembly.Instance(module, { wasi_snapshot_preview1: wasi });
console.log(Object.keys(exports).length, WebAssembly.Module.imports(module).length, exports.memory.buffer.byteLength);
for (const one of ${JSON.stringify(cases)}) exports[one.split("=")[0]](one.endsWith("=0") ? 0 : 1);
console.log("done");
`,
  );

describe("linmem check", () => {
  test("says what was done to which block, by whom, and goes on; the program notices nothing", async () => {
    const script = program("both.mjs", "heap_overflow__write_char", "use_after_free__read");
    const native = await sandbox.node([script]);
    const { code, stdout, stderr } = await sandbox.linmem(["check", script]);
    assert.equal(code, 0);
    assert.equal(stdout, native.stdout);
    assert.match(stderr, /^linmem: 2 memory errors\n/);
    assert.match(
      stderr,
      /1\. heap-overflow: write of 1 byte at 0x[0-9a-f]+, right behind the end of a block of 16\n +heap_overflow__write_char .*\n +\(module\) +both\.mjs:/,
    );
    assert.match(stderr, /the block was allocated by\n +heap_overflow__write_char/);
    assert.match(
      stderr,
      /2\. use-after-free: read of 4 bytes at 0x[0-9a-f]+, 4 bytes into a block of 16 that was freed[\s\S]*allocated by\n +use_after_free__read[\s\S]*and freed by\n +use_after_free__read/,
    );
  });

  test("finds nothing in a program that does nothing wrong", async () => {
    const script = program("clean.mjs", "heap_overflow__write_char=0", "use_after_free__read=0");
    const { code, stderr } = await sandbox.linmem(["check", "--error-exitcode", "9", "--strict", script]);
    assert.deepEqual([code, stderr], [0, "linmem: no memory errors\n"]);
  });

  test("--format json has the figures; equal errors are one with a count", async () => {
    const overflow = "heap_overflow__write_char";
    const script = program("json.mjs", overflow, overflow, overflow);
    const out = "findings.json";
    const { code } = await sandbox.linmem([
      ...["check", "--format", "json", "-o", out, "--error-exitcode", "9", script],
    ]);
    assert.equal(code, 9);
    const { format, findings } = JSON.parse(readFileSync(join(sandbox.folder, out), "utf8"));
    assert.equal(format, "linmem-check");
    assert.equal(findings.length, 1);
    const [{ kind, access, address, size, block, stack, allocatedAt, freedAt, count }] = findings;
    assert.deepEqual([kind, access, size, count, freedAt], ["heap-overflow", "write", 1, 3, undefined]);
    assert.equal(address, block.address + block.size);
    assert.equal(stack[0].function, overflow);
    assert.equal(allocatedAt.at(-1).function, overflow);
  });

  test("--halt ends the program at the first error, which is in the profile all the same", async () => {
    const script = program("halt.mjs", "heap_overflow__write_char", "use_after_free__read");
    const profile = "halted.linmem";
    const { code, stdout, stderr } = await sandbox.linmem(["check", "--halt", "--profile", profile, script]);
    assert.equal(code, 1);
    assert.doesNotMatch(stdout, /done/);
    assert.match(stderr, /^linmem: 1 memory error\n/);
    const report = await sandbox.linmem(["report", profile]);
    assert.match(report.stdout, /Memory errors\n\n1\. heap-overflow: write of 1 byte/);
  });

  test("says what of a module was not checked, and fails for it when asked to", async () => {
    // one shared memory
    const bytes = "0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 4, 1, 3, 1, 1";
    const script = sandbox.write(
      "shared.mjs",
      `new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.of(${bytes})));`,
    );
    const { code, stderr } = await sandbox.linmem(["check", "--strict", "--error-exitcode", "9", script]);
    assert.equal(code, 9);
    assert.match(stderr, /nothing of it is checked: its memory is shared between threads/);
  });

  test("refuses options that make no sense, in one line", async () => {
    const { code, stderr } = await sandbox.linmem(["check", "--redzone", "12", "x.mjs"]);
    assert.deepEqual([code, stderr], [2, "linmem: --redzone 12: give a multiple of 8 from 8 to 4096\n"]);
  });
});
