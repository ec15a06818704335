import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { analyze } from "../../src/analyze/analyze.js";
import { ProfileError } from "../../src/errors.js";
import { readProfileFile } from "../../src/profile/file.js";
import { ProfileReader, readProfile } from "../../src/profile/reader.js";

const folder = fileURLToPath(new URL("../fixtures/profiles/", import.meta.url));
const fixture = (name: string) => readFileSync(`${folder}${name}.linmem`, "utf8");
const lines = (name: string) => fixture(name).split("\n").slice(0, -1);

/** A value of its own for every test run would be hard to repeat: a small generator with a seed. */
function random(seed: number): () => number {
  return () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 0x80000000;
}

describe("a whole profile", () => {
  const profile = readProfile(fixture("photon"));

  test("has its header, modules, stacks and end", () => {
    assert.deepEqual(profile.header.argv, ["node", "app.mjs", "--size", "large"]);
    assert.equal(profile.modules.get(1)?.toolchain, "wasm-bindgen 0.2.92");
    assert.equal(profile.stacks.get(profile.memories.get(1)!.stack)?.at(-1)?.line, 2);
    assert.equal(profile.end?.exit, 0);
    assert.equal(profile.cut, false);
    assert.equal(profile.damagedLines, 0);
  });

  test("folds snapshots: the last totals of each context and memory count", () => {
    const memory = profile.memories.get(1)!;
    assert.equal(memory.heap?.liveBlocks, 250);
    assert.deepEqual(memory.contexts.get(1)?.totals?.slice(0, 3), [1, 120, 0]);
  });

  test("a refused growth leaves the size as it was", () => {
    const memory = profile.memories.get(1)!;
    assert.equal(memory.grows.length, 4);
    assert.equal(memory.pages, 602);
  });

  test("is the same read in pieces of any size, from lines, and from a file", async () => {
    const text = fixture("photon");
    for (const size of [1, 7, 1000]) {
      const reader = new ProfileReader("p.linmem");
      for (let at = 0; at < text.length; at += size) reader.write(text.slice(at, at + size));
      assert.deepEqual(reader.finish(), profile);
    }
    assert.deepEqual(readProfile(lines("photon")), profile);
    assert.deepEqual(await readProfileFile(`${folder}photon.linmem`), profile);
  });
});

test("a profile of version 1 says the same", () => {
  const [older, newer] = [fixture("version-1"), fixture("photon")].map((text) => readProfile(text));
  assert.equal(older!.header.version, 1);
  for (const id of [...older!.memories.values()].flatMap((memory) =>
    [...memory.contexts.values()].map(({ id }) => id),
  )) {
    const framesIn = ({ memories, stacks }: typeof older & object) => {
      const { stack, caller } = [...memories.values()].map(({ contexts }) => contexts.get(id)).find(Boolean)!;
      return [stacks.get(stack), stacks.get(caller)];
    };
    assert.deepEqual(framesIn(older!), framesIn(newer!));
    assert.ok(framesIn(older!)[0]!.length > 0);
  }
  const report = (profile: typeof older & object) => analyze({ ...profile, header: newer!.header });
  assert.deepEqual(report(older!), report(newer!));
});

describe("a profile whose stacks lost a line", () => {
  const table = ["a", "b", "c"].map((name, i) => ({
    type: "frame",
    id: i + 1,
    ...{ kind: "js", function: name, file: "a.mjs", line: 1, column: 1 },
  }));
  const [header] = lines("photon");
  const read = (...records: object[]) => readProfile([header!, ...records.map((one) => JSON.stringify(one))]);

  test("knows nothing of stacks with a frame or a parent that is not there", () => {
    const [a, b, c] = table;
    const outer = { type: "stack", id: 2, parent: 0, frames: [2, 1] };
    const inner = { type: "stack", id: 3, parent: 2, frames: [3] };
    const whole = read(a!, b!, outer, c!, inner);
    assert.deepEqual(
      whole.stacks.get(3)?.map((frame) => frame.function),
      ["c", "b", "a"],
    );
    assert.deepEqual(
      whole.stacks.get(1)?.map((frame) => frame.function),
      ["a"],
    );
    const withoutFrame = read(a!, outer, c!, inner);
    const withoutParent = read(a!, b!, c!, inner);
    for (const { stacks, damagedLines } of [withoutFrame, withoutParent]) {
      assert.equal(stacks.get(3), undefined);
      assert.ok(damagedLines > 0);
    }
  });

  test("refuses ids that a thread can't have given", () => {
    const [a] = table;
    for (const id of [0, 0.5, 2 ** 60]) {
      const { stacks, damagedLines } = read(a!, { type: "stack", id, parent: 0, frames: [1] });
      assert.equal(stacks.get(id), undefined);
      assert.equal(damagedLines, 1);
    }
  });
});

describe("a profile that was cut off", () => {
  test("keeps everything before the cut", () => {
    const profile = readProfile(fixture("truncated"));
    assert.equal(profile.cut, true);
    assert.equal(profile.end, undefined);
    assert.equal(profile.memories.get(1)?.heap?.liveBlocks, 40);
    assert.equal(profile.lastTime, 911);
  });

  test("opens wherever after the first line the cut is", () => {
    const text = fixture("photon");
    for (let length = text.indexOf("\n"); length < text.length; length++) readProfile(text.slice(0, length));
  });

  test("within the first line says so", () => {
    assert.throws(() => readProfile(fixture("photon").slice(0, 60), "p.linmem"), {
      name: "ProfileError",
      code: "ERR_LINMEM_PROFILE",
      message:
        "p.linmem ends within its first line: the run ended before anything was recorded; run it again",
    });
  });
});

describe("a profile with damage", () => {
  const [header, ...rest] = lines("photon");

  test("counts lines that are no JSON, no record, or not the record they say", () => {
    const profile = readProfile([
      header!,
      "not json",
      "[1]",
      '{"type":"stack","id":"one","frames":[]}',
      '{"type":"snapshot","time":1,"memory":77,"pages":1,"contexts":[]}',
      ...rest,
    ]);
    assert.equal(profile.damagedLines, 4);
    assert.equal(profile.memories.get(1)?.heap?.liveBlocks, 250);
  });

  test("passes over types of records and keys that a later linmem may add", () => {
    const profile = readProfile([header!, '{"type":"novelty","x":1}', ...rest, ""]);
    assert.equal(profile.damagedLines, 0);
  });

  test("changed at random opens, or is refused with a ProfileError", () => {
    const text = fixture("many-memories");
    const next = random(7);
    for (let round = 0; round < 500; round++) {
      const characters = [...text];
      for (let i = 0; i < 5; i++) {
        characters[Math.floor(next() * characters.length)] = '0"{}[],:-\n'[Math.floor(next() * 10)]!;
      }
      try {
        readProfile(characters.join(""));
      } catch (error) {
        assert.ok(error instanceof ProfileError, String(error));
      }
    }
  });
});

describe("what is no profile", () => {
  const refusals: [title: string, text: string, message: RegExp][] = [
    ["an empty file", "", /^x\.linmem is empty: /],
    ["another JSON file", fixture("foreign"), /^x\.linmem is not a linmem profile: line 1 /],
    ["binary", "\0asm\x01\0\0\0\n\n", /is not a linmem profile/],
    [
      "a header of another tool",
      '{"type":"header","format":"other","version":1}\n',
      /is not a linmem profile/,
    ],
    [
      "a header without its keys",
      '{"type":"header","format":"linmem","version":1}\n',
      /is not a linmem profile/,
    ],
    [
      "a newer version",
      fixture("newer"),
      /^x\.linmem has profile version 99, written by linmem 9\.0\.0; this linmem reads versions up to 2: update/,
    ],
    [
      "two runs in one file",
      fixture("photon") + fixture("photon"),
      /holds two runs, the second from line \d+ on/,
    ],
  ];
  for (const [title, text, message] of refusals) {
    test(`${title} is refused in one line`, () => {
      assert.throws(
        () => readProfile(text, "x.linmem"),
        (error: Error) => {
          assert.ok(error instanceof ProfileError);
          assert.match(error.message, message);
          assert.doesNotMatch(error.message, /\n/);
          return true;
        },
      );
    });
  }

  test("a large foreign file without lines is refused before it is read whole", () => {
    const reader = new ProfileReader("x.bin");
    assert.throws(() => {
      for (let i = 0; i < 64; i++) reader.write("x".repeat(1 << 16));
    }, ProfileError);
  });

  test("a missing file and a folder are named", async () => {
    await assert.rejects(readProfileFile("missing.linmem"), {
      name: "ProfileError",
      message: "cannot read missing.linmem: there is no such file",
    });
    await assert.rejects(readProfileFile(folder), /^ProfileError: cannot read .*: it is a directory$/);
  });
});

test("the example of docs/profile-format.md is a profile", () => {
  const page = readFileSync(new URL("../../docs/profile-format.md", import.meta.url), "utf8");
  const profile = readProfile(/```\n(\{"type":"header".*?)```/s.exec(page)![1]!);
  assert.equal(profile.damagedLines, 0);
  assert.equal(profile.memories.get(1)?.heap?.liveBlocks, 2);
  assert.equal(profile.end?.exit, 0);
});
