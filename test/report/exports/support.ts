import { readFileSync } from "node:fs";
import { analyze } from "../../../src/analyze/analyze.js";
import type { Report } from "../../../src/analyze/report.js";
import { demangle } from "../../../src/names/demangle.js";
import { readProfile } from "../../../src/profile/reader.js";
import { type Frame, type ProfileRecord, profileVersion } from "../../../src/profile/records.js";
import { StackTable, serializeRecord } from "../../../src/profile/writer.js";

export const directory = "/home/user/thumbs";

/** The report on a profile of test/fixtures/profiles. */
export function fixtureReport(name: string): Report {
  const url = new URL(`../../fixtures/profiles/${name}.linmem`, import.meta.url);
  return analyze(readProfile(readFileSync(url, "utf8")), { demangle });
}

/** A profile's text with one module and one memory, and a context of 64 live bytes for each of the stacks. */
export function profileWith(
  stacks: readonly (readonly Frame[])[],
  ...more: readonly ProfileRecord[]
): string {
  const written: ProfileRecord[] = [];
  const table = new StackTable(0, (record) => written.push(record));
  const ids = stacks.map((frames) => table.idOf(frames));
  const records: ProfileRecord[] = [
    {
      type: "header",
      format: "linmem",
      version: profileVersion,
      linmem: "0.1.0",
      time: 1_795_347_000_000,
      pid: 1,
      engine: { name: "Node.js", version: "20.20.2" },
      platform: "linux x64",
      argv: ["node", "app.mjs"],
    },
    {
      type: "module",
      id: 1,
      thread: 0,
      name: "lib.wasm",
      bytes: 1000,
      toolchain: "",
      allocator: [{ role: "malloc", name: "malloc", index: 1, evidence: "export" }],
      instrumented: true,
    },
    {
      type: "memory",
      id: 1,
      time: 1,
      thread: 0,
      module: 1,
      initialPages: 2,
      maximumPages: null,
      shared: false,
      stack: 0,
    },
    ...written,
    ...ids.map((stack, i): ProfileRecord => ({ type: "context", id: i + 1, memory: 1, stack, caller: 0 })),
    {
      type: "snapshot",
      time: 5,
      memory: 1,
      pages: 2,
      contexts: stacks.map((_, i) => [i + 1, 1, 0, 64, 64, 64, 0]),
    },
    ...more,
  ];
  return records.map(serializeRecord).join("");
}

/** A frame in wasm. */
export function wasmFrame(name: string, file = "lib.wasm", index = 7, offset = 0x40): Frame {
  return { kind: "wasm", function: name, file, line: index, column: offset };
}

/** The report on a profile's text. */
export function reportOn(text: string): Report {
  return analyze(readProfile(text));
}
