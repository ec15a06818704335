// Runs in a worker thread: appends stacks, each with a frame more inside of the one before it, to the file of `workerData`.
import { workerData } from "node:worker_threads";
import { ProfileFileWriter } from "../../../src/profile/file-writer.js";
import { StackTable } from "../../../src/profile/writer.js";

const writer = ProfileFileWriter.open(workerData.path);
const table = new StackTable(workerData.thread, (record) => writer.write([record]));
for (let depth = 1; depth <= 100; depth++) {
  table.idOf(
    Array.from({ length: depth }, (_, i) => ({
      kind: "js" as const,
      function: `f${depth - i}`,
      file: "thread.mjs",
      line: depth - i,
      column: 0,
    })),
  );
}
writer.close();
