// `linmem run` as its users run it: the program ends as it would without, and a profile is left.
// Runs dist/, so build first.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, describe, test } from "node:test";
import { ended, framesOf, linmem, ofType, printed, Sandbox } from "../attach/run-program.js";

const sandbox = new Sandbox();
after(() => sandbox.remove());
afterEach(() => sandbox.clear());

const instance = "new WebAssembly.Instance(new WebAssembly.Module(modules.memory));\n";
const lasts = "setInterval(() => {}, 1000); console.log('up');\n";
const posix = { skip: process.platform === "win32" && "signals end programs differently on Windows" };

describe("the program", () => {
  test("gets its arguments, node its options", async () => {
    const script = sandbox.write("args.mjs", "console.log(process.argv.slice(2), process.execArgv);");
    const args = ["--no-warnings", "--stack-trace-limit=7", script, "--out", "x", "--", "--force"];
    const { native, profiled } = await sandbox.both(args);
    assert.equal(profiled.stdout, native.stdout);
    assert.match(profiled.stdout, /--out.*x.*--.*--force/s);
  });

  test("is found behind an option's value, whether linmem knows the option or not", async () => {
    const script = sandbox.write("last.mjs", "console.log(process.execArgv.join(' '));");
    for (const option of ["--cpu-prof-interval", "--max-old-space-size"]) {
      const { native, profiled } = await sandbox.both(["--cpu-prof", option, "500", script]);
      assert.deepEqual([profiled.code, profiled.stdout], [native.code, native.stdout], profiled.stderr);
    }
  });

  test("has the streams", async () => {
    const script = sandbox.write(
      "cat.mjs",
      `${instance}process.stdin.pipe(process.stdout); console.error("error");`,
    );
    const child = sandbox.start(process.execPath, [linmem, "run", "-q", script]);
    child.stdin!.end("in and out");
    const { stdout, stderr } = await ended(child);
    assert.deepEqual([stdout, stderr], ["in and out", "error\n"]);
  });

  test("may be a CommonJS module or an ES module", async () => {
    const source = `${instance}console.log(typeof require === "function" && require.main === module);`;
    for (const name of ["entry.cjs", "entry.mjs"]) {
      const { native, profiled } = await sandbox.both([sandbox.write(name, source)]);
      assert.equal(profiled.stdout, native.stdout);
    }
    assert.equal(sandbox.profiles().length, 2);
  });

  test("may be TypeScript, run by tsx", async () => {
    const script = sandbox.write(
      "typed.ts",
      `type Pages = number;\n\nfunction make(initial: Pages) {\n  return new WebAssembly.Memory({ initial });\n}\nmake(5);\n${instance}`,
    );
    const tsx = new URL("../../node_modules/tsx/dist/loader.mjs", import.meta.url).href;
    const { code, stderr } = await sandbox.linmem(["run", "-q", "--import", tsx, script]);
    assert.equal(code, 0, stderr);
    const records = sandbox.records();
    // tsx has a memory of its own.
    const memory = ofType(records, "memory").find(({ initialPages }) => initialPages === 5)!;
    const [frame] = framesOf(records, memory.stack);
    assert.equal(frame.file, join(sandbox.folder, script));
    const line = readFileSync(frame.file, "utf8").split("\n")[frame.line - 1];
    assert.match(line, /new WebAssembly.Memory/);
  });

  test("may be any command; each node process below it leaves a profile", async () => {
    sandbox.write("child.mjs", instance);
    sandbox.write(
      "parent.mjs",
      `import { spawnSync } from "node:child_process";
${instance}for (let i = 0; i < 2; i++) spawnSync(process.execPath, ["child.mjs"]);`,
    );
    const { code, stderr } = await sandbox.linmem(["run", "--", process.execPath, "parent.mjs"]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(
      sandbox
        .profiles()
        .map((name) => name.replace(/\d+/, "<pid>"))
        .sort(),
      ["child.<pid>.linmem", "child.<pid>.linmem", "parent.<pid>.linmem"],
    );
    sandbox.clear();

    await sandbox.linmem(["run", "-q", "--out", "p.linmem", "parent.mjs"]);
    assert.equal(sandbox.profiles().length, 3);
    assert.match(ofType(sandbox.records("p.linmem"), "header")[0].argv[1], /parent\.mjs$/);
  });

  test("may be npm running a script", async () => {
    sandbox.write("script.mjs", `${instance}console.log("ran");`);
    sandbox.write("package.json", JSON.stringify({ scripts: { work: "node script.mjs" } }));
    const { code, stdout, stderr } = await sandbox.linmem(["run", "-q", "--", "npm", "run", "-s", "work"]);
    assert.deepEqual([code, stdout], [0, "ran\n"], stderr);
    assert.equal(sandbox.profiles().length, 1);
  });
});

describe("the end", () => {
  for (const [what, source, expected] of [
    ["process.exit", "process.exit(3)", 3],
    ["an uncaught exception", "throw new Error('mine')", 1],
    ["a rejected promise", "Promise.reject(new Error('mine'))", 1],
    ["process.exitCode", "process.exitCode = 9", 9],
  ] as const) {
    test(`by ${what} is the program's own, with a full profile`, async () => {
      const script = sandbox.write("exit.mjs", `${instance}${source};`);
      const { native, profiled } = await sandbox.both([script]);
      assert.deepEqual([profiled.code, profiled.signal], [native.code, native.signal]);
      assert.equal(profiled.stderr, native.stderr);
      assert.equal(profiled.code, expected);
      assert.equal(ofType(sandbox.records(), "end")[0].exit, expected);
    });
  }

  /** Starts a program, sends the launcher a signal when it is up, and returns how it ended. */
  async function signalled(signal: NodeJS.Signals, source: string) {
    const script = sandbox.write("signal.mjs", instance + source);
    const child = sandbox.start(process.execPath, [linmem, "run", "-q", script]);
    const end = ended(child);
    await printed(child, "up");
    child.kill(signal);
    return end;
  }

  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    test(`by ${signal} is that signal's, with a full profile`, posix, async () => {
      const end = await signalled(signal, lasts);
      assert.deepEqual([end.code, end.signal], [null, signal]);
      assert.equal(ofType(sandbox.records(), "end")[0].exit, signal);
    });
  }

  test("is up to a program that handles the signal", posix, async () => {
    const { code, stdout } = await signalled(
      "SIGTERM",
      `process.once("SIGTERM", () => { console.log("handled"); process.exit(7); });\n${lasts}`,
    );
    assert.deepEqual([code, stdout], [7, "up\nhandled\n"]);
    assert.equal(ofType(sandbox.records(), "end")[0].exit, 7);
  });

  test("comes by the signal once a program no longer handles it", posix, async () => {
    const end = await signalled(
      "SIGTERM",
      `const no = () => {}; process.on("SIGTERM", no); process.removeListener("SIGTERM", no);\n${lasts}`,
    );
    assert.equal(end.signal, "SIGTERM");
  });

  test("comes by the signal when a library counts listeners and raises it again", posix, async () => {
    const { signal, stdout } = await signalled(
      "SIGTERM",
      `const listener = () => {
  if (process.listeners("SIGTERM").length !== 1) return;
  process.removeListener("SIGTERM", listener);
  console.log("cleaned up");
  process.kill(process.pid, "SIGTERM");
};
process.on("SIGTERM", listener);\n${lasts}`,
    );
    assert.deepEqual([signal, stdout], ["SIGTERM", "up\ncleaned up\n"]);
    assert.equal(ofType(sandbox.records(), "end")[0].exit, "SIGTERM");
  });

  test("comes to a program in an endless loop too", posix, async () => {
    const { signal } = await signalled(
      "SIGTERM",
      `import { writeSync } from "node:fs"; writeSync(1, "up"); for (;;);`,
    );
    assert.equal(signal, "SIGTERM");
  });

  test("by SIGKILL leaves what the last snapshot wrote", posix, async () => {
    const script = sandbox.write(
      "killed.mjs",
      `${instance}setTimeout(() => process.kill(process.pid, "SIGKILL"), 300);`,
    );
    const { signal } = await sandbox.linmem(["run", "-q", "--interval", "20", script]);
    assert.equal(signal, "SIGKILL");
    const records = sandbox.records();
    assert.equal(ofType(records, "snapshot").length, 1);
    assert.equal(ofType(records, "end").length, 0);
  });
});

describe("the profile", () => {
  test("is named after the script, or as told", async () => {
    const script = sandbox.write("named.mjs", instance);
    await sandbox.linmem(["run", "-q", script]);
    assert.match(sandbox.profiles()[0], /^named\.\d+\.linmem$/);
    await sandbox.linmem(["run", "-q", "--out", "told.linmem", script]);
    assert.ok(sandbox.profiles().includes("told.linmem"));
  });

  test("is not overwritten without --force", async () => {
    const script = sandbox.write("again.mjs", `${instance}console.log("ran");`);
    writeFileSync(join(sandbox.folder, "p.linmem"), "precious");
    const refused = await sandbox.linmem(["run", "--out", "p.linmem", script]);
    assert.deepEqual(refused, {
      code: 2,
      signal: null,
      stdout: "",
      stderr: "linmem: cannot write p.linmem: it exists already; --force overwrites it\n",
    });
    const forced = await sandbox.linmem(["run", "-q", "--force", "--out", "p.linmem", script]);
    assert.deepEqual([forced.code, forced.stdout], [0, "ran\n"]);
    assert.equal(ofType(sandbox.records("p.linmem"), "header").length, 1);
  });

  test("of a program without memories is not written, which standard error says", async () => {
    const { code, stderr } = await sandbox.linmem(["run", sandbox.write("none.mjs", "")]);
    assert.equal(code, 0);
    assert.equal(
      stderr,
      "linmem: none.mjs made no instance with a WebAssembly memory; no profile was written\n",
    );
    assert.deepEqual(sandbox.profiles(), []);
  });

  test("is not written where node refuses to start, or no Node process does", async () => {
    const script = sandbox.write("none.mjs", "");
    const refused = await sandbox.linmem(["run", "--no-such-option", script]);
    assert.equal(refused.code, 9);
    const message = "linmem: nothing was recorded: no Node process got to run a program\n";
    assert.ok(refused.stderr.endsWith(`--no-such-option\n${message}`), refused.stderr);
    const other = await sandbox.linmem(["run", "--", "sh", "-c", "exit 3"]);
    assert.deepEqual([other.code, other.stderr], [3, message]);
  });

  test("warns when no module has what --allocator names", async () => {
    const script = sandbox.write("named.mjs", instance);
    const { code, stderr } = await sandbox.linmem(["run", "--allocator", "malloc=mallok", script]);
    assert.equal(code, 0);
    assert.match(stderr, /--allocator malloc=mallok: the module has no export or function of that name/);
    const [warning] = ofType(sandbox.records(), "warning");
    assert.equal(warning.code, "allocator-not-found");
  });

  test("is summed up on standard error", async () => {
    const { stderr, stdout } = await sandbox.linmem(["run", sandbox.write("sum.mjs", instance)]);
    assert.equal(stdout, "");
    assert.match(stderr, /^linmem: .*\n/);
    assert.match(stderr, / more: node \S*dist\/cli\/main\.js report sum\.\d+\.linmem\n$/);
  });
});

describe("bad input: one line, exit code 2, and nothing ran", () => {
  for (const [what, args, message] of [
    ["a missing script", ["nowhere.mjs"], "cannot run nowhere.mjs: there is no such file"],
    [
      "a missing script after node options",
      ["--import", "x", "nowhere.mjs"],
      "cannot run nowhere.mjs: there is no such file",
    ],
    ["a missing command", ["--", "no-such-command"], "cannot run no-such-command: there is no such file"],
    ["a folder as output", ["--out", ".", "ran.mjs"], "cannot write .: it is a directory; name a file"],
    [
      "a folder as output, by force",
      ["--force", "--out", ".", "ran.mjs"],
      "cannot write .: it is a directory; name a file",
    ],
    ["no program", [], "nothing to run: name a script, or -- and a command"],
    [
      "an output in no folder",
      ["--out", "no/p.linmem", "ran.mjs"],
      "cannot write no/p.linmem: there is no such folder",
    ],
    ["an unknown role", ["--allocator", "mallok=x", "ran.mjs"], /there is no role mallok/],
    ["an allocator without function", ["--allocator", "malloc", "ran.mjs"], /give role=function/],
    [
      "an interval that is none",
      ["--interval", "x", "ran.mjs"],
      "--interval x: give a number of milliseconds from 10 on",
    ],
  ] as const) {
    test(what, async () => {
      sandbox.write("ran.mjs", `${instance}console.log("ran");`);
      const { code, stdout, stderr } = await sandbox.linmem(["run", ...args]);
      assert.deepEqual([code, stdout], [2, ""], stderr);
      assert.equal(stderr.trimEnd().split("\n").length, 1, stderr);
      if (typeof message === "string") assert.equal(stderr, `linmem: ${message}\n`);
      else assert.match(stderr, message);
    });
  }
});
