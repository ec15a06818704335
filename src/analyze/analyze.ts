import type { HeapTotals, ModuleRecord } from "../profile/records.js";
import type { MemoryState, Profile } from "../profile/state.js";
import { withMemoriesOfTheEnd } from "./collected-at-end.js";
import { isCountedOnly } from "./collected-heaps.js";
import { moduleContexts, type ReportIds } from "./contexts.js";
import { withoutContradicted } from "./contradictions.js";
import { isCollected } from "./diagnosis/finding.js";
import { findAll } from "./diagnosis/index.js";
import { type Demangle, StackReader } from "./frames.js";
import { memoryErrors } from "./memory-errors.js";
import { moduleObjects } from "./objects.js";
import type {
  GrowReport,
  HeapReport,
  MemoryReport,
  ModuleReport,
  Report,
  RunReport,
  WarningReport,
} from "./report.js";
import { timelineOf } from "./timeline.js";

const pageSize = 65536;

export interface AnalyzeOptions {
  /** Makes names of wasm functions readable; only called for names that appear. Without it they stay. */
  demangle?: Demangle;
}

/** Works out what a profile says. */
export function analyze(profile: Profile, options: AnalyzeOptions = {}): Report {
  return analyzeContexts(profile, options).report;
}

/** The same, and what became of the contexts of the profile. */
export function analyzeContexts(
  recorded: Profile,
  { demangle = (name) => name }: AnalyzeOptions,
): { report: Report; reportIds: ReportIds } {
  const profile = believed(recorded);
  const stacks = new StackReader(profile, demangle);
  const reportIds = new Map<MemoryState, number[]>();
  const groups = sameModules(profile);
  const idOf = new Map(groups.flatMap((group) => group.map(({ id }) => [id, group[0]!.id] as const)));
  const memories = ownMemories(profile);
  const moduleOf = (id: number | undefined) => (id === undefined ? undefined : (idOf.get(id) ?? id));
  const report: Report = {
    format: "linmem-report",
    version: 1,
    run: runReport(profile, memories),
    findings: [],
    timeline: timelineOf(memories),
    modules: groups.map((group) => moduleReport(profile, memories, group, stacks, reportIds)),
    memories: memories.map((memory) => memoryReport(memory, moduleOf(memory.module), stacks)),
    warnings: warnings(profile, moduleOf),
  };
  const memoriesOf = new Map<number, number[]>();
  for (const { id, module } of memories) {
    const group = moduleOf(module);
    if (group === undefined) continue;
    const ids = memoriesOf.get(group) ?? [];
    memoriesOf.set(group, ids);
    ids.push(id);
  }
  if (profile.header.checked) {
    const collected = new Set(report.modules.filter(isCollected).map(({ id }) => id));
    Object.assign(
      report,
      memoryErrors(profile, stacks, moduleOf, (module) => collected.has(module)),
    );
  }
  report.findings = findAll(profile, report, stacks, memoriesOf, reportIds);
  return { report, reportIds };
}

/**
 * The profile without what it says of functions that turned out to be no allocator, and with the memories that went when
 * the program was over.
 */
export function believed(profile: Profile): Profile {
  return withMemoriesOfTheEnd(withoutContradicted(profile, sameModules(profile)));
}

/** A memory that several threads share is one, and belongs to the thread that made it, if that was recorded. */
function ownMemories(profile: Profile): MemoryState[] {
  const all = [...profile.memories.values()];
  const sent = all.some(({ shared, received }) => shared && !received);
  return sent ? all.filter(({ received }) => !received) : all;
}

/** Modules by what they are: each thread of a program that compiles one writes a record of its own. */
function sameModules(profile: Profile): ModuleRecord[][] {
  const groups = new Map<string, ModuleRecord[][]>();
  for (const module of profile.modules.values()) {
    const { id, thread, type, ...content } = module;
    const key = JSON.stringify(content);
    const candidates = groups.get(key) ?? [];
    groups.set(key, candidates);
    // Two from one thread differ, or they would have been one: only their bytes are not in the file.
    const group = candidates.find((others) => others.every((other) => other.thread !== thread));
    if (group) group.push(module);
    else candidates.push([module]);
  }
  const order = new Map([...profile.modules.keys()].map((id, index) => [id, index]));
  return [...groups.values()].flat().sort(([a], [b]) => order.get(a!.id)! - order.get(b!.id)!);
}

function runReport(profile: Profile, memories: readonly MemoryState[]): RunReport {
  const { header, end, lastTime } = profile;
  return {
    linmem: header.linmem,
    argv: header.argv,
    pid: header.pid,
    engine: header.engine,
    platform: header.platform,
    startTime: header.time,
    duration: end?.time ?? lastTime,
    exit: end?.exit ?? null,
    captureTime: end?.captureTime ?? null,
    complete: end !== undefined,
    peakMemoryBytes: peakTogether(memories),
  };
}

function peakTogether(memories: readonly MemoryState[]): number {
  const changes: { time: number; bytes: number }[] = [];
  for (const memory of memories) {
    const { time, initialPages, pages, collected } = memory;
    changes.push({ time, bytes: initialPages * pageSize });
    let seen = initialPages;
    for (const grow of memory.grows) {
      const to = grow.fromPages + grow.deltaPages;
      if (!grow.granted || to <= seen) continue;
      changes.push({ time: grow.time, bytes: (to - seen) * pageSize });
      seen = to;
    }
    // Growth that no record tells of: at the latest by the end.
    const until = collected ?? Number.POSITIVE_INFINITY;
    if (pages > seen) changes.push({ time: until, bytes: (pages - seen) * pageSize });
    if (collected !== undefined) changes.push({ time: until, bytes: -pages * pageSize });
  }
  changes.sort((a, b) => (a.time === b.time ? b.bytes - a.bytes : a.time - b.time));
  let bytes = 0;
  let peak = 0;
  for (const change of changes) peak = Math.max(peak, (bytes += change.bytes));
  return peak;
}

function moduleReport(
  profile: Profile,
  all: readonly MemoryState[],
  group: readonly ModuleRecord[],
  stacks: StackReader,
  reportIds: Map<MemoryState, number[]>,
): ModuleReport {
  const [{ id, name, bytes, toolchain, allocator, instrumented, reason }] = group as [ModuleRecord];
  const ids = new Set(group.map((module) => module.id));
  const memories = all.filter((memory) => ids.has(memory.module ?? -1));
  const instances = [...profile.instances.values()].filter((instance) => ids.has(instance.module));
  const heap = heapReport(memories);
  const found = moduleContexts(memories, stacks, reportIds);
  return {
    id,
    name,
    bytes,
    toolchain,
    instrumented,
    ...(reason !== undefined && { reason }),
    allocator: allocator.map(({ role, name, index, evidence }) => ({ role, name, index, evidence })),
    instances: {
      created: instances.length,
      collected: instances.filter((instance) => instance.collected !== undefined).length,
    },
    memory: {
      initialBytes: sum(memories, (memory) => memory.initialPages) * pageSize,
      peakBytes: sum(memories, (memory) => memory.peakPages) * pageSize,
      finalBytes: sum(memories, (memory) => (memory.collected === undefined ? memory.pages : 0)) * pageSize,
      grows: memories.flatMap((memory) => grows(memory, stacks)).sort((a, b) => a.time - b.time),
    },
    ...(heap && { heap }),
    ...found,
    objects: moduleObjects({ ...found, allocator, toolchain }),
  };
}

function grows(memory: MemoryState, stacks: StackReader): GrowReport[] {
  return memory.grows.map(({ time, fromPages, deltaPages, granted, stack }) => ({
    memory: memory.id,
    time,
    fromBytes: fromPages * pageSize,
    toBytes: (fromPages + deltaPages) * pageSize,
    granted,
    stack: stacks.frames(stack),
  }));
}

function heapReport(memories: readonly MemoryState[]): HeapReport | undefined {
  const recorded = memories.filter((memory) => memory.heap);
  if (recorded.length === 0) return undefined;
  const all = recorded.map((memory) => memory.heap!);
  const kept = recorded.filter((memory) => memory.collected === undefined).map((memory) => memory.heap!);
  const gone = recorded.filter((memory) => memory.collected !== undefined).map((memory) => memory.heap!);
  const total = (key: Exclude<keyof HeapTotals, "sizes">) => sum(all, (heap) => heap[key] ?? 0);
  const sizes = Array.from(
    { length: all.reduce((most, heap) => Math.max(most, heap.sizes.length), 0) },
    (_, k) => sum(all, (heap) => heap.sizes[k] ?? 0),
  );
  return {
    allocations: total("allocations"),
    frees: total("frees"),
    allocatedBytes: total("allocatedBytes"),
    liveBytes: sum(kept, (heap) => heap.liveBytes),
    liveBlocks: sum(kept, (heap) => heap.liveBlocks),
    peakLiveBytes: total("peakLiveBytes"),
    temporary: total("temporary"),
    unknownFrees: total("unknownFrees"),
    missedFrees: total("missedFrees"),
    untracked: total("untracked"),
    failed: total("failed"),
    sizes,
    outlived: total("outlived"),
    captured: total("captured"),
    contextsDropped: total("contextsDropped"),
    collectable: total("collectable"),
    collections: total("collections"),
    collectedBytes: sum(gone, (heap) => heap.liveBytes),
    collectedBlocks: sum(gone, (heap) => heap.liveBlocks),
  };
}

function memoryReport(memory: MemoryState, module: number | undefined, stacks: StackReader): MemoryReport {
  const { id, thread, time, initialPages, maximumPages, peakPages, pages, shared, heap } = memory;
  return {
    id,
    ...(module !== undefined && { module }),
    thread,
    time,
    initialBytes: initialPages * pageSize,
    peakBytes: peakPages * pageSize,
    finalBytes: pages * pageSize,
    maximumBytes: maximumPages === null ? null : maximumPages * pageSize,
    shared,
    collected: memory.collected ?? null,
    grows: memory.grows.filter((grow) => grow.granted).length,
    ...(heap && !isCountedOnly(heap) && { liveBytes: heap.liveBytes }),
    stack: stacks.frames(memory.stack),
  };
}

function warnings(
  profile: Profile,
  moduleOf: (id: number | undefined) => number | undefined,
): WarningReport[] {
  const found: WarningReport[] = profile.warnings.map(({ code, message, module }) => ({
    code,
    message,
    ...(module !== undefined && { module: moduleOf(module)! }),
  }));
  const { damagedLines } = profile;
  if (damagedLines > 0) {
    const lines = damagedLines === 1 ? "1 line" : `${damagedLines} lines`;
    found.push({
      code: "damaged-lines",
      message: `${lines} of the profile could not be understood: figures may be too low`,
    });
  }
  return found;
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
