import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { analyze } from "../../src/analyze/analyze.js";
import { diffReports } from "../../src/analyze/diff.js";
import { readProfile } from "../../src/profile/reader.js";
import { markdownDiff, textDiff } from "../../src/report/diff.js";
import { tableReport } from "../../src/report/table.js";

const load = (name: string) =>
  analyze(readProfile(readFileSync(new URL(`../fixtures/profiles/${name}.linmem`, import.meta.url), "utf8")));
const photon = load("photon");
const released = load("all-released");
const rows = (text: string) => text.trimEnd().split("\n").slice(1);

describe("the table", () => {
  test("has one line a stack, the largest first", () => {
    const contexts = photon.modules.flatMap((module) => module.contexts);
    const lines = rows(tableReport(photon));
    assert.equal(lines.length, contexts.length);
    assert.match(lines[0]!, /^ *7\.5 MiB +120 .* open +\S*app\.mjs:12 +photonimage_new( |$)/);
  });

  test("is sorted by any column", () => {
    const contexts = photon.modules.flatMap((module) => module.contexts);
    const most = Math.max(...contexts.map(({ allocations }) => allocations));
    const [first] = rows(tableReport(photon, { sort: "allocations" }));
    assert.match(first!, new RegExp(` ${most} `));
  });

  test("is filtered by what is in it, and by what is not", () => {
    const count = (...filter: string[]) =>
      rows(tableReport(photon, { filter })).filter((line) => /MiB|KiB/.test(line)).length;
    const all = count();
    assert.ok(count("MAKETHUMB") > 0);
    assert.equal(count("MakeThumb") + count("!makethumb"), all);
    assert.match(tableReport(photon, { filter: ["nowhere"] }), /No row matches/);
  });

  test("says how many rows are left out", () => {
    assert.match(tableReport(photon, { top: 1 }), /and \d+ rows? more/);
  });
});

describe("a diff", () => {
  test("with itself is none", () => {
    const diff = diffReports(photon, photon);
    assert.deepEqual([diff.rows, diff.newFindings, diff.goneFindings], [[], [], []]);
    assert.match(textDiff(diff), /No caller holds more or less/);
  });

  test("tells what appeared and what vanished, whichever way round", () => {
    const there = diffReports(released, photon);
    const back = diffReports(photon, released);
    const open = there.rows.find(({ caller }) => caller?.function === "open");
    assert.equal(open?.change, "appeared");
    assert.equal(open?.after.liveBlocks, 120);
    assert.equal(back.rows.find(({ caller }) => caller?.function === "open")?.change, "vanished");
    assert.match(textDiff(there), /appeared +\+7\.5 MiB/);
  });

  test("finds a caller again whose line moved", () => {
    const moved = structuredClone(photon);
    for (const caller of moved.modules.flatMap((module) => module.callers))
      if (caller.frame) caller.frame.line += 7;
    moved.modules[0]!.callers[0]!.liveBytes *= 2;
    const { rows } = diffReports(photon, moved);
    assert.deepEqual(
      rows.map(({ change, caller }) => [change, caller?.function]),
      [["grew", "open"]],
    );
  });

  test("as Markdown is a table, in which names are no markup", () => {
    const hostile = structuredClone(photon);
    const caller = hostile.modules[0]!.callers[0]!;
    caller.frame = {
      ...caller.frame!,
      function: "a|b`c`` <img src=x onerror=alert(1)> **x** @team\u001b[31m",
    };
    const text = markdownDiff(diffReports(released, hostile));
    assert.match(text, /^### WebAssembly memory: \+9\.5 MiB live at the end\n/);
    assert.ok(text.includes("``` a\\|b`c`` <img src=x onerror=alert(1)> **x** @team ```"), text);
    for (const line of text.split("\n").filter((line) => line.startsWith("|"))) {
      assert.ok([5, 8].includes(line.split(/(?<!\\)\|/).length - 1), line);
    }
  });
});
