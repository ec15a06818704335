import type { ProfileRecord } from "./records.js";

/**
 * Checks that what a line says has the shape of its record: a profile may come from anywhere, and all that
 * reads it later trusts the types. Keys that are not listed are let through, for additions within a version.
 */
type Check = (value: unknown) => boolean;

const number: Check = (value) => typeof value === "number" && Number.isFinite(value);
const count: Check = (value) => number(value) && (value as number) >= 0;
const text: Check = (value) => typeof value === "string";
const flag: Check = (value) => typeof value === "boolean";
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const either =
  (one: Check, other: Check): Check =>
  (value) =>
    one(value) || other(value);
const list =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const shape = (checks: Record<string, Check>): Check => {
  const entries = Object.entries(checks);
  return (value) =>
    typeof value === "object" &&
    value !== null &&
    entries.every(([key, check]) => check((value as Record<string, unknown>)[key]));
};

const position = { file: text, line: count, column: count };
const place = {
  kind: (value: unknown) => value === "wasm" || value === "js",
  ...position,
  module: optional(count),
};
const frame = shape({ ...place, function: text });

const heap = shape({
  allocations: count,
  frees: count,
  allocatedBytes: count,
  liveBytes: count,
  liveBlocks: count,
  peakLiveBytes: count,
  temporary: count,
  unknownFrees: count,
  missedFrees: count,
  overlaps: optional(count),
  untracked: count,
  failed: count,
  sizes: list(count),
  outlived: count,
  captured: count,
  contextsDropped: count,
  collectable: optional(count),
  collections: optional(count),
});

/** Written out: most numbers of a profile are in these. */
const contextTotals: Check = (value) => {
  if (!Array.isArray(value) || value.length < 7) return false;
  for (const item of value) if (typeof item !== "number" || !(item >= 0 && item < Infinity)) return false;
  return true;
};

const range: Check = (value) =>
  Array.isArray(value) && value.length === 2 && value.every(count) && value[0] <= value[1];

const records: Record<ProfileRecord["type"], Check> = {
  header: shape({
    format: text,
    version: count,
    linmem: text,
    time: number,
    pid: number,
    engine: shape({ name: text, version: text }),
    platform: text,
    argv: list(text),
    checked: optional(flag),
  }),
  module: shape({
    id: count,
    thread: count,
    name: text,
    bytes: count,
    toolchain: text,
    allocator: list(shape({ role: text, name: text, index: count, evidence: text })),
    instrumented: flag,
    reason: optional(text),
    code: optional(shape({ hash: text, start: count })),
  }),
  frame: shape({ id: count, ...place, function: text }),
  stack: shape({ id: count, parent: count, frames: list(count) }),
  "whole-stack": shape({ id: count, frames: list(frame) }),
  memory: shape({
    id: count,
    time: number,
    thread: count,
    module: optional(count),
    initialPages: count,
    maximumPages: orNull(count),
    shared: flag,
    received: optional(flag),
    stack: count,
  }),
  "memory-module": shape({ memory: count, module: count }),
  instance: shape({ id: count, time: number, module: count, memories: list(count), stack: count }),
  collected: shape({ time: number, memory: optional(count), instance: optional(count) }),
  grow: shape({
    memory: count,
    time: number,
    fromPages: count,
    deltaPages: count,
    granted: flag,
    stack: count,
  }),
  context: shape({ id: count, memory: count, stack: count, caller: count }),
  snapshot: shape({
    time: number,
    memory: count,
    pages: count,
    heap: optional(heap),
    contexts: list(contextTotals),
  }),
  layout: shape({
    memory: count,
    module: count,
    pages: count,
    data: list(range),
    stack: optional(range),
    heapBase: optional(count),
    hiddenGlobals: count,
  }),
  blocks: shape({ time: number, memory: count, count, data: text }),
  "memory-error": shape({
    id: count,
    memory: count,
    time: number,
    kind: text,
    access: text,
    address: count,
    size: count,
    block: optional(shape({ address: count, size: count })),
    stack: count,
    allocatedAt: optional(count),
    allocatedBy: optional(count),
    freedAt: optional(count),
    count,
  }),
  warning: shape({ code: text, message: text, module: optional(count) }),
  source: shape({ frame: shape(place), source: list(shape({ ...position, function: text })) }),
  call: shape({ frame: shape(place), calls: optional(text), makes: optional(text) }),
  end: shape({ time: number, exit: either(number, text), captureTime: number }),
};

/** `known`: a record of this version; `unknown`: a type to pass over; `damaged`: not what its type says. */
export function checkRecord(record: Record<string, unknown>): "known" | "unknown" | "damaged" {
  if (typeof record.type !== "string") return "damaged";
  if (!Object.hasOwn(records, record.type)) return "unknown";
  return records[record.type as ProfileRecord["type"]](record) ? "known" : "damaged";
}
