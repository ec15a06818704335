// What `linmem report --format …` writes for other tools, read back by readers that nobody here wrote.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { Ajv } from "ajv";
import { parse } from "csv-parse/sync";
import { Profile } from "pprof-format";
import type { ContextReport, Report } from "../../../src/analyze/report.js";
import { collapsedExport } from "../../../src/report/exports/collapsed.js";
import { csvExport } from "../../../src/report/exports/csv.js";
import { pprofExport } from "../../../src/report/exports/pprof.js";
import { type Metric, maximumFrames, metricNames, metrics } from "../../../src/report/exports/samples.js";
import { speedscopeExport } from "../../../src/report/exports/speedscope.js";
import { directory, fixtureReport, profileWith, reportOn, wasmFrame } from "./support.js";

const { resolve } = createRequire(import.meta.url);
const textOf = (pieces: Iterable<string>) => [...pieces].join("");

function contexts(report: Report): ContextReport[] {
  return report.modules.flatMap((module) => module.contexts);
}

function total(report: Report, metric: Metric): number {
  return contexts(report).reduce((sum, context) => sum + context[metrics[metric].key], 0);
}

const photon = fixtureReport("photon");

describe("the speedscope file", () => {
  const schema = readFileSync(resolve("speedscope/dist/release/file-format-schema.json"), "utf8");
  const valid = new Ajv({ strict: false }).compile(JSON.parse(schema));

  for (const name of ["photon", "many-memories", "hostile-names", "no-wasm"]) {
    test(`on ${name} is what speedscope's own schema describes`, () => {
      const file = JSON.parse(textOf(speedscopeExport(fixtureReport(name))));
      assert.ok(valid(file), JSON.stringify(valid.errors));
    });
  }

  test("has a profile for each figure, with the stacks from the outermost frame in", () => {
    const file = JSON.parse(textOf(speedscopeExport(photon, { directory, metric: "high-water" })));
    assert.equal(file.profiles.length, metricNames.length);
    assert.equal(file.profiles[file.activeProfileIndex].name, metrics["high-water"].title);
    for (const [i, metric] of metricNames.entries()) {
      const { weights, endValue, samples, unit } = file.profiles[i];
      assert.equal(endValue, total(photon, metric), metric);
      assert.equal(weights.length, samples.length);
      assert.equal(unit, metrics[metric].unit === "bytes" ? "bytes" : "none");
    }
    const [first] = file.profiles[0].samples;
    const names = first.map((index: number) => file.shared.frames[index].name);
    const [largest] = contexts(photon);
    assert.deepEqual(names, largest!.stack.map((frame) => frame.function || "(anonymous)").reverse());
    const open = file.shared.frames.find((frame: { name: string }) => frame.name === "open");
    assert.deepEqual([open.file, open.line], ["app.mjs", 12]);
  });
});

describe("the pprof file", () => {
  const decoded = Profile.decode(pprofExport(photon, { directory, metric: "allocated" }));
  const text = (index: number | bigint) => decoded.stringTable.strings[Number(index)];

  test("has all figures of every context", () => {
    const types = decoded.sampleType.map(({ type, unit }) => `${text(type)}/${text(unit)}`);
    assert.deepEqual(types, [
      "inuse_space/bytes",
      "peak_space/bytes",
      "alloc_space/bytes",
      "alloc_objects/count",
      "temporary_objects/count",
    ]);
    assert.equal(text(decoded.defaultSampleType), "alloc_space");
    for (const [i, metric] of metricNames.entries()) {
      const sum = decoded.sample.reduce((all, { value }) => all + Number(value[i]), 0);
      assert.equal(sum, total(photon, metric), metric);
    }
  });

  const go =
    spawnSync("go", ["tool", "pprof", "-h"]).status === 0 || spawnSync("go", ["version"]).status === 0;
  test("is read by Google's pprof", {
    skip: !go && "NO GO FOUND: pprof files not read by pprof itself (apt-get install golang-go)",
  }, () => {
    const folder = mkdtempSync(join(tmpdir(), "linmem-pprof-"));
    try {
      const path = join(folder, "photon.pb.gz");
      writeFileSync(path, gzipSync(pprofExport(photon, { directory })));
      const run = (...args: string[]) =>
        execFileSync("go", ["tool", "pprof", ...args, path], {
          encoding: "utf8",
          stdio: ["ignore", "pipe", "ignore"],
          env: { ...process.env, PPROF_TMPDIR: folder },
        });
      const top = run("-top", "-cum", "-unit=B", "-sample_index=inuse_space");
      assert.match(top, new RegExp(`of ${total(photon, "live")}B total`));
      assert.match(top, /7864320B .*open$/m);
      const lines = run("-traces", "-lines", "-unit=B", "-sample_index=alloc_objects");
      assert.match(lines, /photon_rs::transform::resize/);
      assert.match(lines, /open app\.mjs:12/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("collapsed stacks", () => {
  /** The one rule of the format: the count is what follows the last space, frames are parted by ";". */
  const read = (text: string) =>
    text
      .trimEnd()
      .split("\n")
      .map((line) => {
        const [, stack, count] = /^(.*) (\d+)$/.exec(line)!;
        return { frames: stack!.split(";"), count: Number(count) };
      });

  for (const metric of metricNames) {
    test(`with ${metric} add up to the same`, () => {
      const lines = read(textOf(collapsedExport(photon, { metric, directory })));
      assert.equal(
        lines.reduce((sum, { count }) => sum + count, 0),
        total(photon, metric),
      );
      assert.ok(lines.every(({ count }) => count > 0));
    });
  }

  test("begin with the outermost frame", () => {
    const { frames } = read(textOf(collapsedExport(photon, { directory })))[0]!;
    assert.match(frames[0]!, /run_main/);
    assert.match(frames.at(-1)!, /malloc/);
    assert.ok(frames.includes("open (app.mjs:12:10)"), frames.join("\n"));
  });

  test("stay one line a context, whatever names hold", () => {
    const report = reportOn(profileWith([[wasmFrame("a;b\nc 5"), wasmFrame("__proto__")]]));
    const text = textOf(collapsedExport(report));
    assert.equal(text, "__proto__ (lib.wasm:0x40);a:bc 5 (lib.wasm:0x40) 64\n");
  });
});

describe("comma-separated values", () => {
  const read = (report: Report, metric?: Metric): Record<string, string>[] =>
    parse(textOf(csvExport(report, { metric, directory })), { columns: true, record_delimiter: "\r\n" });

  test("have a line for each context, most of the metric first", () => {
    const rows = read(photon, "allocations");
    const all = contexts(photon).sort((a, b) => b.allocations - a.allocations);
    assert.deepEqual(
      rows.map((row) => [row.live_bytes, row.peak_live_bytes, row.allocated_bytes, row.allocations]),
      all.map((one) => [one.liveBytes, one.peakLiveBytes, one.allocatedBytes, one.allocations].map(String)),
    );
    assert.equal(rows[0]!.module, "photon_rs_bg.wasm");
  });

  test("keep names apart from cells and formulas", () => {
    const report = reportOn(
      profileWith([[wasmFrame('=HYPERLINK("x")')], [wasmFrame("a,b"), wasmFrame('"quoted"\r\n')]]),
    );
    const rows = read(report);
    assert.deepEqual(
      rows.map(({ stack }) => stack),
      [`'=HYPERLINK("x") (lib.wasm:0x40)`, `"quoted" (lib.wasm:0x40);a,b (lib.wasm:0x40)`],
    );
  });
});

describe("bad input", () => {
  test("a million nested frames lose their middle", () => {
    const deep = Array.from({ length: 1_000_000 }, (_, i) => wasmFrame(i === 0 ? "inner" : "recurse"));
    deep.push(wasmFrame("outer"));
    const report = reportOn(profileWith([deep]));
    const [line] = textOf(collapsedExport(report)).split("\n");
    const frames = line!.split(";");
    assert.equal(frames.length, maximumFrames);
    assert.match(frames[0]!, /^outer/);
    assert.match(frames.at(-1)!, /^inner/);
    assert.ok(frames.includes(`(${1_000_001 - maximumFrames + 1} frames left out)`));
    const { sample } = Profile.decode(pprofExport(report));
    assert.equal(sample[0]!.locationId.length, maximumFrames);
  });

  test("negative figures count as nothing", () => {
    const report = reportOn(profileWith([[wasmFrame("a")], [wasmFrame("b")]]));
    const a = report.modules[0]!.contexts.find(({ stack }) => stack[0]!.function === "a")!;
    Object.assign(a, {
      allocations: -1,
      allocatedBytes: -5,
      liveBytes: -64,
      peakLiveBytes: -1,
      temporary: -2,
    });
    assert.match(textOf(collapsedExport(report)), /^b \(lib\.wasm:0x40\) 64\n$/);
    const file = JSON.parse(textOf(speedscopeExport(report)));
    assert.deepEqual(file.profiles[0].weights, [64]);
    const { sample } = Profile.decode(pprofExport(report));
    assert.ok(sample.every(({ value }) => value.every((one) => Number(one) >= 0)));
  });
});
