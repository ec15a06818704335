// The diagnosis of programs whose faults are known: each does one thing wrong, or none. Runs dist/, so build first.
import assert from "node:assert/strict";
import { after, afterEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { analyze } from "../../src/analyze/analyze.js";
import type { Finding, FindingKind, Report } from "../../src/analyze/report.js";
import { readProfileFile } from "../../src/profile/file.js";
import { Sandbox } from "../attach/run-program.js";

const sandbox = new Sandbox();
after(() => sandbox.remove());
afterEach(() => sandbox.clear());

const library = fileURLToPath(new URL("../fixtures/causes/stack-first.wasm", import.meta.url));

/** A program with the causes' exports as `c`, a function that makes instances, and one that works for a while. */
async function reportOf(source: string): Promise<Report> {
  const program = `import { readFileSync } from "node:fs";
const module = new WebAssembly.Module(readFileSync(${JSON.stringify(library)}));
const instance = () => new WebAssembly.Instance(module, { env: { call() {} } }).exports;
const c = instance();
function during(milliseconds, step) {
  const end = performance.now() + milliseconds;
  const begun = process.cpuUsage();
  // snapshots come by the clock: a machine that has other work needs more of it for the same
  const busy = () => process.cpuUsage(begun).user / 1000;
  let i = 0;
  do {
    step(i++);
    // as programs have other work between their calls: callers are captured for a share of the time
    for (const next = performance.now() + 0.03; performance.now() < next; );
  } while (performance.now() < end || i < 600 || busy() < milliseconds * 0.75);
}
${source}`;
  const { code, stderr } = await sandbox.linmem([
    "run",
    "-q",
    "-o",
    "p.linmem",
    sandbox.write("p.mjs", program),
  ]);
  assert.equal(code, 0, stderr);
  return analyze(await readProfileFile(`${sandbox.folder}/p.linmem`));
}

async function findings(source: string): Promise<Finding[]> {
  return (await reportOf(source)).findings;
}

const kinds = (all: readonly Finding[]): FindingKind[] => all.map(({ kind }) => kind);
const one = (all: readonly Finding[], kind: FindingKind): Finding => {
  const found = all.filter((finding) => finding.kind === kind);
  assert.equal(found.length, 1, `one ${kind} of ${kinds(all)}`);
  return found[0]!;
};

describe("a leak", () => {
  test("is named by the line that makes it, and nothing else is", async () => {
    const all = await findings(`function forgets() { c.make(64); }
function releases() { c.release(c.make(64)); }
for (let i = 0; i < 2000; i++) c.keep(8);
during(500, () => { forgets(); releases(); });`);
    const leak = one(all, "leak");
    assert.equal(leak.severity, "problem");
    assert.equal(leak.caller?.function, "forgets");
    assert.match(leak.title, /^forgets leaks: /);
    assert.ok(leak.certainty > 0.6, `certainty ${leak.certainty}`);
    assert.equal(all[0], leak);
    assert.ok(!kinds(all).includes("flat"));
    const lost = one(all, "reachability");
    assert.equal(lost.caller?.function, "forgets");
  });

  test("that memory still refers to is a leak all the same, but not lost", async () => {
    const all = await findings("function grows() { c.keep(64); }\nduring(500, grows);");
    assert.equal(one(all, "leak").caller?.function, "grows");
    assert.ok(!kinds(all).includes("reachability"));
  });

  test("of two callers is two leaks, the larger first", async () => {
    const all = await findings(`function small() { c.make(32); }
function large() { c.make(400); }
during(500, () => { small(); large(); });`);
    const leaks = all.filter(({ kind }) => kind === "leak").map(({ caller }) => caller?.function);
    assert.deepEqual(leaks, ["large", "small"]);
  });
});

describe("no leak", () => {
  const clean: Record<string, string> = {
    "is a start that stays": `for (let i = 0; i < 4000; i++) c.keep(40);
during(500, () => c.release(c.make(64)));`,
    "is a cache that is full": "during(500, (i) => c.cache(i % 4, 200));",
    "is a load that comes and goes": `let held = [];
during(600, (i) => {
  held.push(c.make(64));
  if (held.length >= 150) { held.forEach((block) => c.release(block)); held = []; }
});
held.forEach((block) => c.release(block));`,
    "is a table that doubles": `let size = 64, table = c.malloc(size), used = 0;
during(500, () => {
  c.release(c.make(16));
  if ((used += 8) > size) table = c.realloc(table, (size *= 2));
});`,
  };
  for (const [what, source] of Object.entries(clean)) {
    test(what, async () => {
      const found = kinds(await findings(source));
      for (const kind of ["leak", "late-release"] as const) assert.ok(!found.includes(kind), `${found}`);
    });
  }

  test("is said where the heap is flat", async () => {
    const flat = one(await findings("during(500, () => c.release(c.make(64)));"), "flat");
    assert.equal(flat.severity, "note");
    assert.match(flat.advice, /elsewhere/);
  });

  test("can be told from a short run", async () => {
    assert.deepEqual(
      kinds(await findings("for (let i = 0; i < 300; i++) c.make(64);")).filter(
        (kind) => kind !== "reachability",
      ),
      ["too-short"],
    );
  });
});

test("a caller that leaks is no late one because it also holds what is released at the end", async () => {
  const all = await findings(`const held = [];
function both() { c.make(64); held.push(c.malloc(72)); }
during(500, both);
held.forEach((block) => c.release(block));`);
  const leak = one(all, "leak");
  assert.equal(leak.caller?.function, "both");
  assert.ok(!kinds(all).includes("late-release"));
});

test("what is released only at the end is late", async () => {
  const all = await findings(`const held = [];
function collects() { held.push(c.make(64)); }
during(500, collects);
held.forEach((block) => c.release(block));`);
  const late = one(all, "late-release");
  assert.equal(late.caller?.function, "collects");
  assert.ok(!kinds(all).includes("leak"));
});

test("holes between long-lived blocks are fragmentation, with who asked for more", async () => {
  const all = await findings(`const old = [], held = [];
for (let i = 0; i < 300; i++) { old.push(c.make(20000)); c.keep(16); }
old.forEach((block) => c.release(block));
during(100, () => {});
function asksForMore() { held.push(c.make(30000)); }
for (let i = 0; i < 300; i++) {
  asksForMore();
  for (const end = performance.now() + 0.5; performance.now() < end; );
}`);
  const finding = one(all, "fragmentation");
  assert.ok(finding.bytes > 1 << 20, `${finding.bytes} bytes free`);
  assert.equal(finding.severity, "warning");
  assert.match(
    finding.evidence.join(" "),
    /the largest hole 19\.\d KiB.* grew \d+ times while more was free/,
  );
  assert.equal(finding.caller?.function, "asksForMore");
});

test("a moment that needed much is the high-water mark's", async () => {
  const all = await findings(`function peaks() {
  const held = [];
  for (let i = 0; i < 400; i++) held.push(c.make(10000));
  held.forEach((block) => c.release(block));
}
peaks();
during(300, () => c.release(c.make(64)));`);
  const finding = one(all, "high-water");
  assert.match(finding.title, /^3\.8 MiB were live at one moment, 0 B at the end$/);
  assert.match(finding.evidence.join(" "), /by peaks/);
});

test("growth in small steps asks for a larger start, and for a bound", async () => {
  const finding = one(await findings("for (let i = 0; i < 40; i++) c.keep(65000);"), "reservation");
  assert.match(finding.title, /^The memory grew \d+ times/);
  assert.match(finding.advice, /`initial` of 5\d pages .*`maximum: \d+`/);
});

test("many temporary blocks of one stack are churn", async () => {
  const finding = one(await findings("function joins() { c.join(30000, 24); }\njoins();"), "churn");
  assert.match(finding.title, /^30,000 blocks/);
  assert.match(finding.evidence[0]!, /of 28 B on average/);
});

test("a memory for every call is instance churn", async () => {
  const finding = one(
    await findings("function perCall() { instance().make(10); }\nfor (let i = 0; i < 20; i++) perCall();"),
    "instance-churn",
  );
  assert.equal(finding.severity, "warning");
  assert.match(finding.title, /20 memories|21 memories/);
});

test("memories that become more have not levelled off, though none of them grows", async () => {
  const plain = `new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 5, 3, 1, 0, 1))`;
  const all = await findings(`const plain = ${plain};
const held = [];
for (let i = 0; i < 40; i++) held.push(new WebAssembly.Instance(plain));`);
  const { module } = one(all, "instance-churn");
  assert.deepEqual(kinds(all.filter((finding) => finding.module === module)), ["instance-churn"]);
});

test("a profile without memories has no findings", async () => {
  assert.deepEqual(
    analyze(
      await readProfileFile(fileURLToPath(new URL("../fixtures/profiles/no-wasm.linmem", import.meta.url))),
    ).findings,
    [],
  );
});
