// Source lines in the reports of runs, from every place where a module's symbols may be. Runs dist/, so build first.
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, describe, test } from "node:test";
import ts from "typescript";
import type { FrameReport, Report } from "../../src/analyze/report.js";
import { Writer } from "../../src/wasm/leb128.js";
import { decodeModule, encodeModule, makeSection } from "../../src/wasm/module.js";
import { sectionId } from "../../src/wasm/types.js";
import { Sandbox } from "../attach/run-program.js";

const root = new URL("../../", import.meta.url);
const notes = new Uint8Array(readFileSync(new URL("examples/rust-debug/notes.wasm", root)));
const script = readFileSync(new URL("examples/rust-debug/app.mjs", root), "utf8");
const source = readFileSync(new URL("examples/rust-debug/notes.rs", root), "utf8");

/** Line of the source that has a text, from 1. */
const lineOf = (text: string, all = source) => all.split("\n").findIndex((line) => line.includes(text)) + 1;

const sandbox = new Sandbox();
after(() => sandbox.remove());
afterEach(() => sandbox.clear());

/** The module with a custom section more, or without all of some. */
function changed(bytes: Uint8Array, without: RegExp, name?: string, text = ""): Uint8Array {
  const sections = decodeModule(bytes).sections.filter((section) => !without.test(section.name ?? ""));
  if (name !== undefined) {
    const writer = new Writer();
    writer.name(text);
    sections.push(makeSection(sectionId.custom, writer.finish(), name));
  }
  return encodeModule(sections);
}

const debugSections = /^(\.debug_.*|\.objcopy.*|name)$/;

async function profileOf(module: Uint8Array, options: string[] = [], program = script): Promise<Report> {
  writeFileSync(join(sandbox.folder, "notes.wasm"), module);
  writeFileSync(join(sandbox.folder, "app.mjs"), program);
  const ended = await sandbox.linmem(["run", "--force", "--out", "p.linmem", ...options, "app.mjs"]);
  assert.equal(ended.code, 0, ended.stderr);
  return report();
}

async function report(options: string[] = []): Promise<Report> {
  const ended = await sandbox.linmem(["report", "--format", "json", ...options, "p.linmem"]);
  assert.equal(ended.code, 0, ended.stderr);
  return JSON.parse(ended.stdout);
}

/** Frames of the stack with the most live bytes. */
const largest = ({ modules: [module] }: Report): FrameReport[] => module.contexts[0].stack;

/** The largest stack is that of the words, as Rust has it. */
function assertRustLines(made: Report) {
  const frames = largest(made);
  const parse = frames.find((frame) => frame.function === "notes::Note::parse")!;
  assert.deepEqual(parse.source, {
    file: "examples/rust-debug/notes.rs",
    line: lineOf("words.push("),
    column: 13,
  });
  const entry = frames.find((frame) => frame.function === "note_new")!;
  assert.equal(entry.source?.line, lineOf("Note::parse(&text)"));
  assert.ok(frames.some((frame) => frame.source?.file.endsWith("/library/alloc/src/raw_vec.rs")));
  assert.deepEqual(made.warnings, []);
}

describe("Rust lines", () => {
  test("of a debug build, from its own DWARF", async () => assertRustLines(await profileOf(notes)));

  test("of a stripped module, from the file of --symbols, while or after it runs", async () => {
    writeFileSync(join(sandbox.folder, "unstripped.wasm"), notes);
    const stripped = changed(notes, debugSections);
    assert.ok(stripped.length * 3 < notes.length);
    assertRustLines(await profileOf(stripped, ["--symbols", "unstripped.wasm"]));
    const bare = await profileOf(stripped);
    assert.ok(largest(bare).every((frame) => frame.source === undefined));
    assertRustLines(await report(["--symbols", "unstripped.wasm"]));
    assert.ok(
      largest(await report()).every((frame) => frame.source === undefined),
      "the profile stays as it was",
    );
  });

  test("from a file that has nothing but debug information", async () => {
    const only = decodeModule(notes).sections.filter((section) => /^\.debug_/.test(section.name ?? ""));
    writeFileSync(join(sandbox.folder, "only.wasm"), encodeModule(only));
    assertRustLines(await profileOf(changed(notes, /^\.debug_/), ["--symbols", "only.wasm"]));
  });

  test("not from a file of --symbols with other code: a warning says so", async () => {
    copyFileSync(new URL("test/fixtures/symbols/c-5-O2.wasm", root), join(sandbox.folder, "other.wasm"));
    const made = await profileOf(changed(notes, debugSections), ["--symbols", "other.wasm"]);
    assert.match(made.warnings[0].message, /^other\.wasm has the code of no module that ran/);
    assert.ok(largest(made).every((frame) => frame.source === undefined));
  });

  test("a file of --symbols that can't be read is refused before the program starts", async () => {
    writeFileSync(join(sandbox.folder, "text.wasm"), "no module");
    for (const [path, reason] of [
      ["missing.wasm", "there is no such file"],
      ["text.wasm", "magic header not detected (at offset 0x0)"],
    ]) {
      const ended = await sandbox.linmem(["run", "--symbols", path, "app.mjs"]);
      assert.deepEqual([ended.code, ended.stdout], [2, ""]);
      assert.equal(ended.stderr, `linmem: cannot read symbols from ${path}: ${reason}\n`);
    }
  });

  test("from a file that the module names in external_debug_info", async () => {
    writeFileSync(join(sandbox.folder, "notes.debug.wasm"), notes);
    const referring = changed(notes, /^\.debug_/, "external_debug_info", "notes.debug.wasm");
    assertRustLines(await profileOf(referring));
  });

  test("not from such a file that is for other code, or missing: a warning says so", async () => {
    copyFileSync(new URL("test/fixtures/symbols/c-5-O2.wasm", root), join(sandbox.folder, "other.wasm"));
    for (const [name, expected] of [
      ["other.wasm", /other\.wasm is for other code/],
      ["missing.wasm", /missing\.wasm, to which the module refers for DWARF, was not found/],
    ] as const) {
      const made = await profileOf(changed(notes, /^\.debug_/, "external_debug_info", name));
      assert.match(made.warnings.map(({ message }) => message).join(), expected);
      const parse = largest(made).find((frame) => frame.function === "notes::Note::parse")!;
      assert.equal(parse.source, undefined);
      assert.ok(parse.column > 0);
    }
  });

  test("damaged debug information changes nothing but the lines", async () => {
    const module = decodeModule(notes);
    const expected = await profileOf(notes);
    for (const [name, at] of [
      [".debug_info", 4],
      [".debug_line", 4],
      [".debug_abbrev", 0],
      ["name", 1],
    ] as const) {
      const damaged = notes.slice();
      const section = module.custom(name)!;
      damaged.fill(0xff, section.offset + section.payloadStart + at, section.offset + section.bytes.length);
      const made = await profileOf(damaged);
      assert.equal(made.modules[0].heap?.liveBytes, expected.modules[0].heap?.liveBytes, name);
      if (name !== "name") assert.match(made.warnings.map(({ message }) => message).join(), /^symbols: /);
      assert.ok(largest(made).some((frame) => frame.kind === "wasm" && frame.column > 0));
    }
  });

  test("the text report has lines of inlined functions too", async () => {
    await profileOf(notes);
    const ended = await sandbox.linmem(["report", "p.linmem"], { COLUMNS: "160" });
    assert.equal(ended.code, 0, ended.stderr);
    const [, stacks = ""] = ended.stdout.split("Live at the end, by stack");
    const parse = stacks.split("\n").find((text) => text.includes("notes::Note::parse "));
    assert.match(parse ?? "", new RegExp(` examples/rust-debug/notes\\.rs:${lineOf("words.push(")}:13$`));
    assert.match(ended.stdout, / library\/alloc\/src\/slice\.rs:\d+:\d+$/m);
  });
});

describe("AssemblyScript lines, from a source map", () => {
  const folder = new URL("test/fixtures/symbols/", root);
  const module = readFileSync(new URL("notes.wasm", folder));
  const map = readFileSync(new URL("notes.wasm.map", folder), "utf8");
  const assembly = readFileSync(new URL("notes.assemblyscript", folder), "utf8");
  const program = (path: string) => `import { readFileSync } from "node:fs";
    const bytes = readFileSync(new URL(${JSON.stringify(path)}, import.meta.url));
    const { instance } = await WebAssembly.instantiate(bytes, { env: { abort() {} } });
    for (let i = 0; i < 9; i++) instance.exports.keep(i);`;

  function assertLines({ modules, warnings }: Report) {
    const frames = modules[0].contexts.map(({ stack }) => stack);
    const lines = frames.flatMap((stack) =>
      stack
        .filter((frame) => frame.source?.file.endsWith("assembly/notes.ts"))
        .map(({ source }) => source!.line),
    );
    assert.ok(
      lines.includes(lineOf("words.push", assembly)) && lines.includes(lineOf("kept.push", assembly)),
    );
    assert.ok(frames.flat().some((frame) => frame.source?.file === "~lib/string.ts"));
    // what the compiler adds to a function comes from nowhere: it has the line of what is beside it
    const own = frames.flat().filter(({ function: name }) => name === "assembly/notes/keep");
    assert.ok(own.length > 0 && own.every(({ source }) => source !== undefined && source.line > 0));
    assert.ok(own.some(({ source }) => source!.column === 0));
    assert.deepEqual(warnings, []);
  }

  test("beside the module, in another folder than the script's", async () => {
    mkdirSync(join(sandbox.folder, "build"));
    writeFileSync(join(sandbox.folder, "build/as.wasm"), module);
    writeFileSync(join(sandbox.folder, "build/notes.wasm.map"), map);
    assertLines(await profileOf(notes, [], program("build/as.wasm")));
  });

  test("in a data: URL", async () => {
    const url = `data:application/json;base64,${Buffer.from(map).toString("base64")}`;
    writeFileSync(
      join(sandbox.folder, "data.wasm"),
      changed(module, /^sourceMappingURL$/, "sourceMappingURL", url),
    );
    assertLines(await profileOf(notes, [], program("data.wasm")));
  });

  test("missing, damaged or pointing nowhere: function and offset, and a warning", async () => {
    const cases: [string, RegExp][] = [
      ["nowhere.map", /nowhere\.map was not found/],
      ["https://example.org/x.map", /x\.map was not found/],
      ["data:application/json,{", /is damaged/],
      [
        `data:application/json,${encodeURIComponent('{"version":3,"sources":[],"mappings":5}')}`,
        /is damaged/,
      ],
    ];
    for (const [url, expected] of cases) {
      writeFileSync(
        join(sandbox.folder, "bad.wasm"),
        changed(module, /^sourceMappingURL$/, "sourceMappingURL", url),
      );
      const made = await profileOf(notes, [], program("bad.wasm"));
      assert.match(made.warnings.map(({ message }) => message).join(), expected);
      assert.ok(largest(made).every((frame) => frame.source === undefined));
    }
    const nowhere = encodeURIComponent('{"version":3,"sources":["a.ts"],"mappings":"AAAAA,gggggEAy9999BA"}');
    const pointing = changed(module, /^sourceMappingURL$/, "sourceMappingURL", `data:,${nowhere}`);
    writeFileSync(join(sandbox.folder, "bad.wasm"), pointing);
    assert.ok(
      largest(await profileOf(notes, [], program("bad.wasm"))).every(({ source }) => source === undefined),
    );
  });
});

describe("C lines, from a source map of Emscripten", () => {
  const folder = new URL("test/fixtures/symbols/", root);
  const source = readFileSync(new URL("tree.c", folder), "utf8");

  test("name the calls that allocate", async () => {
    for (const name of ["tree.wasm", "tree.wasm.map"])
      copyFileSync(new URL(name, folder), join(sandbox.folder, name));
    const made = await profileOf(
      notes,
      [],
      `import { readFileSync } from "node:fs";
      const bytes = readFileSync(new URL("tree.wasm", import.meta.url));
      const { instance } = await WebAssembly.instantiate(bytes, {});
      for (let i = 0; i < 50; i++) instance.exports.add((i * 37) % 50);`,
    );
    const stacks = made.modules[0].contexts
      .filter(({ liveBlocks }) => liveBlocks > 0)
      .map(({ stack, liveBlocks }) => [
        liveBlocks,
        ...stack.flatMap(({ function: name, source: at }) =>
          at?.file.endsWith("tree.c") ? [`${name} ${at.line}:${at.column}`] : [],
        ),
      ]);
    const place = (text: string, call: string) => {
      const line = lineOf(text, source);
      return `${line}:${source.split("\n")[line - 1].indexOf(call) + 1}`;
    };
    assert.deepEqual(stacks, [
      [
        50,
        `leaf ${place("= calloc(", "calloc(")}`,
        `insert ${place("*at = leaf(", "leaf(")}`,
        `add ${place("insert(&root", "insert(")}`,
      ],
      [1, `add ${place("last = malloc(", "malloc(")}`],
    ]);
    assert.deepEqual(made.warnings, []);
  });
});

describe("lines of TypeScript programs", () => {
  const program = `import { readFileSync } from "node:fs";

interface Exports {
  text_new(length: number): number;
}

const bytes = readFileSync("notes.wasm");
const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes));

function forget(exports: Exports): void {
  type Unused = string | number;

  exports.text_new(1000);
}

forget(instance.exports as unknown as Exports);
`;
  const line = lineOf("exports.text_new", program);

  async function assertCaller(...args: string[]) {
    writeFileSync(join(sandbox.folder, "notes.wasm"), notes);
    const ended = await sandbox.linmem(["run", "--force", "--out", "p.linmem", ...args]);
    assert.equal(ended.code, 0, ended.stderr);
    const [{ frame }] = (await report()).modules.flatMap(({ callers }) => callers);
    assert.deepEqual([frame?.function, frame?.line], ["forget", line]);
    assert.match(frame!.file, /[\\/]program\.m?ts$/);
  }

  test("run by tsx", async () => {
    writeFileSync(join(sandbox.folder, "program.mts"), program);
    await assertCaller("--import", import.meta.resolve("tsx"), "program.mts");
  });

  test("compiled to a script with a source map beside it", async () => {
    mkdirSync(join(sandbox.folder, "dist"));
    mkdirSync(join(sandbox.folder, "src"));
    writeFileSync(join(sandbox.folder, "src/program.ts"), program);
    const { outputText, sourceMapText } = ts.transpileModule(program, {
      fileName: "../src/program.ts",
      compilerOptions: { sourceMap: true, module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
    });
    const text = outputText.replace(/sourceMappingURL=.*/, "sourceMappingURL=program.mjs.map");
    writeFileSync(join(sandbox.folder, "dist/program.mjs"), text);
    writeFileSync(
      join(sandbox.folder, "dist/program.mjs.map"),
      sourceMapText!.replace('"program.ts"', '"../src/program.ts"'),
    );
    assert.notEqual(lineOf("exports.text_new", text), line);
    await assertCaller("dist/program.mjs");
  });
});
