import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { FrameReport, ModuleReport } from "../../src/analyze/report.js";
import {
  clean,
  countOf,
  cutEnd,
  cutStart,
  formatBytes,
  formatCount,
  formatDuration,
  formatShare,
  wrap,
} from "../../src/report/format.js";
import { commandLine, isAllocatorFrame, location, shortPath, stackLines } from "../../src/report/frames.js";

test("bytes in binary units, exact below 1 KiB", () => {
  const expected: [bytes: number, text: string][] = [
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1 KiB"],
    [1536, "1.5 KiB"],
    [65536, "64 KiB"],
    [1024 * 1024 - 1, "1 MiB"],
    [120.4 * 1024 * 1024, "120 MiB"],
    [4 * 1024 ** 3, "4 GiB"],
    [5000 * 1024 ** 4, "5000 TiB"],
  ];
  for (const [bytes, text] of expected) assert.equal(formatBytes(bytes), text);
});

test("counts, shares and durations", () => {
  assert.equal(formatCount(1234567), "1,234,567");
  assert.equal(countOf(1, "block"), "1 block");
  assert.equal(countOf(2000, "block"), "2,000 blocks");
  assert.equal(formatShare(1, 1000), "<1 %");
  assert.equal(formatShare(999, 1000), ">99 %");
  assert.equal(formatShare(1, 1), "100 %");
  assert.equal(formatShare(1, 0), "0 %");
  assert.deepEqual([0, 0.2, 412, 1240, 192_000, 7_500_000].map(formatDuration), [
    "0 ms",
    "<1 ms",
    "412 ms",
    "1.24 s",
    "3 min 12 s",
    "2 h 5 min",
  ]);
});

test("long text is cut at the side that says less", () => {
  assert.equal(cutEnd("std::map<int>", 8), "std::ma…");
  assert.equal(cutStart("/a/long/path.js:3", 10), "…path.js:3");
  assert.equal(cutStart("short", 10), "short");
});

test("lines break between words, not between a figure and its unit", () => {
  assert.deepEqual(wrap("it held up to 64 KiB in all", 16), ["it held up to", "64 KiB in all"]);
});

describe("names from outside", () => {
  const attacks: [title: string, text: string, shown: string][] = [
    ["colours", "a\u001b[31mb\u001b[0m", "ab"],
    ["one-character CSI", "a\u009b2Jb", "ab"],
    ["a window title", "a\u001b]0;owned\u0007b", "ab"],
    ["a link", "\u001b]8;;http://x\u001b\\text\u001b]8;;\u001b\\", "text"],
    ["line breaks", "a\r\nb\u2028c\u2029d", "abcd"],
    ["reversed text", "a\u202eb\u2066c", "abc"],
    ["a bare escape", "a\u001b", "a"],
    ["what is only unusual", "naïve::<λ>(日本) 🙂", "naïve::<λ>(日本) 🙂"],
  ];
  for (const [title, text, shown] of attacks) test(title, () => assert.equal(clean(text), shown));
});

test("scripts are shown from the current folder or their package", () => {
  assert.equal(shortPath("file:///home/u/my%20app/src/a.mjs", "/home/u/my app"), "src/a.mjs");
  assert.equal(shortPath("/home/u/app/node_modules/@a/b/lib/c.js", "/home/u/app"), "@a/b/lib/c.js");
  assert.equal(shortPath("/elsewhere/a.mjs", "/home/u/app"), "/elsewhere/a.mjs");
  assert.equal(shortPath("/home/u/application/a.mjs", "/home/u/app"), "/home/u/application/a.mjs");
  assert.equal(shortPath("file:///C:/app/a.mjs", "C:\\app"), "a.mjs");
  assert.equal(shortPath("node:fs", ""), "node:fs");
  assert.equal(shortPath("data:text/javascript,xxxxxxxx", ""), "(data URL)");
});

const frame = (kind: "wasm" | "js", name: string, line = 7): FrameReport => ({
  kind,
  function: name,
  file: kind === "wasm" ? "/x/m.wasm" : "/x/app.js",
  line,
  column: 26,
});

test("offsets in a module are hexadecimal", () => {
  assert.equal(location(frame("wasm", "f"), ""), "m.wasm:0x1a");
  assert.equal(location(frame("js", "f"), "/x"), "app.js:7:26");
});

describe("frames of the allocator", () => {
  const module = { name: "/x/m.wasm", allocator: [{ role: "malloc", name: "", index: 99, evidence: "" }] };
  const folded = (name: string, line = 7) =>
    isAllocatorFrame(frame("wasm", name, line), module as unknown as ModuleReport);

  test("are those that were hooked, and those with known names", () => {
    assert.ok(folded("", 99));
    for (const name of [
      "malloc",
      "dlmalloc",
      "emscripten_builtin_malloc",
      "operator new(unsigned long)",
      "__rust_alloc",
      "__rustc::__rust_alloc",
      "__rdl_alloc",
      "alloc::raw_vec::RawVec<T,A>::allocate_in",
      "<alloc::alloc::Global as core::alloc::Allocator>::allocate",
      "dlmalloc::dlmalloc::Dlmalloc<A>::malloc",
      "__wbindgen_malloc",
      "cabi_realloc",
      "std::__2::allocator<char>::allocate",
    ]) {
      assert.ok(folded(name), name);
    }
  });

  test("are not containers, nor the program's own functions", () => {
    for (const name of [
      "std::__2::vector<int, std::__2::allocator<int> >::push_back(int&&)",
      "my_malloc_user",
      "freeze",
      "allocate_texture",
      "photon_rs::transform::resize",
      "malloc_stats_print",
    ]) {
      assert.ok(!folded(name), name);
    }
    assert.ok(!isAllocatorFrame(frame("js", "malloc"), module as unknown as ModuleReport));
  });

  test("are left out at the inner end only, and never all", () => {
    const of = (...names: string[]) =>
      stackLines(
        names.map((name) => frame("wasm", name)),
        module as unknown as ModuleReport,
      ).map((line) => ("frame" in line ? line.frame.function : line.left));
    assert.deepEqual(of("malloc", "dlmalloc", "f", "malloc", "g"), [2, "f", "malloc", "g"]);
    assert.deepEqual(of("malloc"), ["malloc"]);
  });

  test("a long stack keeps its inner end and what surrounds the caller", () => {
    const stack = Array.from({ length: 40 }, (_, i) => frame(i < 25 ? "wasm" : "js", `f${i}`));
    const lines = stackLines(stack, module as unknown as ModuleReport, stack[30]);
    assert.deepEqual(
      lines.map((line) => ("frame" in line ? line.frame.function : line.left)),
      ["f0", "f1", "f2", "f3", "f4", "f5", "f6", 21, "f28", "f29", "f30", "f31", "f32", 7],
    );
  });
});

test("a command line names the program and the script from where the reader is", () => {
  const directory = "/home/user/thumbs";
  const line = (...argv: string[]) => commandLine(argv, directory);
  assert.equal(
    line("/usr/bin/node", `${directory}/src/app.mjs`, "--all", "/a b"),
    "node src/app.mjs --all /a b",
  );
  assert.equal(line("C:\\Program Files\\nodejs\\node.exe", "/elsewhere/app.mjs"), "node /elsewhere/app.mjs");
  assert.equal(
    line("/usr/bin/node", `${directory}/node_modules/vitest/vitest.mjs`),
    "node vitest/vitest.mjs",
  );
  assert.equal(line("/usr/bin/node"), "node");
  assert.equal(line(), "");
});
