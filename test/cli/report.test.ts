import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { withTypeScript } from "../support/typescript.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const main = join(root, "src/cli/main.ts");
const profiles = "test/fixtures/profiles";

function linmem(args: string[], env: NodeJS.ProcessEnv = {}) {
  const { NO_COLOR, FORCE_COLOR, COLUMNS, ...rest } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [withTypeScript, main, ...args], {
    cwd: root,
    encoding: "utf8",
    env: { ...rest, ...env },
  });
  return { status, stdout, stderr };
}

describe("linmem report", () => {
  test("prints text, plain in a pipe", () => {
    const { status, stdout, stderr } = linmem(["report", `${profiles}/photon.linmem`]);
    assert.equal(stderr, "");
    assert.equal(status, 0);
    assert.match(stdout, /^ {2}7\.5 MiB +79 % +120 +open +\/home\/user\/thumbs\/app\.mjs:12$/m);
    assert.match(
      stdout,
      /photon_rs::transform::resize +photon_rs_bg\.wasm:0x4be31/,
      "demangled, in hexadecimal",
    );
    assert.ok(!stdout.includes("\u001b"));
  });

  test("is coloured when asked for, and not when that is ruled out", () => {
    const colored = (env: NodeJS.ProcessEnv) =>
      linmem(["report", `${profiles}/photon.linmem`], env).stdout.includes("\u001b[");
    assert.equal(colored({ FORCE_COLOR: "1" }), true);
    assert.equal(colored({ FORCE_COLOR: "0" }), false);
    assert.equal(colored({ FORCE_COLOR: "1", NO_COLOR: "1" }), false);
  });

  test("--format json prints the report as data", () => {
    const { status, stdout } = linmem(["report", `${profiles}/photon.linmem`, "--format", "json"]);
    assert.equal(status, 0);
    const report = JSON.parse(stdout);
    assert.equal(report.modules[0].heap.liveBytes, 9994240);
    assert.equal(report.modules[0].callers[0].frame.function, "open");
  });

  test("--format and --out write a file for another tool, and never over one unless told", () => {
    const folder = mkdtempSync(join(tmpdir(), "linmem-report-"));
    try {
      const out = join(folder, "photon.txt");
      const args = ["report", `${profiles}/photon.linmem`, "--metric", "allocations", "--out", out];
      assert.deepEqual(linmem([...args, "--format", "collapsed"]), { status: 0, stdout: "", stderr: "" });
      assert.match(readFileSync(out, "utf8"), /^\S.* 120$/m);
      const again = linmem([...args, "--format", "csv"]);
      assert.equal(again.status, 2);
      assert.equal(again.stderr, `linmem: cannot write ${out}: it exists already; --force overwrites it\n`);
      assert.equal(linmem([...args, "--format", "csv", "--force"]).status, 0);
      assert.match(readFileSync(out, "utf8"), /^module,live_bytes,/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("--format pprof writes it compressed, as pprof expects", () => {
    const { NO_COLOR, FORCE_COLOR, ...env } = process.env;
    const args = [withTypeScript, main, "report", `${profiles}/photon.linmem`, "--format", "pprof"];
    const { status, stdout } = spawnSync(process.execPath, args, { cwd: root, env });
    assert.equal(status, 0);
    assert.equal(gunzipSync(stdout)[0], 0x0a, "field 1, a message");
  });

  test("--top limits what is shown", () => {
    const { stdout } = linmem(["report", `${profiles}/photon.linmem`, "--top", "1"]);
    assert.match(stdout, /and 2 MiB by 2 others/);
  });

  test("reads what a killed run left", () => {
    const { status, stdout } = linmem(["report", `${profiles}/truncated.linmem`]);
    assert.equal(status, 0);
    assert.match(stdout, /640 KiB live in 40 blocks/);
  });

  test("a reader that stops early is no failure", async () => {
    const folder = mkdtempSync(join(tmpdir(), "linmem-report-"));
    try {
      // Longer than a pipe holds.
      const many = Array.from(
        { length: 5000 },
        (_, i) => `{"type":"warning","code":"x","message":"${"long ".repeat(20)}${i}"}\n`,
      );
      const header =
        '{"type":"header","format":"linmem","version":1,"linmem":"0.1.0","time":0,"pid":1,' +
        '"engine":{"name":"Node.js","version":"20"},"platform":"linux","argv":["node"]}\n';
      const path = join(folder, "long.linmem");
      writeFileSync(path, header + many.join(""));
      const child = spawn(process.execPath, [withTypeScript, main, "report", path], {
        cwd: root,
        stdio: ["ignore", "pipe", "pipe"],
      });
      let stderr = "";
      child.stderr.on("data", (chunk) => (stderr += chunk));
      child.stdout.once("data", () => child.stdout.destroy());
      const status = await new Promise((resolve) => child.on("close", resolve));
      assert.equal(stderr, "");
      assert.equal(status, 0);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("what can't be done is said in one line, with exit code 2", () => {
  const failures: [title: string, args: string[], message: RegExp][] = [
    ["a missing file", ["report", "missing.linmem"], /cannot read missing\.linmem: there is no such file/],
    ["a folder", ["report", "test"], /cannot read test: it is a directory/],
    ["an empty file", ["report", `${profiles}/empty.linmem`], /empty\.linmem is empty/],
    ["a foreign file", ["report", `${profiles}/foreign.linmem`], /is not a linmem profile/],
    ["a newer version", ["report", `${profiles}/newer.linmem`], /version 99.*update linmem/],
    ["no file", ["report"], /missing required argument 'profile'; linmem report --help shows/],
    ["an unknown format", ["report", "x", "--format", "xml"], /--format xml: choose from text, json/],
    ["a --top of nothing", ["report", "x", "--top", "0"], /--top.*whole number/],
    ["an unknown option", ["report", "x", "--nope"], /unknown option '--nope'.*; linmem report --help shows/],
    ["an unknown command", ["reprot"], /unknown command 'reprot'.*report/],
    [
      "a program without `run`",
      ["bench/main.ts"],
      /unknown command .*; to run a program: linmem run bench\/main\.ts$/m,
    ],
    ["two modules", ["inspect", "x", "y"], /got 2; linmem inspect --help/],
  ];
  for (const [title, args, message] of failures) {
    test(title, () => {
      const { status, stdout, stderr } = linmem(args);
      assert.equal(stdout, "");
      assert.match(stderr, message);
      assert.match(stderr, /^linmem: [^\n]+\n$/);
      assert.equal(status, 2);
    });
  }
});

test("--version and --help", () => {
  assert.match(linmem(["--version"]).stdout, /^\d+\.\d+\.\d+\n$/);
  const { status, stdout } = linmem(["--help"]);
  assert.equal(status, 0);
  assert.match(stdout, /report/);
});
