import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { ModuleDescription } from "../../src/report/inspect-text.js";
import { assemble } from "../instrument/support.js";
import { minifiedModule } from "../support/minified.js";
import { withTypeScript } from "../support/typescript.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const modules = "test/fixtures/allocators";

function inspect(args: string[], env: NodeJS.ProcessEnv = {}) {
  const { NO_COLOR, FORCE_COLOR, COLUMNS, ...rest } = process.env;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [withTypeScript, join(root, "src/cli/main.ts"), "inspect", ...args],
    { cwd: root, encoding: "utf8", env: { ...rest, ...env } },
  );
  return { status, stdout, stderr };
}

describe("linmem inspect", () => {
  test("prints what a module is, plain in a pipe", () => {
    const { status, stdout, stderr } = inspect([`${modules}/misfits.wasm`]);
    assert.equal(stderr, "");
    assert.equal(status, 0);
    assert.equal(stdout, readFileSync(join(root, modules, "misfits.txt"), "utf8"));
  });

  test("names allocator functions and how they are known", () => {
    const { stdout } = inspect([`${modules}/c-exports.wasm`]);
    assert.match(stdout, /^ {2}malloc +8 +malloc +named +export "malloc"$/m);
    assert.match(stdout, /^ {2}memalign +16 +wasm-function\[16\] +likely +calls malloc and trims blocks/m);
  });

  test("names functions of minified exports as the script beside the module does", (t) => {
    const folder = mkdtempSync(join(tmpdir(), "linmem-glue-"));
    t.after(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, "heap.wasm"), minifiedModule());
    writeFileSync(join(folder, "a.js"), "q._malloc=w.e;q._free=w.d");
    writeFileSync(join(folder, "z.mjs"), 'load("heap.wasm");q._malloc=w.b;q._free=w.d');
    const { stdout } = inspect([join(folder, "heap.wasm")]);
    assert.match(stdout, /^ {2}malloc +8 +malloc +named +export "b", which the script calls "_malloc"$/m);
  });

  test("says of whom blocks are not recorded in spite of what was found, or counted elsewhere", (t) => {
    const folder = mkdtempSync(join(tmpdir(), "linmem-notes-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const notesOf = (bytes: Uint8Array): string => {
      writeFileSync(join(folder, "m.wasm"), bytes);
      return inspect([join(folder, "m.wasm")]).stdout.replaceAll(/\s+/g, " ");
    };
    const functions = `(func (export "malloc") (param i32) (result i32) (local.get 0))
  (func (export "free") (param i32))`;
    const shared = assemble(`(module (memory 1 2 shared) ${functions})`);
    assert.match(
      notesOf(shared),
      /malloc 0 malloc named .* shared between threads: its growth is recorded, its blocks are not/,
    );
    assert.doesNotMatch(notesOf(assemble(`(module (memory 1 2) ${functions})`)), /between threads/);
    // an empty section "dylink.0"
    const linked = assemble('(module (import "env" "memory" (memory 1)))');
    const side = Uint8Array.of(
      ...linked.subarray(0, 8),
      0,
      9,
      8,
      ...new TextEncoder().encode("dylink.0"),
      ...linked.subarray(8),
    );
    assert.match(
      notesOf(side),
      /linked dynamically: its blocks are counted with the module that has the allocator/,
    );
  });

  test("keeps lines within the terminal's width, coloured when asked for", () => {
    const { stdout } = inspect([`${modules}/rust-named.wasm`], { COLUMNS: "60", FORCE_COLOR: "1" });
    assert.ok(stdout.includes("\u001b["));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are made of them
    const plain = stdout.replaceAll(/\u001b\[\d+m/g, "");
    for (const line of plain.split("\n")) assert.ok(line.length <= 60, line);
  });

  test("prints JSON", () => {
    const { status, stdout } = inspect([`${modules}/misfits.wasm`, "--json"]);
    assert.equal(status, 0);
    const description: ModuleDescription = JSON.parse(stdout);
    assert.deepEqual(description.memories, [
      {
        index: 0,
        imported: null,
        exported: ["memory"],
        initialPages: 2,
        initialBytes: 131072,
        maximumPages: 16,
        maximumBytes: 1048576,
        pageBytes: 65536,
        shared: false,
        addressBits: 32,
      },
      {
        index: 1,
        imported: null,
        exported: ["other"],
        initialPages: 1,
        initialBytes: 65536,
        maximumPages: null,
        maximumBytes: null,
        pageBytes: 65536,
        shared: false,
        addressBits: 32,
      },
    ]);
    assert.deepEqual(description.boundary.imports, [
      { kind: "function", module: "env", name: "calloc", type: "(i32, i32) → i32", externref: false },
      { kind: "table", module: "env", name: "table", type: "externref, 2 elements or more", externref: true },
      { kind: "global", module: "env", name: "state", type: "mutable i32", externref: false },
    ]);
    assert.deepEqual(
      description.boundary.exports.find(({ name }) => name === "hold"),
      { kind: "function", name: "hold", type: "(externref) → (externref, i32)", externref: true },
    );
    assert.deepEqual(description.debug, {
      functionNames: 0,
      dwarf: false,
      externalDwarf: null,
      sourceMap: null,
    });
    const size = description.sections.reduce((sum, { bytes }) => sum + bytes, 8);
    assert.equal(size, description.bytes);
  });

  const folder = mkdtempSync(join(tmpdir(), "linmem-inspect-"));
  after(() => rmSync(folder, { recursive: true }));

  const bad: [what: string, make: (file: string) => void, message: RegExp][] = [
    ["missing", () => {}, /cannot read .*: there is no such file/],
    [
      "foreign",
      (file) => writeFileSync(file, "hello"),
      /cannot decode .*: magic header not detected \(at offset 0x0\); give a WebAssembly module in its binary form/,
    ],
    ["hollow", (file) => writeFileSync(file, ""), /cannot decode .*; it is empty/],
    [
      "textual",
      (file) => writeFileSync(file, ";; comment\n(module)"),
      /cannot decode .*; it is WebAssembly text: wat2wasm/,
    ],
    [
      "profile instead of a",
      (file) => writeFileSync(file, readFileSync(join(root, "test/fixtures/profiles/photon.linmem"))),
      /cannot decode .*; it is a profile: give it to linmem report/,
    ],
    [
      "truncated",
      (file) => writeFileSync(file, readFileSync(join(root, modules, "c-named.wasm")).subarray(0, 2000)),
      /cannot decode .*\(at offset 0x[0-9a-f]+\)/,
    ],
    [
      "with an unknown instruction",
      (file) => {
        const body = [0x01, 0x00, 0x00, 0x00, 0x01, 0x04, 0x01, 0x60, 0x00, 0x00, 0x03, 0x02, 0x01, 0x00];
        writeFileSync(
          file,
          Uint8Array.of(0, 0x61, 0x73, 0x6d, ...body, 0x0a, 0x05, 0x01, 0x03, 0x00, 0xff, 0x0b),
        );
      },
      /cannot decode .*unknown opcode 0xff \(at offset 0x17\)/,
    ],
  ];
  for (const [what, make, message] of bad) {
    test(`a ${what} module: one line, exit code 2`, () => {
      const file = join(folder, `${what.replaceAll(" ", "-")}.wasm`);
      make(file);
      const { status, stdout, stderr } = inspect([file]);
      assert.equal(status, 2);
      assert.equal(stdout, "");
      assert.match(stderr, message);
      assert.match(stderr, /^linmem: [^\n]*\n$/);
    });
  }
});
