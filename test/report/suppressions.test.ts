// Suppressions: read, matched against stacks, and made from findings so that they match what they were made from.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { FrameReport, MemoryErrorReport } from "../../src/analyze/report.js";
import { isSuppressed, parseSuppressions, suppressionOf } from "../../src/report/suppressions.js";

const frames = (...names: string[]): FrameReport[] =>
  names.map((name) => ({ kind: "wasm", function: name, file: "m.wasm", line: 1, column: 2 }) as FrameReport);

const finding = (kind: MemoryErrorReport["kind"], ...names: string[]): MemoryErrorReport => ({
  kind,
  access: kind === "leak" ? null : "read",
  address: 64,
  size: 4,
  memory: 1,
  stack: kind === "leak" ? [] : frames(...names),
  ...(kind === "leak" && { allocatedAt: frames(...names) }),
  count: 1,
});

const modules = [{ id: 7, name: "m.wasm", allocator: [] }];

const suppresses = (text: string, error: MemoryErrorReport) =>
  isSuppressed(error, modules, parseSuppressions(text, "known.txt"));

describe("suppressions", () => {
  test("name the kind and the innermost functions; further ones may follow", () => {
    const text = "heap-overflow\n  parse\n  load\n";
    assert.ok(suppresses(text, finding("heap-overflow", "parse", "load", "main")));
    assert.ok(!suppresses(text, finding("use-after-free", "parse", "load", "main")));
    assert.ok(!suppresses(text, finding("heap-overflow", "load", "main")));
    assert.ok(!suppresses(text, finding("heap-overflow", "parse")));
  });

  test("* stands for any text of a name, and for any kind; ... for any number of functions", () => {
    const text = "*\n  std::vec::*\n  ...\n  main\n";
    assert.ok(suppresses(text, finding("use-after-free", "std::vec::Vec<T>::push", "a", "b", "main")));
    assert.ok(suppresses(text, finding("leak", "std::vec::Vec<T>::push", "main")));
    assert.ok(!suppresses(text, finding("leak", "std::vec::Vec<T>::push", "a")));
    assert.ok(suppresses("leak\n  ...\n", finding("leak")));
    assert.ok(!suppresses("leak\n  a.c\n", finding("leak", "abc")), "a dot is a dot");
  });

  test("comments and empty lines don't count, and there may be several entries", () => {
    const text = "# known\n\ndouble-free\n  a\n\n  # still the same entry\n  b\nleak\n  c\n";
    assert.deepEqual(
      parseSuppressions(text, "known.txt").map(({ kind, functions }) => [kind, functions]),
      [
        ["double-free", ["a", "b"]],
        ["leak", ["c"]],
      ],
    );
  });

  test("what is made from a finding suppresses it", () => {
    for (const error of [
      finding("heap-overflow", "operator new[](unsigned long)", "f(int*, char)", "(anonymous)"),
      finding("leak", "a", "b", "c", "d", "e", "f", "g", "h"),
    ]) {
      const text = suppressionOf(error, modules);
      assert.ok(text !== undefined && suppresses(text, error), text);
    }
    assert.equal(suppressionOf(finding("host-write-after-free"), modules), undefined);
  });

  test("the allocator's own functions, which findings don't show, may be named or left out", () => {
    const error = finding("leak", "dlmalloc", "malloc", "words_count", "main");
    for (const text of ["leak\n  words_count\n", "leak\n  dlmalloc\n  malloc\n  words_count\n"]) {
      assert.ok(suppresses(text, error), text);
    }
    assert.ok(!suppresses("leak\n  main\n", error));
    assert.equal(suppressionOf(error, modules), "leak\n  words_count\n  main\n");
    const alone = finding("leak", "dlmalloc", "malloc");
    assert.equal(suppressionOf(alone, modules), "leak\n  dlmalloc\n  malloc\n");
  });

  test("what makes no sense is refused with its line", () => {
    const refused = (text: string, message: RegExp) =>
      assert.throws(() => parseSuppressions(text, "known.txt"), { code: "ERR_LINMEM_USAGE", message });
    refused("  a\n", /^known\.txt, line 1: a function, but no kind/);
    refused("\nheap-overrun\n  a\n", /^known\.txt, line 2: "heap-overrun" is no kind/);
    refused("leak\n  a\nleak\n", /^known\.txt, line 3: no functions below it/);
  });
});
