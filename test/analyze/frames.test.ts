import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { callerFrame, StackReader } from "../../src/analyze/frames.js";
import type { FrameReport } from "../../src/analyze/report.js";
import { Routes } from "../../src/analyze/routed-context.js";
import { type HeaderRecord, profileVersion } from "../../src/profile/records.js";
import { emptyProfile } from "../../src/profile/state.js";

const js = (name: string, file: string): FrameReport => ({
  kind: "js",
  function: name,
  file,
  line: 1,
  column: 1,
});
const wasm = (name: string, file = "m.wasm"): FrameReport => ({ ...js(name, file), kind: "wasm" });
const header: HeaderRecord = {
  type: "header",
  format: "linmem",
  version: profileVersion,
  linmem: "0",
  time: 0,
  pid: 0,
  engine: { name: "", version: "" },
  platform: "",
  argv: [],
};
const callerOf = (...stack: FrameReport[]) => callerFrame(stack)?.function;

describe("the caller of a stack", () => {
  test("is the program's own innermost line", () => {
    assert.equal(
      callerOf(
        wasm("f"),
        js("glue", "/a/node_modules/p/p.js"),
        js("leak", "/a/app.mjs"),
        js("main", "/a/app.mjs"),
      ),
      "leak",
    );
  });

  test("is not glue code beside the module, wherever that lies", () => {
    assert.equal(
      callerOf(wasm("f", "/a/pkg/photon_bg.wasm"), js("f", "/a/pkg/photon.js"), js("leak", "/a/app.mjs")),
      "leak",
    );
  });

  test("is not the engine's own code", () => {
    assert.equal(callerOf(wasm("f"), js("emit", "node:events"), js("leak", "file:///a/app.mjs")), "leak");
  });

  test("in a program that is itself a package, is the first outside the one that calls the module", () => {
    assert.equal(
      callerOf(wasm("f"), js("glue", "/a/node_modules/lib/l.js"), js("tool", "/a/node_modules/@t/tool/t.js")),
      "tool",
    );
  });

  test("is the innermost frame where there is only glue", () => {
    assert.equal(
      callerOf(wasm("f"), js("a", "/n/node_modules/p/a.js"), js("b", "/n/node_modules/p/b.js")),
      "a",
    );
    assert.equal(callerOf(wasm("f"), js("tick", "node:internal/timers")), "tick");
  });

  test("is none without JavaScript", () => {
    assert.equal(callerOf(wasm("f")), undefined);
  });
});

test("a context has its wasm part, with JavaScript between wasm frames and not beyond them, and its caller", () => {
  const profile = emptyProfile(header);
  profile.stacks.addWhole(1, [wasm("a"), js("callback", "x.js"), wasm("b"), js("first", "x.js")]);
  profile.stacks.addWhole(2, [js("main", "x.js")]);
  const stacks = new StackReader(profile, (name) => name);
  const names = (stack: number, caller: number) => stacks.whole(stack, caller).map((frame) => frame.function);
  assert.deepEqual(names(1, 2), ["a", "callback", "b", "main"]);
  assert.deepEqual(names(1, 0), ["a", "callback", "b"]);
  assert.deepEqual(names(2, 2), ["main"]);
});

test("contexts of one route have one caller: that of each one's whole stack", () => {
  const glue = "/a/pkg/m.js";
  const frames = [
    wasm("f"),
    wasm("g"),
    wasm("h", "/a/pkg/other.wasm"),
    js("glue", glue),
    js("other", "/a/pkg/other.js"),
    js("library", "/a/node_modules/p/p.js"),
    js("emit", "node:events"),
    js("program", "/a/app.mjs"),
  ];
  const stack = fc.array(fc.constantFrom(...frames), { maxLength: 7 });
  const script = fc.array(fc.constantFrom(...frames.slice(3)), { maxLength: 4 });
  const pairs = fc.array(fc.tuple(stack, script), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(pairs, (contexts) => {
      const profile = emptyProfile(header);
      contexts.forEach(([inner, outer], i) => {
        if (inner.length > 0) profile.stacks.addWhole(2 * i + 1, inner);
        if (outer.length > 0) profile.stacks.addWhole(2 * i + 2, outer);
      });
      const stacks = new StackReader(profile, (name) => name);
      const routes = new Routes(stacks);
      contexts.forEach((_, i) => {
        const { caller, outer } = routes.get(2 * i + 1, 2 * i + 2);
        const whole = stacks.whole(2 * i + 1, 2 * i + 2);
        assert.deepEqual(caller, callerFrame(whole));
        assert.deepEqual(outer, whole.slice(whole.length - outer.length));
      });
    }),
    { seed: 20_261_130, numRuns: 2000 },
  );
});

test("contexts that differ in functions of a module only have one route", () => {
  const profile = emptyProfile(header);
  profile.stacks.addWhole(1, [wasm("f"), wasm("g"), js("first", "x.js")]);
  profile.stacks.addWhole(2, [wasm("g"), js("second", "x.js")]);
  profile.stacks.addWhole(3, [wasm("g"), js("callback", "x.js"), wasm("g")]);
  profile.stacks.addWhole(4, [js("main", "x.js")]);
  profile.stacks.addWhole(5, [js("other", "x.js")]);
  const routes = new Routes(new StackReader(profile, (name) => name));
  assert.equal(routes.get(1, 4), routes.get(2, 4));
  assert.notEqual(routes.get(1, 4), routes.get(3, 4));
  assert.notEqual(routes.get(1, 4), routes.get(1, 5));
});

test("Rust's hashes are hidden, other brackets stay", () => {
  const profile = emptyProfile(header);
  const names = {
    "core::fmt::Formatter::pad::h0123456789abcdef": "core::fmt::Formatter::pad",
    "__rustc[5224e6b81cd82a8f]::__rust_alloc": "__rustc::__rust_alloc",
    "Vec::operator[](int)": "Vec::operator[](int)",
    "wasm-function[1234567]": "wasm-function[1234567]",
    "a::head": "a::head",
  };
  profile.stacks.addWhole(
    1,
    Object.keys(names).map((name) => wasm(name)),
  );
  const frames = new StackReader(profile, (name) => name).frames(1);
  assert.deepEqual(
    frames.map((frame) => frame.function),
    Object.values(names),
  );
});
