// Real packages from npm under `linmem run`: they behave as without it, and what they leak is attributed to the
// function that leaks it. `npm run corpus` measures more. Runs dist/, so build first.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, describe, test } from "node:test";
import { corpusDirectory } from "../support/shared.js";
import { Corpus, growth, leakingMode, workloadNames } from "./workloads.js";

const folder = corpusDirectory();
const skip = !(folder && existsSync(folder)) && "LINMEM_CORPUS names no corpus";
const names = skip ? [] : workloadNames(folder!);
const attributed = ["photon", "resvg", "pdfium", "treesitter", "lightningcss"];

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
});
