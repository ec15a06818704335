import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CaptureBudget } from "../../src/attach/budget.js";
import {
  captureCredit,
  captureShare,
  capturesAfterNews,
  capturesWithoutNews,
  carefreeCredit,
  contextCredit,
  contextShare,
} from "../../src/attach/limits.js";
import type { ModuleRegistry } from "../../src/attach/module-registry.js";
import { isReentered, type Site, Sites, StackIds, splitStack } from "../../src/attach/stacks.js";
import { TrackedMemory } from "../../src/attach/tracked-memory.js";
import { captureCallSites, scriptFunctionName } from "../../src/attach/v8-stacks.js";
import type { Recorder } from "../../src/recorder/index.js";

/** `js` `wasm` of module 1, `Wasm` of module 2; `entry`, `exposer`, `hook` added to module 1; `recorder`. Innermost first. */
function sites(text: string): Site[] {
  return text.split(" ").map((name, i) => ({
    number: i + 1,
    frame: { kind: name.startsWith("js") ? "js" : "wasm", function: name, file: "", line: 0, column: 0 },
    module: /^(wasm|entry|exposer|hook)/.test(name) ? 1 : /^Wasm/.test(name) ? 2 : 0,
    hidden: /^(entry|exposer|hook|recorder)/.test(name),
    ...(name === "exposer" && { exposer: true }),
  }));
}
const names = (list: readonly Site[]) => list.map((site) => site.frame.function).join(" ");

describe("a stack is cut below the outermost entry of its modules", () => {
  for (const [stack, context, caller] of [
    ["recorder hook wasm1 wasm2 entry js1 js2", "wasm1 wasm2", "js1 js2"],
    ["recorder entry js1 js2", "", "js1 js2"],
    ["recorder hook wasm1 entry js1 wasm2 entry js2", "wasm1 js1 wasm2", "js2"],
    // Another module called JavaScript that entered this one: its context is not theirs.
    ["recorder hook wasm1 entry js1 Wasm js2", "wasm1", "js1 Wasm js2"],
  ]) {
    test(stack, () => {
      const split = splitStack(sites(stack), new Set([1]));
      assert.equal(names(split.context), context);
      assert.equal(names(split.caller), caller);
    });
  }

  test("modules that share a memory share the context", () => {
    const split = splitStack(sites("recorder hook wasm Wasm js Wasm js2"), new Set([1, 2]));
    assert.equal(names(split.context), "wasm Wasm js Wasm");
  });
});

test("an entry is nested when a function of its own module is on the stack below it", () => {
  const nested = (stack: string) => isReentered(sites(stack), new Set([1, 2]));
  assert.equal(nested("recorder entry js"), false);
  assert.equal(nested("recorder entry js Wasm js"), false);
  assert.equal(nested("recorder entry js wasm entry js"), true);
  // modules that are linked dynamically call each other without JavaScript in between
  assert.equal(nested("recorder entry Wasm wasm entry js"), true);
  assert.equal(nested("recorder entry Wasm js"), false);
  // the exposer in front of the entry is a part of it; one whose function left by a tail call is not
  assert.equal(nested("recorder entry exposer js"), false);
  assert.equal(nested("recorder entry exposer js wasm entry exposer js"), true);
  assert.equal(nested("recorder entry entry exposer js"), true);
});

test("equal stacks have one id, and their frames are looked at once", () => {
  const seen: string[] = [];
  const ids = new StackIds((frames) => seen.push(frames.map((frame) => frame.function).join(" ")));
  const stack = sites("a b c");
  assert.deepEqual([ids.of(stack), ids.of([...stack]), ids.of(stack.slice(1))], [1, 1, 2]);
  assert.deepEqual(seen, ["a b c", "b c"]);
});

test("captures begin at the caller and leave Error as it was", () => {
  const limit = Error.stackTraceLimit;
  function caller() {
    return inner();
  }
  function inner() {
    return captureCallSites(inner);
  }
  assert.equal(caller()[0].getFunctionName(), "caller");
  assert.equal(Error.stackTraceLimit, limit);
  const prepare = () => "mine";
  Error.prepareStackTrace = prepare;
  try {
    assert.ok(caller().length > 1);
    assert.equal(Error.prepareStackTrace, prepare);
  } finally {
    Reflect.deleteProperty(Error, "prepareStackTrace");
  }
});

test("static methods are named with their class where the engine tells, constructors with `new`, others by their name", () => {
  const seen: string[] = [];
  const types: unknown[] = [];
  function name(): void {
    function here() {
      return captureCallSites(here);
    }
    const [, caller] = here();
    seen.push(scriptFunctionName(caller));
    types.push(caller.getTypeName?.());
  }
  class Picture {
    constructor(quiet?: boolean) {
      if (!quiet) name();
    }
    static open(): void {
      name();
    }
    draw(): void {
      name();
    }
  }
  const { open } = Picture;
  Picture.open();
  new Picture();
  new Picture(true).draw();
  open();
  // later engines than that of Node 22 make no difference between the two kinds of methods: then neither has a class
  const tells = types[0] === "Function";
  assert.deepEqual(seen, [tells ? "Picture.open" : "open", "new Picture", "draw", "open"]);
});

test("functions made from text have no file, and are told apart by their names", () => {
  const capture = () => captureCallSites(capture);
  const invoker = (name: string): (() => ReturnType<typeof captureCallSites>) =>
    new Function("capture", `return function ${name}() { return capture(); }`)(capture);
  const noModules = { living: () => [] } as unknown as ModuleRegistry; // scripts only
  const sites = new Sites(noModules, { ownFiles: ["file:///linmem/"], path: (file) => file });
  const names = (callSites: ReturnType<typeof captureCallSites>) => sites.of(callSites)[0].frame.function;
  const Shape = { make: invoker("Shape$make"), mark: invoker("Shape$mark") };
  assert.equal(names(Shape.make()), "Shape#make");
  assert.equal(names(Shape.mark()), "Shape#mark");
  assert.equal(names(Object.assign(() => 0, { make: invoker("Shape$make") }).make()), "Shape.make");
  assert.equal(sites.isOwn(Shape.make()[0]), false);
});

test("captures of callers are charged to a credit and a share of the run; others are only added up", () => {
  let time = 0;
  const budget = new CaptureBudget(() => time);
  const work = (milliseconds: number) => () => {
    time += milliseconds;
  };
  assert.equal(budget.left(), captureCredit);
  budget.other(work(40));
  assert.equal(budget.left(), captureCredit + 40 * captureShare);
  budget.caller(work(60));
  assert.equal(budget.left(), captureCredit + 100 * captureShare - 60);
  assert.equal(budget.total, 100);
});

test("captures of contexts have a credit and a share of their own, unless all of them are wanted", () => {
  let time = 0;
  const budget = new CaptureBudget(() => time);
  const capture = () => budget.context(() => (time += 1));
  let captures = 0;
  for (; budget.hasTimeForContexts; captures++) capture();
  const expected = contextCredit / (1 - contextShare);
  assert.ok(Math.abs(captures - expected) <= 1, `${captures}`);
  assert.equal(budget.left(), captureCredit + time * captureShare);
  time += 10 / contextShare;
  for (captures = 0; budget.hasTimeForContexts; captures++) capture();
  assert.ok(captures >= 9 && captures <= 12, `${captures}`);
  budget.mode = "all";
  assert.equal(budget.hasTimeForContexts, true);

  const unbounded = new CaptureBudget(() => time, true);
  for (let i = 0; i < 10 * contextCredit; i++) unbounded.context(() => (time += 1));
  assert.equal(unbounded.hasTimeForContexts, true);
});

test("captures that tell nothing new are dear once some of the credit is spent, and get no more than half of it", () => {
  let time = 0;
  const budget = new CaptureBudget(() => time);
  const capture = (price: number) => {
    budget.caller(() => {
      time += 1;
    }, price);
  };
  for (let i = 0; i < carefreeCredit; i++) {
    assert.equal(budget.isThrifty, false);
    capture(1);
  }
  assert.equal(budget.isThrifty, true);
  assert.ok(budget.left(true) > 0, "some of the credit is left for those");
  while (budget.left(true) > 0) capture(8);
  const share = () => captureShare * time;
  const close = (left: number, expected: number) => assert.ok(Math.abs(left - expected) < 1e-9, `${left}`);
  const left = budget.left() - share();
  assert.ok(left > captureCredit / 2 - 8 && left <= captureCredit / 2, `${left}`);
  capture(8);
  close(budget.left(), left - 8 + share());
  budget.mode = "all";
  assert.equal(budget.isThrifty, false);
  assert.equal(budget.left(true), Number.POSITIVE_INFINITY);
});

test("a memory is quiet when captures told nothing new for long, until there is news", () => {
  const memory = new TrackedMemory(1, { initialPages: 1, maximumPages: null, shared: false }, 0);
  let news = false;
  memory.recorder = { hasNews: () => news } as Recorder;
  const capture = (times: number) => {
    for (let i = 0; i < times; i++) memory.captured();
  };
  capture(capturesWithoutNews - 1);
  assert.equal(memory.isQuiet(), false);
  capture(1);
  assert.equal(memory.isQuiet(), true);
  news = true;
  assert.equal(memory.isQuiet(), false);
  news = false;
  capture(capturesAfterNews - 1);
  assert.equal(memory.isQuiet(), false);
  capture(1);
  assert.equal(memory.isQuiet(), true);
  // much of it adds up
  news = true;
  for (let i = 0; i < capturesWithoutNews; i++) memory.isQuiet();
  news = false;
  capture(capturesWithoutNews - 1);
  assert.equal(memory.isQuiet(), false);
  capture(1);
  assert.equal(memory.isQuiet(), true);
});

test("a capture that another process interrupted is charged like a slow one, and counts whole in the total", () => {
  let time = 0;
  const budget = new CaptureBudget(() => time);
  const capture = (milliseconds: number) => {
    const before = budget.left();
    budget.caller(() => {
      time += milliseconds;
    });
    return before + milliseconds * captureShare - budget.left();
  };
  const close = (charged: number, expected: number) =>
    assert.ok(Math.abs(charged - expected) < 1e-9, `${charged}`);
  for (let i = 0; i < 100; i++) close(capture(1), 1);
  close(capture(6), 6);
  const charged = capture(500);
  assert.ok(charged > 8 && charged < 12, `${charged}`);
  assert.ok(Math.abs(budget.total - 606) < 1e-9);
  // where captures become slower for good, their cost is known soon
  const costs = Array.from({ length: 40 }, () => capture(50));
  close(costs.at(-1)!, 50);
});
