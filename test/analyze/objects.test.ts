import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { moduleObjects } from "../../src/analyze/objects.js";
import type { ContextReport, FrameReport } from "../../src/analyze/report.js";

const glue = "/app/node_modules/shapes/shapes.js";
const frame = (kind: "js" | "wasm", name: string, file: string, line: number): FrameReport => ({
  kind,
  function: name,
  file,
  line,
  column: 1,
});
const js = (name: string, file: string, line = 1) => frame("js", name, file, line);
const wasm = (index: number) => frame("wasm", "", "shapes.wasm", index);
const allocator = [{ role: "malloc", name: "malloc", index: 1, evidence: "" }];

let id = 0;
function context(stack: FrameReport[], allocations: number, liveBlocks: number): ContextReport {
  const frees = allocations - liveBlocks;
  const bytes = { allocatedBytes: allocations * 10, liveBytes: liveBlocks * 10, peakLiveBytes: 0 };
  return { id: ++id, stack, allocations, frees, liveBlocks, ...bytes, sampled: false, temporary: 0 };
}

/** A stack below the constructor of a class, called at a line of the program. */
const made = (inner: FrameReport[], line: number, name = "new Polygon") => [
  wasm(1),
  ...inner,
  wasm(7),
  js(name, glue, 20),
  js("draw", "/app/draw.ts", line),
];

const objects = (...contexts: ContextReport[]) =>
  moduleObjects({ toolchain: "", contexts, allocator }).map(
    ({ class: name, frame, made, live, liveAtMost, liveBytes }) => [
      `new ${name}`,
      frame && `${frame.file}:${frame.line}`,
      made,
      live,
      liveAtMost,
      liveBytes,
    ],
  );

describe("objects", () => {
  test("of a constructor that is handed a text: how many live is not told by that", () => {
    const text = [wasm(1), js("toHeap", glue), js("new Statement", glue), js("leak", "/app/a.ts", 3)];
    const statement = [wasm(1), wasm(9), wasm(7), js("new Statement", glue), js("leak", "/app/a.ts", 3)];
    const leaked = [context(text, 12, 0), context(statement, 10, 10)];
    assert.deepEqual(objects(...leaked), [["new Statement", "/app/a.ts:3", 12, null, 10, 100]]);
    const released = [context(text, 12, 0), context(statement, 10, 0)];
    assert.deepEqual(objects(...released), [["new Statement", "/app/a.ts:3", 12, 0, 0, 0]]);
  });

  test("are those of the class that calls the module, by the line that calls its constructor", () => {
    assert.deepEqual(
      objects(
        context(made([], 5), 10, 3),
        context(made([wasm(9)], 5), 40, 12),
        context(made([], 8), 6, 6),
        context(made([], 5, "new Circle"), 1, 0),
      ),
      [
        ["new Polygon", "/app/draw.ts:5", 10, 3, 3, 150],
        ["new Polygon", "/app/draw.ts:8", 6, 6, 6, 60],
        ["new Circle", "/app/draw.ts:5", 1, 0, 0, 0],
      ],
    );
  });

  test("of a static method are those of its class, by the method", () => {
    const [object] = moduleObjects({
      toolchain: "",
      contexts: [context(made([], 5, "Polygon.fromPoints"), 4, 2), context(made([], 6, "area"), 4, 2)],
      allocator,
    });
    assert.deepEqual([object.class, object.call, object.live], ["Polygon", "Polygon.fromPoints", 2]);
  });

  test("of a static method that has no class in its name are told by what calls it", () => {
    const called = (calls: string, line: number) => {
      const stack = made([], line, "fromPoints");
      return context([...stack.slice(0, -1), { ...stack.at(-1)!, calls }], 4, 2);
    };
    const contexts = [
      called("shapes.Polygon.fromPoints", 5),
      called("Polygon.other", 6),
      called("fromPoints", 7),
    ];
    const found = moduleObjects({ toolchain: "", contexts, allocator });
    assert.deepEqual(
      found.map((object) => [object.class, object.call, object.frame?.line]),
      [["Polygon", "Polygon.fromPoints", 5]],
    );
  });

  test("of one class made in two ways on one line are told apart", () => {
    const all = moduleObjects({
      toolchain: "",
      contexts: [context(made([], 5), 4, 2), context(made([], 5, "Polygon.copy"), 4, 1)],
      allocator,
    });
    assert.deepEqual(
      all.map(({ call, live }) => [call, live]),
      [
        ["new Polygon", 2],
        ["Polygon.copy", 1],
      ],
    );
  });

  test("are not counted where the blocks nearest to the constructor disagree", () => {
    const [object] = objects(
      context(made([], 5), 10, 3),
      context(made([], 5), 10, 0),
      context(made([], 5), 10, 3),
    );
    assert.deepEqual(object.slice(2), [10, null, 3, 60]);
    const [unclear] = objects(context(made([], 5), 10, 3), context(made([], 5), 20, 5));
    assert.deepEqual(unclear.slice(2), [null, null, 5, 80]);
  });

  test("a class of the program that uses the module is none of the module's", () => {
    const stack = [wasm(1), wasm(7), js("open", glue, 3), js("new Store", "/app/store.ts", 9)];
    assert.deepEqual(objects(context(stack, 1, 1)), []);
  });

  test("of embind, whose functions are made from text and have no file, are those of its class", () => {
    const inner = [wasm(1), wasm(7), js("constructor$Shape", "", 8), js("(anonymous)", glue, 2469)];
    const made = context([...inner, js("new Shape", "", 4), js("draw", "/app/draw.js", 2)], 4, 3);
    const factory = context([wasm(1), wasm(7), js("Shape.make", "", 8), js("draw", "/app/draw.js", 3)], 2, 2);
    const method = context([wasm(1), wasm(7), js("Shape#area", "", 8), js("draw", "/app/draw.js", 4)], 2, 2);
    assert.deepEqual(
      moduleObjects({ toolchain: "", contexts: [made, factory, method], allocator }).map(
        ({ call, live, frame }) => [call, live, frame?.line],
      ),
      [
        ["new Shape", 3, 2],
        ["Shape.make", 2, 3],
      ],
    );
  });

  test("that a function of the glue returns are those of the class that its text names", () => {
    const resize = { ...js("module.exports.resize", glue, 30), makes: "Image" };
    const stack = [wasm(1), wasm(7), resize, js("draw", "/app/draw.ts", 5)];
    const [object] = moduleObjects({ toolchain: "", contexts: [context(stack, 3, 2)], allocator });
    assert.deepEqual([object.class, object.call, object.live, object.frame?.line], ["Image", "resize", 2, 5]);
  });

  test("of embind, made by a function without a name, are those of the class that its caller names", () => {
    const caller = { ...js("draw", "/app/draw.ts", 5), calls: "yoga.Node.create" };
    const contexts = [context([wasm(1), wasm(7), js("(anonymous)", glue, 30), caller], 3, 2)];
    const [object] = moduleObjects({ toolchain: "Emscripten (minified)", contexts, allocator });
    assert.deepEqual([object.class, object.call, object.live], ["Node", "Node.create", 2]);
    assert.deepEqual(moduleObjects({ toolchain: "Rust", contexts, allocator }), []);
  });

  test("a class that extends another of the glue counts as that other", () => {
    const stack = [wasm(1), wasm(7), js("new Base", glue), js("new Derived", glue), js("f", "/app/a.ts", 4)];
    assert.deepEqual(objects(context(stack, 1, 1))[0].slice(0, 2), ["new Base", "/app/a.ts:4"]);
  });

  test("without JavaScript, or without wasm, there are none", () => {
    assert.deepEqual(objects(context([wasm(1), wasm(7)], 1, 1)), []);
    assert.deepEqual(objects(context([js("new Polygon", glue)], 1, 1), context([], 1, 1)), []);
  });
});
