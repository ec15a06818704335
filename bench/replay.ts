/**
 * `npm run bench:replay -- [filter [recorder.wasm…]]`: what the recorder costs for each event, alone. The calls of its functions by a
 * workload that has warmed up are written down, and made again from wasm, in order and with nothing between them.
 * A quick loop for work on the recorder; what a program feels is in `npm run bench -- parts`.
 */
import { readFileSync } from "node:fs";
import { instrument } from "../src/instrument/index.js";
import { createRecorder, type RecorderHost } from "../src/recorder/index.js";
import { compileAssembly } from "./compile-assembly.js";
import { emptyRecorder } from "./empty-recorder.js";
import { ensurePackages } from "./packages.js";
import { attachRecorder } from "./plain-attach.js";
import { median } from "./statistics.js";
import { table } from "./tables.js";
import { loadChanged } from "./variants.js";
import { type Workload, workloads } from "./workloads/index.js";

const kinds = ["alloc", "free", "realloc", "leave", "abandon", "nested"] as const;
const [alloc, free, realloc] = [0, 1, 2];
/** 32-bit words of an event: kind and number of the context, three numbers. */
const words = 4;
const kindBits = 3;
/** So few that the events stay in the processor's second cache. */
const capacity = 1 << 16;
/** Rounds of so many repetitions. */
const rounds = 15;
const repetitions = 16;
const warmUp = 5;

const host: RecorderHost = { contextSeen: () => true, captureCaller: () => 0, isNested: () => true };

type Hooks = Record<(typeof kinds)[number], (...operands: (number | bigint)[]) => number>;

interface Events {
  words: Uint32Array;
  count: number;
  contexts: bigint[];
}

/**
 * Events of a workload from a moment on when it has done all it does at least once. They can be repeated: blocks that are
 * not from here are left out, and what is live at the end is freed.
 */
async function record(workload: Workload): Promise<Events> {
  const numbers = new Map<bigint, number>();
  const list: number[][] = [];
  const live = new Set<number>();
  let recording = false;
  const log = (kind: number, numbersGiven: number[], context: bigint) => {
    if (!numbers.has(context)) numbers.set(context, numbers.size);
    list.push([kind, numbers.get(context)!, ...numbersGiven]);
  };
  const logs: Record<string, (kind: number, ...operands: (number | bigint)[]) => void> = {
    alloc(kind, address, bytes, context) {
      if (address) live.add(Number(address));
      log(kind, [Number(address), Number(bytes)], context as bigint);
    },
    free(kind, address) {
      if (live.delete(Number(address)) || !address) log(kind, [Number(address)], 0n);
    },
    realloc(kind, from, to, bytes, context) {
      const known = live.delete(Number(from)) || !from;
      if (to) live.add(Number(to));
      if (known) log(kind, [Number(from), Number(to), Number(bytes)], context as bigint);
      else log(alloc, [Number(to), Number(bytes)], context as bigint);
    },
    nested: (kind, context) => log(kind, [], context as bigint),
  };
  const hooks = createRecorder(host).imports as unknown as Hooks;
  const logged = { ...hooks, grown: () => {} };
  kinds.forEach((name, kind) => {
    logged[name] = (...operands) => {
      if (recording && list.length < capacity) (logs[name] ?? (() => log(kind, [], 0n)))(kind, ...operands);
      return hooks[name](...operands);
    };
  });
  const work = await loadChanged(workload, "replay", () =>
    attachRecorder((bytes) => instrument(bytes, { allocator: workload.allocator }).bytes, logged),
  );
  work(2);
  recording = true;
  // as many units at once as in the other benchmarks: an entry does all of them in some
  while (list.length < capacity) work(1000);
  for (const address of live) log(free, [address], 0n);
  const events = new Uint32Array(words * list.length);
  list.forEach(([kind, context, ...rest], i) => {
    events.set([kind | (context << kindBits), ...rest], words * i);
  });
  return { words: events, count: list.length, contexts: [...numbers.keys()] };
}

const source = `
@external("linmem", "alloc") declare function alloc(address: u32, bytes: u32, context: u64): i32;
@external("linmem", "free") declare function free(address: u32): i32;
@external("linmem", "realloc") declare function realloc(from: u32, to: u32, bytes: u32, context: u64): i32;
@external("linmem", "allocSlowly") declare function allocSlowly(address: u32, bytes: u32, context: u64): i32;
@external("linmem", "freeSlowly") declare function freeSlowly(address: u32): i32;
@external("linmem", "reallocSlowly") declare function reallocSlowly(from: u32, to: u32, bytes: u32, context: u64): i32;
@external("linmem", "leave") declare function leave(): void;
@external("linmem", "abandon") declare function abandon(): void;
@external("linmem", "nested") declare function nested(context: u64): i32;

export function reserve(bytes: u32): usize {
  memory.grow((bytes >> 16) + 2);
  return 65536;
}

export function run(at: usize, count: u32, contexts: usize): void {
  for (let end = at + count * ${4 * words}; at < end; at += ${4 * words}) {
    const first = load<u32>(at);
    const kind = first & ${(1 << kindBits) - 1};
    const context = load<u64>(contexts + ((first >> ${kindBits}) << 3));
    const a = load<u32>(at, 4);
    const b = load<u32>(at, 8);
    if (kind == 0) {
      if (alloc(a, b, context) < 0) allocSlowly(a, b, context);
    } else if (kind == 1) {
      if (free(a) < 0) freeSlowly(a);
    } else if (kind == 2) {
      const c = load<u32>(at, 12);
      if (realloc(a, b, c, context) < 0) reallocSlowly(a, b, c, context);
    }
    else if (kind == 3) leave();
    else if (kind == 4) abandon();
    else nested(context);
  }
}
`;

interface Driver {
  memory: WebAssembly.Memory;
  reserve(bytes: number): number;
  run(at: number, count: number, contexts: number): void;
}

/** Nanoseconds of processor time for an event with each of the recorders in turn, medians of the rounds. */
function replay({ words, count, contexts }: Events, recorders: readonly Hooks[]): number[] {
  const runs = recorders.map((hooks) => {
    const module = new WebAssembly.Module(driver);
    // older recorders do all in one function
    const { alloc: allocSlowly, free: freeSlowly, realloc: reallocSlowly } = hooks;
    const slow = { allocSlowly, freeSlowly, reallocSlowly };
    const { memory, reserve, run } = new WebAssembly.Instance(module, {
      linmem: { ...slow, ...hooks } as never,
    }).exports as unknown as Driver;
    const at = reserve(words.byteLength + 8 * contexts.length);
    new Uint32Array(memory.buffer, at, words.length).set(words);
    const contextsAt = at + words.byteLength;
    new BigUint64Array(memory.buffer, contextsAt, contexts.length).set(contexts);
    return () => {
      for (let i = 0; i < repetitions; i++) {
        run(at, count, contextsAt);
        hooks.abandon();
      }
    };
  });
  const times: number[][] = runs.map(() => []);
  for (let round = -warmUp; round < rounds; round++) {
    runs.forEach((run, i) => {
      const start = process.cpuUsage();
      run();
      const { user, system } = process.cpuUsage(start);
      if (round >= 0) times[i].push((1000 * (user + system)) / count / repetitions);
    });
  }
  return times.map(median);
}

/** The recorders of other versions, from their wasm files, to compare with. */
function otherRecorders(files: readonly string[]): Hooks[] {
  const imports = { host: { contextSeen: () => 1, captureCaller: () => 0, isNested: () => 1 } };
  return files.map(
    (file) =>
      new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)), imports)
        .exports as unknown as Hooks,
  );
}

const [filter = "", ...others] = process.argv.slice(2);
ensurePackages();
const driver = await compileAssembly(source);
const rows: string[][] = [];
for (const workload of workloads.filter(({ name }) => name.includes(filter))) {
  const events = await record(workload);
  // a recorder that has seen it all, so that no context is new; the first rounds compile
  const recorder = createRecorder(host);
  const [calls, whole, ...compared] = replay(events, [
    emptyRecorder() as unknown as Hooks,
    recorder.imports as unknown as Hooks,
    ...otherRecorders(others),
  ]);
  const { allocations, liveBlocks, temporary } = recorder.totals();
  const share = (kind: number) => {
    let n = 0;
    for (let i = 0; i < events.count; i++) if ((events.words[words * i] & 7) === kind) n++;
    return `${((100 * n) / events.count).toFixed(1)} %`;
  };
  rows.push([
    workload.name,
    calls.toFixed(2),
    whole.toFixed(2),
    ...compared.map((it) => it.toFixed(2)),
    share(alloc),
    share(free),
    share(realloc),
    share(3),
    `${((100 * temporary) / allocations).toFixed(0)} %`,
    String(liveBlocks),
    `${(recorder.memoryBytes() / 1024).toFixed(0)} KiB`,
  ]);
}
const header = [
  "workload|calls alone|ns an event",
  ...others,
  "allocations|frees|resized|leaves|temporary|live at the end|memory",
].join("|");
process.stdout.write(`${table(header.split("|"), rows)}\n`);
process.exit(0);
