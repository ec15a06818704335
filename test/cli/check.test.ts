// `linmem check` as its users run it, on modules of the bug suite. Runs dist/, so build first.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { findingKinds } from "../../src/analyze/report.js";
import { Sandbox } from "../attach/run-program.js";
import { assemble, bumpAllocator, supports } from "../instrument/support.js";

const sandbox = new Sandbox();
after(() => sandbox.remove());

const file = (name: string, content: string | Uint8Array): string => {
  const path = join(sandbox.folder, name);
  writeFileSync(path, content);
  return path;
};

const load = `(memory (export "memory") 1) (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))`;
const plain = file("plain.wasm", assemble(`(module ${load})`));
const heap = file(
  "heap.wasm",
  assemble(`(module ${bumpAllocator}
    (func $lose (export "lose") (drop (call $malloc (i32.const 28))))
    (func $loseList (export "loseList") (param $nodes i32) (local $node i32) (local $next i32)
      (loop $more
        (local.set $node (call $malloc (i32.const 8)))
        (i32.store (local.get $node) (local.get $next))
        (local.set $next (local.get $node))
        (local.set $nodes (i32.sub (local.get $nodes) (i32.const 1)))
        (br_if $more (local.get $nodes))))
    (func $loseSome (export "loseSome") (param i32) (drop (call $malloc (local.get 0))))
    (func (export "trap") (param i32) (drop (call $malloc (local.get 0))) unreachable))`),
);
const wide = assemble(`(module (memory (export "memory") i64 1)
  (global $top (mut i64) (i64.const 1024))
  (func (export "malloc") (param i64) (result i64)
    (global.get $top)
    (global.set $top (i64.add (global.get $top) (local.get 0))))
  (func (export "free") (param i64)))`);
const bugs = fileURLToPath(new URL("../fixtures/bugs/c-O0.wasm", import.meta.url));

const rustBugs = fileURLToPath(new URL("../fixtures/bugs/rust-O1.wasm", import.meta.url));

/** One case for each kind of error that such modules make. */
const allCases = [
  "heap_overflow__write_char",
  "heap_underflow__write",
  "use_after_free__read",
  "double_free__twice",
  "invalid_free__middle",
  "mismatched_free__dealloc",
  "null_access__read",
  "out_of_bounds__read",
  "stack_overflow__recursion",
];

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

  test("of a module with 64-bit addresses nothing is checked, and JavaScript is taken to hold its blocks", {
    skip: !supports(wide) && "the engine doesn't have them",
  }, async () => {
    const script = sandbox.write(
      "wide.mjs",
      `import { readFileSync } from "node:fs";
const module = new WebAssembly.Module(readFileSync(${JSON.stringify(file("wide.wasm", wide))}));
const { malloc } = new WebAssembly.Instance(module).exports;
globalThis.held = malloc(16n);`,
    );
    const { code, stderr } = await sandbox.linmem(["check", "--leaks", "all", script]);
    assert.equal(code, 0);
    assert.match(stderr, /nothing of it is checked: its memory has addresses of 64 bits/);
    assert.match(stderr, /^linmem: no memory errors$/m);
    assert.match(stderr, /^1\. possible leak: 16 bytes at 0x400/m);
  });

  test("what is known already is left out, and counts for nothing; --gen-suppressions writes it down", async () => {
    const script = program("known.mjs", "heap_overflow__write_char", "use_after_free__read");
    const known = join(sandbox.folder, "known.txt");
    const first = await sandbox.linmem(["check", "--gen-suppressions", known, script]);
    assert.match(first.stderr, /^linmem: 2 memory errors\n/);
    const text = readFileSync(known, "utf8");
    assert.match(text, /^heap-overflow\n {2}heap_overflow__write_char\n {2}\(module\)\n\nuse-after-free\n/);
    const again = await sandbox.linmem(["check", "--suppressions", known, "--error-exitcode", "9", script]);
    assert.deepEqual([again.code, again.stderr], [0, "linmem: no memory errors, 2 suppressed\n"]);
    const one = file("one.txt", "heap-overflow\n  ...\n");
    const rest = await sandbox.linmem([
      ...["check", "--suppressions", one, "--error-exitcode", "9", "--format", "json", script],
    ]);
    const json = rest.stdout.slice(rest.stdout.indexOf("{"));
    const { findings, suppressed } = JSON.parse(json);
    assert.deepEqual([rest.code, suppressed, findings.length], [9, 1, 1]);
    assert.equal(findings[0].kind, "use-after-free");
    const overwrite = await sandbox.linmem(["check", "--gen-suppressions", known, script]);
    assert.match(overwrite.stderr, /known\.txt/);
    assert.equal(readFileSync(known, "utf8"), text, "not overwritten");
  });

  test("suppressions that can't be read, make no sense or come with --halt are refused before anything runs", async () => {
    const wrong = file("wrong.txt", "leak\n  a\nbuffer-overflow\n  b\n");
    const script = program("never.mjs", "heap_overflow__write_char");
    for (const [args, message] of [
      [["--suppressions", "nowhere.txt"], /^linmem: cannot read nowhere\.txt: /],
      [["--suppressions", wrong], /wrong\.txt, line 3: "buffer-overflow" is no kind of finding/],
      [["--halt", "--suppressions", file("known2.txt", "leak\n  a\n")], /--halt does not go with/],
    ] as const) {
      const { code, stdout, stderr } = await sandbox.linmem(["check", ...args, script]);
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, message);
      assert.equal(stderr.trim().split("\n").length, 1);
    }
  });

  test("every kind of finding comes out as JSON, as the schema of reports has it", async () => {
    const script = sandbox.write(
      "kinds.mjs",
      `import { readFileSync } from "node:fs";
const load = (path) => {
  const module = new WebAssembly.Module(readFileSync(path));
  const wasi = Object.fromEntries(WebAssembly.Module.imports(module).map(({ name }) => [name, () => 0]));
  return new WebAssembly.Instance(module, { wasi_snapshot_preview1: wasi }).exports;
};
const [c, rust, bump] = ${JSON.stringify([bugs, rustBugs, heap])}.map(load);
const attempt = (call, ...operands) => { try { call(...operands); } catch {} };
for (const name of ${JSON.stringify(allCases)}) attempt((c[name] ?? rust[name]), 1);
const freed = bump.malloc(20);
bump.free(freed);
new Uint8Array(bump.memory.buffer)[freed] = 1;
bump.lose();
`,
    );
    const { stdout } = await sandbox.linmem(["check", "--format", "json", script]);
    const { findings } = JSON.parse(stdout.slice(stdout.indexOf("{")));
    const kinds = new Set<string>(findings.map(({ kind }: { kind: string }) => kind));
    assert.deepEqual(
      [...findingKinds].filter((kind) => !kinds.has(kind)),
      [],
    );
    assert.equal(kinds.size, findingKinds.length, [...kinds].join());
    for (const { kind, access, address, size, stack, count } of findings) {
      assert.ok(address >= 0 && size >= 0 && count >= 1 && Array.isArray(stack), kind);
      assert.equal(access === null, kind === "leak");
    }
    const schema = readFileSync(new URL("../../schema/report.schema.json", import.meta.url), "utf8");
    for (const kind of findingKinds) assert.ok(schema.includes(`"${kind}"`), kind);
  });

  test("freed memory that JavaScript changed, with who allocated and who freed the block", async () => {
    const script = sandbox.write(
      "host.mjs",
      `import { readFileSync } from "node:fs";
const module = new WebAssembly.Module(readFileSync(${JSON.stringify(heap)}));
const { exports } = new WebAssembly.Instance(module);
const [kept, freed] = [exports.malloc(20), exports.malloc(20)];
exports.free(freed);
const bytes = new Uint8Array(exports.memory.buffer);
bytes[kept] = bytes[freed + 3] = 1;
exports.free(kept);
`,
    );
    const out = "host.json";
    const { code } = await sandbox.linmem([
      "check",
      "--format",
      "json",
      "-o",
      out,
      "--error-exitcode",
      "9",
      script,
    ]);
    const { findings } = JSON.parse(readFileSync(join(sandbox.folder, out), "utf8"));
    const [finding] = findings.filter(({ kind }: { kind: string }) => kind === "host-write-after-free");
    assert.equal(code, 9);
    assert.ok(finding.block && finding.allocatedAt.length > 0 && finding.freedAt.length > 0);
    assert.deepEqual(finding.stack, []);
  });

  test("what JavaScript may hold is no leak; --leaks all lists it, --leaks fail fails for leaks alone", async () => {
    const program = (name: string, source: string) =>
      sandbox.write(
        name,
        `import { readFileSync } from "node:fs";
const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(${JSON.stringify(heap)})));
const keep = () => exports.malloc(24);
${source}
`,
      );
    const fail = ["--leaks", "fail", "--error-exitcode", "9"];
    const both = program("both-leaks.mjs", "for (let i = 0; i < 2; i++) keep();\nexports.lose();");
    const { code, stderr } = await sandbox.linmem(["check", ...fail, both]);
    assert.equal(code, 9);
    assert.match(
      stderr,
      /^linmem: no memory errors, 28 B that nothing in the memory leads to\n\n1\. leak: 28 bytes [\s\S]*?\n +lose .*\n +\(module\) +both-leaks\.mjs:7[\s\S]*?\n48 B in 2 blocks may be held by JavaScript alone/,
    );
    const held = program("held.mjs", "for (let i = 0; i < 2; i++) keep();");
    const alone = await sandbox.linmem(["check", ...fail, held]);
    assert.equal(alone.code, 0);
    assert.match(
      alone.stderr,
      /^linmem: no memory errors\n\n48 B in 2 blocks may be held by JavaScript alone: /,
    );
    const listed = await sandbox.linmem(["check", "--leaks", "all", both]);
    assert.match(
      listed.stderr,
      /\n2\. possible leak: 48 bytes in 2 blocks [\s\S]*?\n +keep +both-leaks\.mjs:5/,
    );
    assert.doesNotMatch(listed.stderr, /may be held by JavaScript alone/);
    const none = await sandbox.linmem(["check", "--leaks", "no", both]);
    assert.equal(none.stderr, "linmem: no memory errors\n");
    const json = await sandbox.linmem(["check", "--format", "json", both]);
    const { findings, possibleLeaks } = JSON.parse(json.stdout);
    const figures = (all: { kind: string; size: number; count: number }[]) =>
      all.map(({ kind, size, count }) => [kind, size, count]);
    assert.deepEqual([figures(findings), figures(possibleLeaks)], [[["leak", 28, 1]], [["leak", 48, 2]]]);
  });

  test("what only a leak leads to is one line behind it, which --leaks all lists; with the leak suppressed nothing is left", async () => {
    const script = sandbox.write(
      "lists.mjs",
      `import { readFileSync } from "node:fs";
const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(${JSON.stringify(heap)})));
exports.loseList(1);
exports.loseList(5);
`,
    );
    const { stderr } = await sandbox.linmem(["check", script]);
    assert.match(
      stderr,
      /^linmem: no memory errors, 16 B that nothing in the memory leads to\n\n1\. leak: 8 bytes [\s\S]*?\n2\. leak: 8 bytes [\s\S]*?\n32 B in 4 blocks more are lost with these leaks, /,
    );
    const listed = await sandbox.linmem(["check", "--leaks", "all", script]);
    assert.match(
      listed.stderr,
      /\n3\. indirect leak: 32 bytes in 4 blocks that only leaks lead to, [\s\S]*?\n +loseList /,
    );
    assert.doesNotMatch(listed.stderr, /more are lost/);
    const json = JSON.parse((await sandbox.linmem(["check", "--format", "json", script])).stdout);
    const figures = (all: { kind: string; size: number; count: number }[]) =>
      all.map(({ kind, size, count }) => [kind, size, count]);
    assert.deepEqual(figures(json.findings), [
      ["leak", 8, 1],
      ["leak", 8, 1],
    ]);
    assert.deepEqual(figures(json.indirectLeaks), [["leak", 32, 4]]);
    await sandbox.linmem(["check", "--gen-suppressions", "lists.supp", script]);
    const suppressed = await sandbox.linmem(["check", "--suppressions", "lists.supp", script]);
    assert.match(suppressed.stderr, /^linmem: no memory errors, 2 suppressed\n$/);
    const fail = ["--leaks", "fail", "--error-exitcode", "9"];
    assert.equal((await sandbox.linmem(["check", ...fail, script])).code, 9);
    assert.equal((await sandbox.linmem(["check", ...fail, "--suppressions", "lists.supp", script])).code, 0);
  });

  test("a call after one that trapped has its caller, also where another thread compiled the module", async () => {
    const script = sandbox.write(
      "traps.mjs",
      `import { readFileSync } from "node:fs";
import { isMainThread, Worker, workerData } from "node:worker_threads";
const module = isMainThread ? new WebAssembly.Module(readFileSync(${JSON.stringify(heap)})) : workerData;
const { exports } = new WebAssembly.Instance(module);
for (let i = 0; i < 3; i++) {
  try { exports.trap(8); } catch {}
  lose();
}
function lose() { exports.loseSome(28); }
if (isMainThread) new Worker(new URL(import.meta.url), { workerData: module });
`,
    );
    const { code, stdout, stderr } = await sandbox.linmem(["check", "--format", "json", script]);
    assert.equal(code, 0, stderr);
    const { findings } = JSON.parse(stdout);
    const lost = findings.filter(({ size }: { size: number }) => size === 3 * 28);
    assert.equal(lost.length, 2, stdout);
    for (const { allocatedAt } of lost) {
      const names = allocatedAt.map((frame: { function: string }) => frame.function);
      assert.deepEqual(names.slice(0, 4), ["malloc", "loseSome", "lose", "(module)"]);
    }
  });

  test("where no allocator is found the rest is checked, and it says what is not", async () => {
    // a load at address 0 of the data's page, in a module with a stack and nothing that allocates
    const script = sandbox.write(
      "plain.mjs",
      `import { readFileSync } from "node:fs";
const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(${JSON.stringify(plain)})));
try { exports.load(65536); } catch {}
`,
    );
    const { code, stderr } = await sandbox.linmem(["check", "--strict", "--error-exitcode", "9", script]);
    assert.equal(code, 9);
    assert.match(stderr, /no allocator was found: its blocks are not checked/);
    assert.match(
      stderr,
      /out-of-bounds: read of 4 bytes at 0x10000, which reaches beyond the end of the memory/,
    );
  });

  test("a module that can't be rewritten runs as it is, and it says that nothing was checked", async () => {
    const done = join(sandbox.folder, "done.wasm");
    await sandbox.linmem(["instrument", heap, "-o", done]);
    const script = sandbox.write(
      "done.mjs",
      `import { readFileSync } from "node:fs";
const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(${JSON.stringify(done)})));
console.log(exports.malloc(16));
`,
    );
    const { code, stdout, stderr } = await sandbox.linmem([
      ...["check", "--strict", "--error-exitcode", "9", script],
    ]);
    assert.deepEqual([code, stdout], [9, "1024\n"]);
    assert.match(stderr, /heap\.wasm: nothing of it is checked: linmem instrument made it/);
    const lenient = await sandbox.linmem(["check", "--error-exitcode", "9", script]);
    assert.equal(lenient.code, 0);
  });

  test("refuses options that make no sense, in one line", async () => {
    const { code, stderr } = await sandbox.linmem(["check", "--redzone", "12", "x.mjs"]);
    assert.deepEqual([code, stderr], [2, "linmem: --redzone 12: give a multiple of 8 from 8 to 4096\n"]);
  });
});
