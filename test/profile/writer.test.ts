import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { ProfileFileWriter } from "../../src/profile/file-writer.js";
import { readProfile } from "../../src/profile/reader.js";
import type {
  Frame,
  FrameRecord,
  HeaderRecord,
  ProfileRecord,
  StackRecord,
} from "../../src/profile/records.js";
import { profileVersion } from "../../src/profile/records.js";
import { threadId, threadOf } from "../../src/profile/thread-ids.js";
import { StackTable, serializeRecord } from "../../src/profile/writer.js";

const header: HeaderRecord = {
  type: "header",
  format: "linmem",
  version: profileVersion,
  linmem: "0.1.0",
  time: 0,
  pid: 1,
  engine: { name: "Node.js", version: "20.19.0" },
  platform: "linux x64",
  argv: ["node", "app.mjs"],
};
const frame = (name: string): Frame => ({ kind: "js", function: name, file: "app.mjs", line: 1, column: 2 });

test("a record is one line, whatever its strings hold", () => {
  const record: ProfileRecord = { type: "warning", code: "x", message: "two\nlines\r\u2028and\u0000more" };
  const line = serializeRecord(record);
  assert.equal(line.indexOf("\n"), line.length - 1);
  assert.deepEqual(readProfile(serializeRecord(header) + line).warnings, [record]);
});

test("what was written is what is read", () => {
  const text = readFileSync(new URL("../fixtures/profiles/many-memories.linmem", import.meta.url), "utf8");
  const written = text
    .trimEnd()
    .split("\n")
    .map((line) => serializeRecord(JSON.parse(line)));
  assert.equal(written.join(""), text);
});

describe("the stack table", () => {
  test("writes a stack once, and before its id is used", () => {
    const written: (FrameRecord | StackRecord)[] = [];
    const table = new StackTable(0, (record) => written.push(record));
    assert.equal(table.idOf([frame("a"), frame("b")]), 2);
    assert.equal(table.idOf([frame("b"), frame("a")]), 4);
    assert.equal(table.idOf([frame("a"), frame("b")]), 2);
    assert.equal(table.idOf([frame("b")]), 1, "a part of a stack that was written");
    assert.equal(table.idOf([frame("c"), frame("a"), frame("b")]), 5);
    assert.deepEqual(written, [
      { type: "frame", id: 1, ...frame("b") },
      { type: "frame", id: 2, ...frame("a") },
      { type: "stack", id: 2, parent: 0, frames: [2, 1] },
      { type: "stack", id: 4, parent: 0, frames: [1, 2] },
      { type: "frame", id: 3, ...frame("c") },
      { type: "stack", id: 5, parent: 2, frames: [3] },
    ]);
    assert.deepEqual(table.framesOf(5), [frame("c"), frame("a"), frame("b")]);
    assert.deepEqual(table.framesOf(6), []);
  });

  test("gives 0 to a stack without frames", () => {
    const table = new StackTable(0, () => assert.fail("nothing to write"));
    assert.equal(table.idOf([]), 0);
  });

  test("gives every thread ids of its own", () => {
    const ids = [0, 1, 2].map((thread) => new StackTable(thread, () => {}).idOf([frame("a")]));
    assert.deepEqual(ids, [1, 2 ** 32 + 1, 2 ** 33 + 1]);
    assert.deepEqual(ids.map(threadOf), [0, 1, 2]);
    assert.equal(threadOf(threadId(2 ** 20, 2 ** 32 - 1)), 2 ** 20);
  });
});

describe("the file writer", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "linmem-writer-"));
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  test("has written each record when write returns", () => {
    const path = join(folder, "now.linmem");
    const writer = ProfileFileWriter.create(path, header);
    assert.equal(readFileSync(path, "utf8"), serializeRecord(header));
    writer.write([{ type: "end", time: 5, exit: 0, captureTime: 0 }]);
    assert.equal(readProfile(readFileSync(path, "utf8")).end?.time, 5);
    writer.close();
    writer.write([header]);
    assert.equal(readFileSync(path, "utf8").split("\n").length, 3);
  });

  test("never overwrites a file", () => {
    const path = join(folder, "there.linmem");
    ProfileFileWriter.create(path, header).close();
    assert.throws(() => ProfileFileWriter.create(path, header), {
      code: "ERR_LINMEM_PROFILE",
      message: `cannot write ${path}: it exists already`,
    });
  });

  test("says where it can't write", () => {
    const path = join(folder, "missing", "p.linmem");
    assert.throws(() => ProfileFileWriter.create(path, header), {
      message: `cannot write ${path}: there is no such file`,
    });
  });

  test("lines of threads that append at the same time stay whole", async () => {
    const path = join(folder, "threads.linmem");
    const writer = ProfileFileWriter.create(path, header);
    const worker = fileURLToPath(new URL("support/append.ts", import.meta.url));
    const threads = [1, 2, 3];
    await Promise.all(
      threads.map(
        (thread) =>
          new Promise((resolve, reject) => {
            // Node 20 does not run the loader of TypeScript in worker threads by itself.
            const start = `import("tsx/esm/api").then(({ tsImport }) => tsImport(${JSON.stringify(worker)}, ${JSON.stringify(import.meta.url)}))`;
            new Worker(start, { eval: true, workerData: { path, thread } })
              .on("error", reject)
              .on("exit", resolve);
          }),
      ),
    );
    writer.close();
    const profile = readProfile(readFileSync(path, "utf8"));
    assert.equal(profile.damagedLines, 0);
    assert.equal(profile.stacks.threads, 3);
    for (const thread of threads) {
      assert.deepEqual(
        Array.from({ length: 101 }, (_, i) => profile.stacks.get(threadId(thread, i))?.length),
        [undefined, ...Array.from({ length: 100 }, (_, i) => i + 1)],
      );
    }
  });
});
