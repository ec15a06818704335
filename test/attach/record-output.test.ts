// Records on their way into the profile: frames and stacks wait for what refers to them, and nothing else does.
import assert from "node:assert/strict";
import { test } from "node:test";
import { maximumHeldRecords } from "../../src/attach/limits.js";
import { RecordOutput } from "../../src/attach/record-output.js";
import type { ProfileRecord } from "../../src/profile/records.js";

const stack = (id: number): ProfileRecord => ({ type: "stack", id, parent: 0, frames: [1] });
const warning: ProfileRecord = { type: "warning", code: "not-instrumented", message: "why" };

function open() {
  const written: ProfileRecord[][] = [];
  const output = new RecordOutput(() => ({ write: (records) => void written.push([...records]) }));
  output.activate();
  written.length = 0;
  return { output, written };
}

test("stacks are written with the first record that may refer to them, in front of it", () => {
  const { output, written } = open();
  for (let id = 1; id <= 3; id++) output.write([stack(id)]);
  assert.deepEqual(written, []);
  output.write([warning]);
  assert.deepEqual(written, [[stack(1), stack(2), stack(3), warning]]);
  output.write([stack(4), warning]);
  assert.deepEqual(written[1], [stack(4), warning]);
});

test("so many stacks don't wait", () => {
  const { output, written } = open();
  for (let id = 1; id <= maximumHeldRecords + 1; id++) output.write([stack(id)]);
  assert.deepEqual(
    written.map((records) => records.length),
    [maximumHeldRecords],
  );
});

test("100,000 records at once, among them stacks", () => {
  const { output, written } = open();
  const many = Array.from({ length: 100_000 }, (_, i) => (i % 2 ? stack(i) : warning));
  output.write([stack(1)]);
  output.write(many);
  assert.equal(written[0].length, 100_001);
});

test("what came before the profile was opened is written once it is", () => {
  const written: ProfileRecord[] = [];
  const output = new RecordOutput(() => ({ write: (records) => void written.push(...records) }));
  output.write([stack(1)]);
  output.write([warning]);
  assert.deepEqual(written, []);
  output.activate();
  assert.deepEqual(written, [stack(1), warning]);
});
