// The data of a page, from a profile to what the page reads: nothing gets lost or changed between the two.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { analyzeInDetail } from "../../src/analyze/details.js";
import { callerFrame } from "../../src/analyze/frames.js";
import { readProfile } from "../../src/profile/reader.js";
import { Columns } from "../../src/report/html/columns.js";
import { packReport } from "../../src/report/html/pack.js";
import { contextValues, selectContexts } from "../../src/ui/selection.js";
import { Session } from "../../src/ui/session.js";
import { type Data, DataError, unpack } from "../../src/ui/unpack.js";
import { profileWith, wasmFrame } from "../report/exports/support.js";
import { syntheticProfile } from "../support/synthetic-profile.js";

const head = { format: "linmem-html", version: 1 };

function dataOf(...texts: (string | Iterable<string>)[]): Data {
  const profiles = texts.map((text, i) => ({
    title: `run ${i}`,
    details: analyzeInDetail(readProfile(text)),
  }));
  return unpack(packReport(profiles, ""));
}

describe("columns", () => {
  test("give back every whole number up to 2^52", () => {
    const whole = fc.integer({ min: -(2 ** 52 - 1), max: 2 ** 52 - 1 });
    fc.assert(
      fc.property(fc.array(fc.oneof(whole, fc.integer({ min: -200, max: 200 }))), (numbers) => {
        const columns = new Columns();
        const data = unpack(columns.encode({ ...head, strings: columns.add(numbers) }));
        assert.deepEqual(
          [...(data.strings as unknown as Float64Array)],
          numbers.map((one) => one + 0),
        );
      }),
    );
  });

  test("write the nearest number that there is", () => {
    const columns = new Columns();
    const numbers = columns.add([Number.NaN, Number.POSITIVE_INFINITY, -1e300, 1.6]);
    const data = unpack(columns.encode({ ...head, strings: numbers }));
    assert.deepEqual([...(data.strings as unknown as Float64Array)], [0, 2 ** 52 - 1, 1 - 2 ** 52, 2]);
  });

  test("that are damaged are refused, wherever the damage is", () => {
    const columns = new Columns();
    const bytes = columns.encode({ ...head, strings: columns.add([1, 2, 300, 4]) });
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => unpack(bytes.subarray(0, length)), DataError, `cut to ${length} bytes`);
    }
    assert.throws(() => unpack(columns.encode({ ...head, strings: { column: 7 } })), DataError);
    assert.throws(() => unpack(columns.encode({ ...head, version: 2 })), /another version/);
  });
});

describe("the data of a profile", () => {
  const text = [...syntheticProfile({ contexts: 300, blocks: 2000, snapshots: 6 })];
  const details = analyzeInDetail(readProfile(text));
  const data = dataOf(text);
  const session = new Session(data);
  const [profile] = data.profiles as [Data["profiles"][number]];
  const [module] = details.report.modules;

  test("has every context with its figures and its stack", () => {
    assert.equal(profile.contexts.node.length, 300);
    for (const [i, context] of module!.contexts.entries()) {
      assert.equal(profile.contexts.liveBytes[i], context.liveBytes);
      assert.equal(profile.contexts.allocations[i], context.allocations);
      const names = session.stack(profile.contexts.node[i]!).map((frame) => session.frameName(frame));
      assert.deepEqual(
        names,
        context.stack.map((frame) => frame.function),
      );
    }
  });

  test("has every live block, and leads to the context that made it", () => {
    const { gap, size, context } = profile.memories[0]!.map!.blocks;
    assert.equal(size.length, 2000);
    const byContext = new Float64Array(300);
    let end = 0;
    const decoded = details.memories.get(1)!.blocks!;
    for (let i = 0; i < size.length; i++) {
      assert.equal(end + gap[i]!, decoded.addresses[i]);
      end += gap[i]! + size[i]!;
      byContext[context[i]! - 1]! += size[i]!;
    }
    assert.deepEqual([...byContext], [...profile.contexts.liveBytes]);
  });

  test("says that no block is live where a run ended without any, and nothing where it was killed", () => {
    const released = readFileSync(
      new URL("../fixtures/profiles/all-released.linmem", import.meta.url),
      "utf8",
    );
    const map = (lines: string) => dataOf([lines]).profiles[0]!.memories[0]!.map;
    const ended = map(released)!;
    assert.deepEqual([ended.blocks.size.length, typeof ended.time], [0, "number"]);
    const killed = released.split("\n").filter((line) => !line.startsWith('{"type":"end"'));
    assert.equal(map(killed.join("\n"))?.time ?? null, null);
  });

  test("says of growth which line of JavaScript asked for it", () => {
    const photon = readFileSync(new URL("../fixtures/profiles/photon.linmem", import.meta.url), "utf8");
    const packed = dataOf([photon]);
    const pages = new Session(packed);
    const asked = packed.profiles[0]!.grows.map(({ caller }) =>
      caller === 0 ? "" : pages.frameName(pages.sites.frame[caller]!),
    );
    const said = analyzeInDetail(readProfile(photon)).report.modules.flatMap(({ memory }) =>
      memory.grows.map(({ stack }) => callerFrame(stack)?.function ?? ""),
    );
    assert.ok(said.some((name) => name !== ""));
    assert.deepEqual(asked.sort(), said.sort());
  });

  test("knows the figures of any part of the run", () => {
    const { times } = profile.history;
    const [, , third] = times as [number, number, number];
    const end = contextValues(profile, "live");
    const sum = (values: Float64Array) => values.reduce((total, value) => total + value, 0);
    // At the last snapshot all contexts were written.
    assert.deepEqual(contextValues(profile, "live", { from: 0, to: times.at(-1)! }), end);
    const middle = sum(contextValues(profile, "live", { from: 0, to: third }));
    assert.ok(0 < middle && middle < sum(end));
    const all = sum(contextValues(profile, "allocations"));
    const early = sum(contextValues(profile, "allocations", { from: 0, to: third }));
    const late = sum(contextValues(profile, "allocations", { from: third + 1, to: times.at(-1)! }));
    assert.equal(early + late, all);
    assert.equal(
      sum(contextValues(profile, "growth", { from: third + 1, to: times.at(-1)! })),
      sum(end) - middle,
    );
  });

  test("is filtered by package, text and module", () => {
    const none = { module: -1, package: -1, text: "", range: undefined };
    const chosen = (filters: object) =>
      selectContexts(data, profile, session.sites, { ...none, ...filters }).reduce(
        (sum, one) => sum + one,
        0,
      );
    assert.equal(chosen({}), 300);
    assert.equal(chosen({ module: 0 }), 300);
    assert.equal(chosen({ module: 1 }), 0);
    assert.equal(chosen({ text: "no such function" }), 0);
    const withHandle7 = module!.contexts.filter(({ stack }) =>
      stack.some((frame) => `${frame.function} ${frame.file}`.includes("handle7")),
    );
    assert.ok(withHandle7.length > 0);
    assert.equal(chosen({ text: "HANDLE7" }), withHandle7.length);
    const lib = session.packages().find(({ name }) => name === "lib")!;
    const inLib = module!.contexts.filter(({ stack }) =>
      stack.some(({ file }) => file.includes("node_modules/lib")),
    );
    assert.equal(chosen({ package: lib.index }), inLib.length);
  });
});

describe("two profiles", () => {
  test("share their frames, so that the same stack is the same node", () => {
    const one = profileWith([[wasmFrame("a")], [wasmFrame("b")]]);
    const other = profileWith([[wasmFrame("b")]]);
    const { profiles } = dataOf(one, other);
    assert.equal(profiles[1]!.contexts.node[0], profiles[0]!.contexts.node[1]);
  });
});

describe("bad input", () => {
  test("a million nested frames lose their middle", () => {
    const deep = Array.from({ length: 1_000_000 }, () => wasmFrame("recurse"));
    const data = dataOf(profileWith([deep]));
    assert.equal(data.nodes.parent.length, 1025);
    assert.ok(data.strings.includes("(998977 frames left out)"));
  });

  test("names of JavaScript's own are names like others", () => {
    const session = new Session(
      dataOf(profileWith([[wasmFrame("__proto__", "constructor")], [wasmFrame("hasOwnProperty")]])),
    );
    const names = [1, 2].map((node) => session.frameName(session.sites.frame[node]!));
    assert.deepEqual(names.sort(), ["__proto__", "hasOwnProperty"]);
  });

  test("negative figures do not become widths", () => {
    const details = analyzeInDetail(readProfile(profileWith([[wasmFrame("a")]])));
    const [context] = details.report.modules[0]!.contexts;
    Object.assign(context!, { liveBytes: -64, liveBlocks: -1, allocatedBytes: -5 });
    details.history.contexts[0] = [{ index: 0, allocations: -4, frees: 9, liveBytes: -64 }];
    const data = unpack(packReport([{ title: "run", details }], ""));
    for (const metric of ["live", "blocks", "allocated", "growth"] as const) {
      assert.deepEqual([...contextValues(data.profiles[0]!, metric)], [0]);
    }
  });

  test("characters that change the direction of text, or are none, are taken out", () => {
    const data = dataOf(profileWith([[wasmFrame("safe\u202egnp.exe\u0000\u2066\u200f")]]));
    assert.ok(data.strings.includes("safegnp.exe"));
  });
});
