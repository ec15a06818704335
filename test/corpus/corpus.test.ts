// Real packages from npm under `linmem run`: they behave as without it, and what they leak is attributed to the
// function that leaks it. `npm run corpus` measures more. Runs dist/, so build first.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { basename } from "node:path";
import { after, describe, test } from "node:test";
import { corpusDirectory } from "../support/shared.js";
import { Corpus, growth, leakingMode, workloadNames } from "./workloads.js";

const folder = corpusDirectory();
const skip = !(folder && existsSync(folder)) && "LINMEM_CORPUS names no corpus";
const names = skip ? [] : workloadNames(folder!);
// undici makes its parsers when a connection calls back, with nothing of the program on the stack
const attributed = ["photon", "resvg", "pdfium", "treesitter", "lightningcss", "undici"];

describe("real packages", { skip }, () => {
  // V8 spends 8 s of optimizing two huge functions of lightningcss, with linmem or without.
  const corpus = new Corpus(folder ?? "", { lightningcss: ["--liftoff-only"] });
  after(() => corpus.remove());

  for (const name of names) {
    test(`${name} prints what it prints without linmem`, async () => {
      const raw = await corpus.raw(name, "once");
      const { profile, ...profiled } = await corpus.profiled(name, "once");
      assert.deepEqual([profiled.stdout, profiled.code], [raw.stdout, raw.code], profiled.stderr);
      assert.match(raw.stdout, / once: ./);
      // From Node 22 on, `request` of undici goes through the copy in Node, which is left alone.
      if (name !== "undici") assert.ok(existsSync(profile), "it left no profile");
    });
  }

  for (const name of attributed) {
    test(`what ${name} leaks is attributed to the function that leaks it`, async () => {
      const mode = leakingMode(name);
      const less = await corpus.holding(name, mode, 40);
      const more = await corpus.holding(name, mode, 120);
      const leaked = growth(less, more);
      assert.ok(leaked.bytes > 0, `holds ${leaked.bytes} bytes more`);
      const share = leaked.attributed / leaked.bytes;
      assert.ok(share >= 0.95, `${leaked.attributed} of ${leaked.bytes} bytes name ${mode}`);
    });
  }

  for (const [name, mode, n, line] of [
    ["lightningcss", "free", 400, "free"],
    ["quickjs", "leak", 10_000, "leak"],
    ["resvg", "leak", 100, "leak"],
    ["sourcemap", "leak", 400, "leak"],
    ["sqljs-db", "leak", 400, "leak"],
    ["yoga", "leak", 2000, "mk"],
  ] as const) {
    test(`the diagnosis names the leak of ${name}`, async () => {
      const [first] = await corpus.findings(name, mode, n);
      assert.equal(first?.kind, "leak", first?.title);
      assert.equal(first?.caller?.function, line);
    });
  }

  for (const [name, n, expected] of [
    ["resvg", 20, ["RenderedImage render resvg.mjs:leak", "Resvg new Resvg resvg.mjs:leak"]],
    ["photon", 20, ["PhotonImage new PhotonImage photon.mjs:leak", "PhotonImage resize photon.mjs:leak"]],
    ["yoga", 20, ["Node Node.create yoga.mjs:mk"]],
  ] as const) {
    test(`objects of ${name} that were never released, by class and by the call that made them`, async () => {
      const live = (await corpus.objects(name, n)).filter(([, count]) => count > 0);
      assert.deepEqual([...new Set(live.map(([object]) => object))].sort(), expected);
      for (const [object, count] of live) assert.equal(count % n, 0, `${count} of ${object}`);
    });
  }

  test("what gofmt, whose heap is collected, allocates has the lines that called it", async () => {
    const callers = await corpus.callers("gofmt", "free", 300);
    const blocks = Object.fromEntries(
      // what went on under callers leaves a context without any
      callers
        .filter(({ allocations }) => allocations > 0)
        .map(({ frame, allocations }) => [
          frame ? `${basename(frame.file)} ${frame.function}` : "not known",
          allocations,
        ]),
    );
    assert.deepEqual(Object.keys(blocks).sort(), ["gofmt.mjs free", "gofmt.mjs once"]);
    // the same work each time; the first time the package has to begin as well
    assert.equal(blocks["gofmt.mjs free"] % 300, 0);
    assert.ok(blocks["gofmt.mjs free"] / 300 <= blocks["gofmt.mjs once"]);
  });

  test("what a guest with a collector keeps is no leak: anan's objects wait for a FinalizationRegistry", async () => {
    const found = await corpus.findings("anan", "free", 2000);
    // when snapshots fall decides whether it is seen to grow, and in which of its lines
    for (const { kind, title } of found) assert.ok(kind !== "leak" && kind !== "late-release", title);
    for (const { kind, severity, title } of found)
      if (severity !== "note") assert.equal(kind, "retention", title);
  });

  for (const [name, n] of [
    ["esbuild", 30],
    ["gofmt", 2000],
    ["md4w", 3000],
    ["photon", 200],
    ["quickjs", 10_000],
    ["resvg", 50],
    ["sqljs-db", 150],
    ["treesitter", 150],
    ["yoga", 2000],
  ] as const) {
    test(`the diagnosis finds no leak in ${name}, which releases all`, async () => {
      const found = await corpus.findings(name, "free", n);
      assert.deepEqual(
        found.filter(({ kind }) => kind === "leak" || kind === "late-release").map(({ title }) => title),
        [],
      );
    });
  }

  test("what a FinalizationRegistry releases late is told from a leak", async () => {
    const found = await corpus.findings("treesitter", "leak", 150);
    const late = found.find(({ kind }) => kind === "late-release");
    assert.equal(late?.caller?.function, "leak");
  });
});
