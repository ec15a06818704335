// Profiles that nobody wrote in good faith: the readable part with a note, or one clear message.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { analyze } from "../../src/analyze/analyze.js";
import { readProfile } from "../../src/profile/reader.js";
import { textReport } from "../../src/report/text.js";

const text = readFileSync(new URL("../fixtures/profiles/photon.linmem", import.meta.url), "utf8");
const lines = text.trimEnd().split("\n");
const withLines = (...more: (object | string)[]) =>
  readProfile(
    [...lines, ...more.map((line) => (typeof line === "string" ? line : JSON.stringify(line)))].join("\n"),
  );

describe("a hand-edited profile", () => {
  test("with figures that cannot be is read without them", () => {
    const snapshot = JSON.parse(lines.findLast((line) => line.includes('"snapshot"'))!);
    const damaged = [
      { ...snapshot, pages: -1 },
      { ...snapshot, contexts: [[0, 1, 0, 10, -10, 10, 0]] },
      { ...snapshot, heap: { ...snapshot.heap, liveBytes: -5 } },
      JSON.stringify(snapshot).replace(/"pages":\d+/, '"pages":NaN'),
      JSON.stringify(snapshot).replace(/"pages":\d+/, '"pages":1e999'),
      { type: "layout", memory: 1, module: 1, pages: 2, data: [[9, 3]], hiddenGlobals: 0 },
      { type: "blocks", time: 1, memory: 1, count: -1, data: "" },
    ];
    const profile = withLines(...damaged);
    assert.equal(profile.damagedLines, damaged.length);
    const report = analyze(profile);
    assert.equal(report.modules[0]!.heap!.liveBytes, analyze(readProfile(text)).modules[0]!.heap!.liveBytes);
    assert.match(textReport(report), /7 lines of the profile could not be understood/);
  });

  test("cannot reach the prototype of anything", () => {
    withLines(
      '{"type":"context","id":"__proto__","memory":1,"stack":1,"caller":0}',
      '{"type":"__proto__","memory":1}',
      '{"__proto__":{"polluted":true},"type":"warning","code":"__proto__","message":"constructor"}',
      '{"type":"constructor"}',
    );
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
  });

  test("with a million frames on a stack is reported", () => {
    const frame = { kind: "js", function: "f", file: "a.mjs", line: 1, column: 1 };
    const profile = withLines(
      { type: "frame", id: 900, ...frame },
      { type: "stack", id: 2_000_000, parent: 0, frames: new Array(1_000_000).fill(900) },
      { type: "context", id: 900, memory: 1, stack: 2_000_000, caller: 0 },
      {
        type: "snapshot",
        time: 2000,
        memory: 1,
        pages: 700,
        contexts: [[900, 1, 0, 5000000, 5000000, 5000000, 0]],
      },
    );
    assert.match(textReport(analyze(profile), { width: 80 }), /4\.8 MiB/);
  });

  test("with blocks that are no blocks has the readable ones", () => {
    const blocks = (data: string) => ({ type: "blocks", time: 3, memory: 1, count: 2 ** 40, data });
    for (const data of ["", "====", "\u0000", "/////////////////////////////////////////w==", "EAgBAQ=="]) {
      assert.equal(typeof textReport(analyze(withLines(blocks(data)))), "string");
    }
  });

  test("with times that run backwards still has a timeline that runs forwards", () => {
    const snapshot = JSON.parse(lines.findLast((line) => line.includes('"snapshot"'))!);
    const { timeline } = analyze(
      withLines({ ...snapshot, time: 5 }, { ...snapshot, time: 1e12 }, { ...snapshot, time: 7 }),
    );
    const times = timeline.map(({ time }) => time);
    assert.deepEqual(
      times,
      [...times].sort((a, b) => a - b),
    );
    assert.ok(timeline.length <= 240);
  });
});

test("two profiles in one file are refused with the line where the second begins", () => {
  assert.throws(() => readProfile(text + text, "p.linmem"), {
    code: "ERR_LINMEM_PROFILE",
    message: `p.linmem holds two runs, the second from line ${lines.length + 1} on: give every run a file of its own`,
  });
});
