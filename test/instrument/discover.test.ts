// Allocators that nobody made a rule for, and functions that only look like one.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { stripped } from "../../scripts/strip-matrix/variants.js";
import { confirmAllocator } from "../../src/instrument/allocators/discover.js";
import { neverReturns } from "../../src/instrument/allocators/never-returns.js";
import { buildCallGraph } from "../../src/instrument/call-graph.js";
import { findAllocator } from "../../src/instrument/find-allocator.js";
import { findSites } from "../../src/instrument/walker.js";
import { decodeModule } from "../../src/wasm/module.js";
import { heapAtAddressesText, heapOfListsText, type Lists, release } from "../support/heap-of-lists.js";
import { assemble } from "./support.js";

function heapOfLists(lists: Lists): Uint8Array<ArrayBuffer> {
  return assemble(heapOfListsText(lists));
}

/** The same with methods, which get an address first. */
function methodsOfLists(lists: Lists): Uint8Array<ArrayBuffer> {
  return assemble(
    heapOfListsText(lists).replaceAll(/\(func \$(?:make|release)|\(call \$(?:make|release)/g, (begin) =>
      begin.startsWith("(func") ? `${begin} (param $self i32)` : `${begin} (i32.const 6000)`,
    ),
  );
}

function found(bytes: Uint8Array) {
  return findAllocator(decodeModule(stripped(decodeModule(bytes))));
}

describe("by trying functions out", () => {
  test("finds what allocates and releases in a heap that nobody knows", () => {
    const { functions } = found(heapOfLists({ release }));
    assert.deepEqual(
      functions.map(({ role, index, confidence }) => [role, index, confidence]),
      [
        ["malloc", 0, "proved"],
        ["free", 1, "proved"],
      ],
    );
  });

  for (const [what, params, values] of [
    ["size and alignment", "(param $size i32) (param $alignment i32)", "(i32.const 24) (i32.const 8)"],
    ["alignment and size", "(param $alignment i32) (param $size i32)", "(i32.const 8) (i32.const 24)"],
  ] as const) {
    test(`finds a method that releases, takes ${what} and trusts them`, () => {
      const trusting = `(if (i32.or (i32.ne (i32.popcnt (local.get $alignment)) (i32.const 1))
        (i32.gt_u (local.get $alignment) (i32.const 16))) (then unreachable)) ${release}`;
      const { functions } = found(methodsOfLists({ release: trusting, more: { params, values } }));
      assert.deepEqual(
        functions.map(({ role, index }) => [role, index]),
        [
          ["malloc_method", 0],
          ["free_method", 1],
        ],
      );
    });
  }

  test("finds an allocator that gives released blocks out again only after many others", () => {
    // a hundred blocks come fresh before the lists are looked at
    const text = heapOfListsText({ release })
      .replace("(global $top", "(global $fresh (mut i32) (i32.const 0))\n(global $top")
      .replace(
        "(if (local.get $block)",
        `(if (i32.lt_u (global.get $fresh) (i32.const 100))
          (then (global.set $fresh (i32.add (global.get $fresh) (i32.const 1))) (local.set $block (i32.const 0)))
          (else (if (i32.eqz (local.get $block)) (then (global.set $fresh (i32.const 0))))))
        (if (local.get $block)`,
      );
    const { functions } = found(assemble(text));
    assert.deepEqual(
      functions.map(({ role, index }) => [role, index]),
      [
        ["malloc", 0],
        ["free", 1],
      ],
    );
  });

  test("finds an allocator whose stack and heap lie where a loader puts them", () => {
    const text = heapOfListsText({ release })
      .replace(
        '(memory (export "memory") 1)',
        `(import "env" "__stack_pointer" (global $stack (mut i32)))
        (import "GOT.mem" "__heap_base" (global $top (mut i32)))
        (import "env" "memory" (memory 32))`,
      )
      .replace("(global $top (mut i32) (i32.const 4096))", "")
      .replace(
        "(local.set $class",
        "(i32.store (i32.sub (global.get $stack) (i32.const 16)) (local.get $size)) (local.set $class",
      );
    const { functions } = found(assemble(text));
    assert.deepEqual(
      functions.map(({ role, index }) => [role, index]),
      [
        ["malloc", 0],
        ["free", 1],
      ],
    );
  });

  test("finds an allocator whose heap's end a script writes before anything runs", () => {
    const text = heapOfListsText({ release })
      .replace(
        '(memory (export "memory") 1)',
        '(import "env" "DYNAMICTOP_PTR" (global $at i32)) (import "env" "memory" (memory 32))',
      )
      .replace("(global $top (mut i32) (i32.const 4096))", "")
      .replaceAll("(global.get $top)", "(i32.load (global.get $at))")
      .replaceAll("(global.set $top ", "(i32.store (global.get $at) ");
    const { functions } = found(assemble(text));
    assert.deepEqual(
      functions.map(({ role, index }) => [role, index]),
      [
        ["malloc", 0],
        ["free", 1],
      ],
    );
  });

  /** Keeps the first 16 bytes of a block and gives what lies behind them out again, in halves. */
  const shrinks = `(local $block i32) (local $list i32) (local $piece i32)
    (local.set $block (i32.sub (local.get $address) (i32.const 8)))
    (local.set $list (i32.load offset=4 (local.get $block)))
    (i32.store offset=4 (local.get $block) (i32.const 2048))
    (block $done (loop $halves
      (br_if $done (i32.le_u (local.get $list) (i32.const 2048)))
      (local.set $list (i32.sub (local.get $list) (i32.const 4)))
      (local.set $piece (i32.add (local.get $block)
        (i32.shl (i32.const 16) (i32.shr_u (i32.sub (local.get $list) (i32.const 2048)) (i32.const 2)))))
      (i32.store offset=4 (local.get $piece) (local.get $list))
      (i32.store (local.get $piece) (i32.load (local.get $list)))
      (i32.store (local.get $list) (local.get $piece))
      (br $halves)))`;
  const impostors: [what: string, lists: Lists][] = [
    ["a release that only makes blocks smaller", { release: shrinks }],
    ["a release that does nothing", { release: "" }],
    ["a release of the wrong block", { release: release.replaceAll("(i32.const 8)", "(i32.const 32)") }],
    ["blocks that overlap", { release, step: "(i32.const 16)" }],
    ["pages instead of bytes", { release, step: "(i32.shl (local.get $size) (i32.const 16))" }],
  ];
  for (const [what, lists] of impostors) {
    test(`rejects ${what}`, () => {
      const { functions, notes } = found(heapOfLists(lists));
      assert.deepEqual(functions, []);
      assert.deepEqual(notes, ["no allocator was found"]);
    });
  }

  test("functions that never end are no allocator, and don't keep the search from ending", () => {
    const bytes = assemble(`(module (memory 1)
      (func $make (param i32) (result i32) (loop $again (br $again)) (i32.const 0))
      (func $wild (param i32) (result i32) (call $wild (local.get 0)))
      (func $fill (param i32) (result i32)
        (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (i32.const 64))
      (func $release (param i32) (loop $again (br $again)))
      (func (export "run") (param i32)
        (call $release (call $make (local.get 0)))
        (drop (call $wild (call $fill (memory.grow (i32.const 0)))))))`);
    assert.deepEqual(found(bytes).functions, []);
  });

  test("what was found by its constants is tried out: what misbehaves is dropped", () => {
    const module = decodeModule(heapOfLists({ release: "" }));
    const graph = buildCallGraph(module, findSites(module));
    const guess = (role: "malloc" | "free", index: number) =>
      ({ role, index, evidence: "body constants", confidence: "likely" }) as const;
    assert.equal(confirmAllocator(module, graph, [guess("malloc", 0), guess("free", 1)]), "contradicted");
    assert.equal(confirmAllocator(module, graph, [guess("malloc", 2), guess("free", 1)]), "contradicted");
    const whole = decodeModule(heapOfLists({ release }));
    const other = buildCallGraph(whole, findSites(whole));
    assert.equal(confirmAllocator(whole, other, [guess("malloc", 0), guess("free", 1)]), "proved");
  });
});

function heapAtAddresses(options: Parameters<typeof heapAtAddressesText>[0]): Uint8Array<ArrayBuffer> {
  return assemble(heapAtAddressesText(options));
}

describe("what else works on an allocator's state", () => {
  const roles = (bytes: Uint8Array<ArrayBuffer>) =>
    found(bytes).functions.map(({ role, index }) => [role, index]);
  const pair = [
    ["malloc", 2],
    ["free", 3],
  ];

  test("is no function that has only messages for panics in common with it", () => {
    assert.deepEqual(roles(heapAtAddresses({})), pair);
    assert.deepEqual(roles(heapAtAddresses({ panics: "unreachable (br $stop)" })), pair);
    // right in front of the lists, which are not behind this address but at their own
    assert.deepEqual(roles(heapAtAddresses({ message: 4990 })), pair);
  });

  test("is a copy for one size, which has an address of its own within the state", () => {
    const more = `(func (export "dropSmall") (param $address i32)
      (i32.store (i32.sub (local.get $address) (i32.const 8)) (i32.load (i32.const 5004)))
      (i32.store (i32.const 5004) (i32.sub (local.get $address) (i32.const 8))))`;
    const { functions, notes } = found(heapAtAddresses({ more }));
    assert.deepEqual(functions, []);
    assert.match(
      notes.join(),
      /^function 2 allocates and function 3 releases, but a part of that .* in function 6 too/,
    );
  });
});

describe("whether a function returns", () => {
  const returns: [body: string, never: boolean][] = [
    ["unreachable", true],
    ["(loop $stop unreachable (br $stop))", true],
    ["(loop $again (br $again))", true],
    ["(block $out (br_if $out (local.get 0)) unreachable)", false],
    ["(block $out (br_if $out (local.get 0))) unreachable", true],
    ["(if (local.get 0) (then unreachable) (else unreachable))", true],
    ["(if (local.get 0) (then unreachable))", false],
    ["(if (local.get 0) (then unreachable) (else (return)))", false],
    ["(block $a (block $b (br_table $a $b (local.get 0))) unreachable)", false],
    ["(block $a (block $b (br_table $b $b (local.get 0)))) unreachable", true],
    ["unreachable return", true],
    ["(br 0)", false],
    ["(call 0 (i32.const 1))", false],
    ["", false],
  ];
  test("what calls such a one on every way never does, what may go round it does", () => {
    const module = decodeModule(
      assemble(`(module (func $panic (param i32) (loop $stop unreachable))
        (func $message (param i32) (call $panic (i32.const 8)))
        (func (param i32) (if (local.get 0) (then (call $panic (i32.const 1))) (else (call $message (i32.const 2)))))
        (func (param i32) (if (local.get 0) (then (call $message (i32.const 1)))))
        (func $around (param i32) (call $around (local.get 0))))`),
    );
    assert.deepEqual(
      [1, 2, 3, 4].map((index) => neverReturns(module, index)),
      [true, true, false, false],
    );
  });

  for (const [body, never] of returns) {
    test(`${body || "an empty one"}: ${never ? "never" : "it may"}`, () => {
      const module = decodeModule(assemble(`(module (func (param i32) ${body}))`));
      assert.equal(neverReturns(module, 0), never);
    });
  }
});

describe("AssemblyScript of the installed version", () => {
  const folder = mkdtempSync(join(tmpdir(), "linmem-assemblyscript-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  function compiled(...options: string[]) {
    const asc = fileURLToPath(new URL("../../node_modules/assemblyscript/bin/asc.js", import.meta.url));
    const source = new URL("../../scripts/strip-matrix/programs/words.assemblyscript", import.meta.url);
    copyFileSync(fileURLToPath(source), join(folder, "words.ts"));
    const args = [asc, "words.ts", "--baseDir", folder, "--debug", ...options, "--outFile", "words.wasm"];
    execFileSync(process.execPath, args);
    return new Uint8Array(readFileSync(join(folder, "words.wasm")));
  }

  test("its incremental runtime, without names", () => {
    const bytes = compiled("--runtime", "incremental", "--exportRuntime");
    const named = decodeModule(bytes);
    assert.deepEqual(
      found(bytes).functions.map(({ role, index }) => [role, named.functionName(index)]),
      [
        ["free", "~lib/rt/tlsf/__free"],
        ["malloc", "~lib/rt/tlsf/__alloc"],
      ],
    );
  });

  for (const [level, expected] of [
    // one level below __new, whose blocks nothing releases
    ["-O0", ["__alloc", "__free", "__realloc"]],
    // __alloc and __free are inlined: what is left hands out headers
    ["-O1", ["allocateBlock", "freeBlock"]],
    ["-Oz", ["allocateBlock", "freeBlock"]],
  ] as const) {
    test(`its minimal runtime, without names, ${level}`, () => {
      const bytes = compiled("--runtime", "minimal", "--exportRuntime", ...(level === "-O0" ? [] : [level]));
      const named = decodeModule(bytes);
      const { functions } = found(bytes);
      assert.deepEqual(
        functions.map(({ index }) => named.functionName(index)).sort(),
        expected.map((name) => `~lib/rt/tlsf/${name}`),
      );
      for (const { confidence } of functions) assert.equal(confidence, "proved");
    });
  }

  test("a runtime that never releases has nothing to pair", () => {
    assert.deepEqual(found(compiled("--runtime", "stub", "-O2")).functions, []);
  });
});
