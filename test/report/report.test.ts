// The reports as their readers get them: text against golden files, JSON against the published schema.
//
//   UPDATE_GOLDEN=1 npm run test:only report     writes the golden files anew; read the difference
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { analyze } from "../../src/analyze/analyze.js";
import type { Report } from "../../src/analyze/report.js";
import { demangle } from "../../src/names/demangle.js";
import { readProfile } from "../../src/profile/reader.js";
import { jsonReport } from "../../src/report/json.js";
import { summary } from "../../src/report/summary.js";
import { textReport } from "../../src/report/text.js";

const fixtures = new URL("../fixtures/", import.meta.url);
const profiles = ["photon", "truncated", "many-memories", "hostile-names", "all-released", "no-wasm"];
const widths = { "80": 80, "120": 120, pipe: undefined };

function load(name: string): Report {
  return analyze(readProfile(readFileSync(new URL(`profiles/${name}.linmem`, fixtures), "utf8")), {
    demangle,
  });
}

function assertGolden(name: string, text: string): void {
  const golden = new URL(`reports/${name}.txt`, fixtures);
  if (process.env.UPDATE_GOLDEN) writeFileSync(golden, text);
  assert.equal(text, readFileSync(golden, "utf8"));
}

for (const name of profiles) {
  describe(`the report on ${name}`, () => {
    const report = load(name);
    const directory = "/home/user/thumbs";

    for (const [title, width] of Object.entries(widths)) {
      test(`as text, ${title}`, () => {
        const text = textReport(report, { width, directory });
        assertGolden(`${name}-${title}`, text);
        for (const line of text.split("\n")) assert.ok(line.length <= (width ?? 1000), line);
        assert.doesNotMatch(text, /leaked by/);
      });
    }

    test("as the summary of a run", () => {
      const text = summary(report, { path: `${name}.linmem`, width: 80, directory });
      assertGolden(`${name}-summary`, text);
      assert.ok(text.split("\n").length <= 14);
    });

    test("in colour is the same text", () => {
      const plain = textReport(report, { width: 100 });
      const colored = textReport(report, { width: 100, color: true });
      assert.notEqual(colored, plain);
      // Only what picocolors adds: nothing that comes from the profile.
      // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is looked for
      const uncolored = colored.replaceAll(/\u001b\[\d+m/g, "");
      assert.deepEqual(
        uncolored.split("\n").map((line) => line.trimEnd()),
        plain.split("\n"),
      );
    });

    test("is the same text for a report that was read from JSON", () => {
      const read = JSON.parse([...jsonReport(report)].join(""));
      assert.equal(textReport(read, { top: 100 }), textReport(report, { top: 100 }));
    });

    test("holds nothing that a terminal would act on", () => {
      assert.doesNotMatch(textReport(report).replaceAll("\n", ""), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    });

    test("as JSON fits the schema, and is the report", () => {
      const text = [...jsonReport(report)].join("");
      const schema = JSON.parse(
        readFileSync(new URL("../../schema/report.schema.json", import.meta.url), "utf8"),
      );
      const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true });
      const validate = ajv.compile(schema);
      assert.ok(validate(JSON.parse(text)), ajv.errorsText(validate.errors));
      assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(report)));
    });
  });
}

test("of many callers, stacks and growths only the largest are shown, and what was left out is counted", () => {
  const text = textReport(load("photon"), { top: 1 });
  assert.match(text, /and 2 MiB by 2 others/);
  assert.match(text, /at 2 other stacks/);
  assert.match(text, /and 3 times at 3 other lines/);
});

describe("modules of a few bytes that probe the engine", () => {
  const report = load("photon");
  const memory = { initialBytes: 65536, peakBytes: 65536, finalBytes: 65536, grows: [] };
  const probe = {
    ...report.modules[0]!,
    ...{
      id: 900,
      name: "probe",
      bytes: 120,
      allocator: [],
      instrumented: false,
      reason: "no allocator was found",
    },
    ...{ memory, contexts: [], callers: [], objects: [], heap: undefined },
  };
  const withProbe = (changes: object = {}): Report => ({
    ...report,
    modules: [...report.modules, { ...probe, ...changes }],
    memories: [
      ...report.memories,
      { ...report.memories[0]!, initialBytes: 65536, peakBytes: 65536, id: 900, module: 900 },
    ],
  });

  test("are one line of the text, and none of the summary", () => {
    const text = textReport(withProbe(), { width: 100 });
    assert.match(text, /Left out: 1 module of 512 bytes or less with 1 memory of 64 KiB/);
    assert.doesNotMatch(text, /probe: /);
    const path = "p.linmem";
    assert.equal(summary(withProbe(), { path }), summary(report, { path }));
  });

  test("are shown where there is more to say: a memory that grew, a larger module, no other module", () => {
    const grows = [{ memory: 900, time: 1, fromBytes: 0, toBytes: 65536, granted: true, stack: [] }];
    for (const changes of [{ memory: { ...memory, grows } }, { bytes: 513 }]) {
      assert.match(textReport(withProbe(changes), { width: 100 }), /probe: no allocator was found/);
    }
    const alone = { ...withProbe(), modules: [probe], findings: [] };
    assert.match(textReport(alone, { width: 100 }), /probe: no allocator was found/);
  });
});

test("a report is made of what is there: a module alone, a memory alone", () => {
  const report = load("many-memories");
  for (const modules of [[], [report.modules[1]!]]) {
    for (const memories of [[], report.memories]) {
      const text = textReport({ ...report, modules, memories }, { width: 80 });
      assert.match(text, /^Next: /m);
    }
  }
});
