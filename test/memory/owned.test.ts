// Handles and scopes, on their own: blocks of real modules are in module-heap.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import ts from "typescript";
import { Owned } from "../../src/memory/owned.js";
import { Scope } from "../../src/memory/scope.js";

const dispose: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for("Symbol.dispose");

/** A handle that notes in `log` when it is freed. */
class Note extends Owned {
  constructor(
    readonly label: string,
    readonly log: string[],
    readonly failure?: unknown,
  ) {
    super();
    this.begin();
  }

  get name(): string {
    return `note ${this.label}`;
  }

  read(): string {
    this.use();
    return this.label;
  }

  give(): void {
    this.disown();
  }

  protected free(): void {
    this.log.push(this.label);
    if (this.failure !== undefined) throw this.failure;
  }
}

test("`using` releases at the end of the block, the last handle first", () => {
  const log: string[] = [];
  {
    using a = new Note("a", log);
    using b = new Note("b", log);
    assert.deepEqual([a.read(), b.read(), log.length], ["a", "b", 0]);
  }
  assert.deepEqual(log, ["b", "a"]);
});

test("`using` releases when an exception passes", () => {
  const log: string[] = [];
  assert.throws(
    () => {
      using a = new Note("a", log);
      throw new Error(a.read());
    },
    { message: "a" },
  );
  assert.deepEqual(log, ["a"]);
});

test("use after release and double release name the handle", () => {
  const log: string[] = [];
  const a = new Note("a", log);
  assert.equal(a.released, false);
  a.release();
  assert.equal(a.released, true);
  assert.throws(() => a.read(), {
    name: "ReleasedError",
    code: "ERR_LINMEM_RELEASED",
    handle: "note a",
    message: "note a was used, but it is released",
  });
  assert.throws(() => a.release(), {
    name: "DoubleReleaseError",
    code: "ERR_LINMEM_DOUBLE_RELEASE",
    handle: "note a",
    message: "note a was released, but it is already released",
  });
  assert.deepEqual(log, ["a"]);
});

test("an early release inside of `using` is fine, a second disposal is not", () => {
  const log: string[] = [];
  {
    using a = new Note("a", log);
    a.release();
  }
  const b = new Note("b", log);
  b[dispose]();
  assert.throws(() => b[dispose](), { name: "DoubleReleaseError", handle: "note b" });
  assert.throws(() => b.release(), { name: "DoubleReleaseError", handle: "note b" });
  assert.deepEqual(log, ["a", "b"]);
});

test("what is given away is not released, and can't be used", () => {
  const log: string[] = [];
  {
    using a = new Note("a", log);
    a.give();
    assert.throws(() => a.read(), {
      name: "ReleasedError",
      message: "note a was used, but it is given to the module",
    });
    assert.throws(() => a.give(), { name: "ReleasedError" });
    assert.throws(() => a.release(), { name: "DoubleReleaseError" });
  }
  assert.deepEqual(log, []);
});

test("a handle whose release failed is not released again", () => {
  const log: string[] = [];
  const a = new Note("a", log, new Error("no"));
  assert.throws(() => a.release(), { message: "no" });
  assert.throws(() => a.release(), { name: "DoubleReleaseError" });
  assert.deepEqual(log, ["a"]);
});

test("a scope releases in reverse order", () => {
  const log: string[] = [];
  {
    using scope = new Scope();
    scope.add(new Note("a", log));
    scope.adopt("b", (value) => void log.push(value));
    scope.defer(() => void log.push("c"));
    assert.equal(scope.size, 3);
  }
  assert.deepEqual(log, ["c", "b", "a"]);
});

test("a scope releases everything when an exception passes", () => {
  const log: string[] = [];
  assert.throws(
    () => {
      using scope = new Scope();
      scope.add(new Note("a", log));
      scope.add(new Note("b", log));
      throw new Error("mine");
    },
    { message: "mine" },
  );
  assert.deepEqual(log, ["b", "a"]);
});

/** A chain of suppressed errors as the messages of what was thrown, the latest first. */
function chain(error: unknown): string[] {
  const { name, message, error: latest, suppressed } = error as Error & { error: Error; suppressed: unknown };
  return name === "SuppressedError" ? [latest.message, ...chain(suppressed)] : [message];
}

test("handles that fail don't keep others from being released, and no error is lost", () => {
  const log: string[] = [];
  const scope = new Scope();
  scope.add(new Note("a", log, new Error("a fails")));
  scope.add(new Note("b", log));
  scope.add(new Note("c", log, new Error("c fails")));
  scope.add(new Note("d", log, new Error("d fails")));
  assert.throws(
    () => scope.release(),
    (error) => {
      assert.deepEqual(chain(error), ["a fails", "c fails", "d fails"]);
      return error instanceof Error;
    },
  );
  assert.deepEqual(log, ["d", "c", "b", "a"]);
  assert.throws(() => scope.release(), { name: "DoubleReleaseError" });
});

test("one failure is thrown as it is", () => {
  const scope = new Scope();
  const failure = new Error("one");
  scope.add(new Note("a", [], failure));
  assert.throws(
    () => scope.release(),
    (error) => error === failure,
  );
});

test("handles released early, or taken out, are left alone", () => {
  const log: string[] = [];
  let kept: Note;
  {
    using scope = new Scope();
    kept = scope.keep(scope.add(new Note("kept", log)));
    scope.add(new Note("early", log)).release();
    assert.throws(() => scope.keep(kept), { name: "ReleasedError" });
  }
  assert.deepEqual(log, ["early"]);
  kept.release();
});

test("a moved scope releases nothing, the new one everything", () => {
  const log: string[] = [];
  let moved: Scope;
  {
    using scope = new Scope();
    scope.add(new Note("a", log));
    moved = scope.move();
    assert.throws(() => scope.add(new Note("b", log)), { name: "ReleasedError" });
  }
  assert.deepEqual(log, []);
  moved.release();
  assert.deepEqual(log, ["a"]);
});

test("scopes nest", () => {
  const log: string[] = [];
  using outer = new Scope();
  const inner = outer.add(new Scope());
  inner.add(new Note("a", log));
  outer.release();
  assert.deepEqual(log, ["a"]);
});

test("a scope refuses what can't be released", () => {
  using scope = new Scope();
  for (const value of [null, undefined, 1, {}, () => {}]) {
    assert.throws(() => scope.add(value as never), TypeError);
  }
});

test("Scope.run ends with the function", () => {
  const log: string[] = [];
  assert.equal(
    Scope.run((scope) => scope.add(new Note("a", log)).read()),
    "a",
  );
  assert.deepEqual(log, ["a"]);
  const failing = () =>
    Scope.run((scope) => {
      scope.add(new Note("b", log, new Error("b fails")));
      throw new Error("mine");
    });
  assert.throws(failing, (error) => {
    assert.deepEqual(chain(error), ["b fails", "mine"]);
    return true;
  });
});

test("Scope.run ends with the promise of an async function", async () => {
  const log: string[] = [];
  const running = Scope.run(async (scope) => {
    const a = scope.add(new Note("a", log));
    await new Promise(setImmediate);
    return a.read();
  });
  assert.deepEqual(log, []);
  assert.equal(await running, "a");
  assert.deepEqual(log, ["a"]);
  await assert.rejects(
    Scope.run(async (scope) => {
      scope.add(new Note("b", log));
      throw new Error("mine");
    }),
    { message: "mine" },
  );
  assert.deepEqual(log, ["a", "b"]);
});

test("`using` as TypeScript compiles it", async () => {
  const source = `export default (make) => {
    using a = make("a");
    using b = make("b", new Error("b fails"));
    throw new Error(a.read() + b.read());
  };`;
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
  });
  assert.match(outputText, /__addDisposableResource/);
  const compiled = await import(`data:text/javascript,${encodeURIComponent(outputText)}`);
  const log: string[] = [];
  assert.throws(
    () => compiled.default((label: string, failure?: Error) => new Note(label, log, failure)),
    (error) => {
      assert.deepEqual(chain(error), ["b fails", "ab"]);
      return true;
    },
  );
  assert.deepEqual(log, ["b", "a"]);
});
