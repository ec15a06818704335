// Puts one or two analysed profiles into the form that the page reads (data.ts). Everything that a profile says in
// words passes `clean` here, once: the page shows it as text and nothing else.
import { isCountedOnly } from "../../analyze/collected-heaps.js";
import type { Details } from "../../analyze/details.js";
import { callerFrame } from "../../analyze/frames.js";
import type { Finding, FrameReport, ModuleReport, Report } from "../../analyze/report.js";
import { routeOf } from "../../analyze/routed-context.js";
import { ending } from "../facts.js";
import { clean } from "../format.js";
import { commandLine, functionName, lineLocation, moduleName } from "../frames.js";
import { Columns } from "./columns.js";
import type { FindingData, GrowData, ModuleData, ProfileData, ReportData } from "./data.js";
import { packMemory } from "./pack-memory.js";
import { StackTree } from "./stack-tree.js";

export interface HtmlProfile {
  /** What the report calls it. */
  title: string;
  details: Details;
}

/** So many memories are listed one by one, and have a timeline; programs that make thousands use few at a time. */
const mostMemories = 100;
const mostGrows = 2000;

/** The bytes that the page reads, not yet compressed. */
export function packReport(profiles: readonly HtmlProfile[], directory: string): Uint8Array<ArrayBuffer> {
  const columns = new Columns();
  const tree = new StackTree(directory);
  const packed = profiles.map((profile) => packProfile(profile, tree, columns, directory));
  const { frames, nodes } = tree;
  const data: ReportData = {
    format: "linmem-html",
    version: 1,
    strings: tree.strings.list,
    frames: {
      name: columns.add(frames.map((frame) => frame.name)),
      place: columns.add(frames.map((frame) => frame.place)),
      package: columns.add(frames.map((frame) => frame.package)),
      kind: columns.add(frames.map((frame) => frame.kind)),
      function: columns.add(frames.map((frame) => frame.function)),
    },
    nodes: { parent: columns.add(nodes.parent), frame: columns.add(nodes.frame) },
    profiles: packed,
  };
  return columns.encode(data);
}

function packProfile(
  { title, details }: HtmlProfile,
  tree: StackTree,
  columns: Columns,
  directory: string,
): ProfileData {
  const { report, history } = details;
  const { run, modules } = report;
  const all = modules.flatMap((module, index) =>
    module.contexts.map((context) => ({ context, index, place: tree.add(context.stack, module) })),
  );
  const column = (key: Exclude<keyof (typeof all)[number]["context"], "id" | "stack" | "sampled">) =>
    columns.add(all.map(({ context }) => context[key]));
  const memories = [...report.memories].sort((a, b) => b.peakBytes - a.peakBytes || a.time - b.time);
  const moduleIndex = new Map(modules.map(({ id }, index) => [id, index]));
  return {
    title: clean(title),
    run: {
      command: commandLine(run.argv, directory) || "(unknown program)",
      engine: clean(`${run.engine.name} ${run.engine.version}, ${run.platform}`),
      startTime: run.startTime,
      duration: run.duration,
      ending: clean(ending(report)),
      complete: run.complete,
      linmem: clean(run.linmem),
      peakMemoryBytes: run.peakMemoryBytes,
    },
    modules: modules.map(moduleData),
    contexts: {
      node: columns.add(all.map(({ place }) => place.innermost)),
      module: columns.add(all.map(({ index }) => index)),
      caller: columns.add(
        all.map(({ context, place }) => (context.sampled ? 0 : place.nodeOf(routeOf(context).caller))),
      ),
      allocations: column("allocations"),
      frees: column("frees"),
      allocatedBytes: column("allocatedBytes"),
      liveBytes: column("liveBytes"),
      liveBlocks: column("liveBlocks"),
      peakLiveBytes: column("peakLiveBytes"),
      temporary: column("temporary"),
    },
    history: {
      times: history.times,
      entries: columns.add(history.contexts.map((entries) => entries.length)),
      step: columns.add(
        history.contexts.flatMap((entries) =>
          entries.map(({ index }, i) => index - (entries[i - 1]?.index ?? 0)),
        ),
      ),
      allocations: columns.add(history.contexts.flatMap((entries) => entries.map((one) => one.allocations))),
      frees: columns.add(history.contexts.flatMap((entries) => entries.map((one) => one.frees))),
      liveBytes: columns.add(history.contexts.flatMap((entries) => entries.map((one) => one.liveBytes))),
    },
    memories: memories
      .slice(0, mostMemories)
      .map((memory) =>
        packMemory(
          memory,
          memory.module === undefined ? -1 : (moduleIndex.get(memory.module) ?? -1),
          details.memories.get(memory.id),
          tree.add(memory.stack).innermost,
          columns,
        ),
      ),
    memoriesLeft: Math.max(0, memories.length - mostMemories),
    grows: grows(report, tree),
    findings: report.findings.map((finding) => findingData(finding, report, directory)),
    warnings: report.warnings.map(({ message }) => clean(message)),
  };
}

const weights = { problem: "problem", warning: "advice", note: "fact" } as const;

function findingData(
  { kind, severity, title, evidence, advice, caller, module }: Finding,
  { modules }: Report,
  directory: string,
): FindingData {
  const about = modules.length > 1 ? modules.find(({ id }) => id === module) : undefined;
  const line = caller && `${functionName(caller)} at ${lineLocation(caller, directory)}`;
  return {
    severity: weights[severity],
    title: clean(title),
    evidence: evidence.map(clean),
    where: [...(about ? [moduleName(about)] : []), ...(line ? [line] : [])].join(": "),
    advice: clean(advice),
    ...(caller && {
      show: {
        // A caller is a line, whatever the column; the colon keeps line 12 apart from line 120.
        text: lineLocation(caller, directory) + (hasColumn(caller) ? ":" : ""),
        metric: shownFigures[kind] ?? "live",
      },
    }),
  };
}

const shownFigures: Partial<Record<Finding["kind"], "highWater" | "temporary">> = {
  "high-water": "highWater",
  "late-release": "highWater",
  churn: "temporary",
};

function hasColumn({ column, source }: FrameReport): boolean {
  return (source?.column ?? column) > 0;
}

function moduleData(module: ModuleReport): ModuleData {
  const { toolchain, instrumented, reason = "", heap, instances, memory } = module;
  return {
    name: moduleName(module),
    toolchain: clean(toolchain),
    instrumented,
    reason: clean(reason),
    liveBytes: heap?.liveBytes ?? 0,
    liveBlocks: heap?.liveBlocks ?? 0,
    peakLiveBytes: heap?.peakLiveBytes ?? 0,
    allocations: heap?.allocations ?? 0,
    allocatedBytes: heap?.allocatedBytes ?? 0,
    countedOnly: isCountedOnly(heap),
    collections: heap?.collections ?? 0,
    instances: instances.created,
    memoryBytes: memory.peakBytes,
  };
}

/** Growth in the order of time; where there is a lot, the largest steps. */
function grows(report: Report, tree: StackTree): GrowData[] {
  const all = report.modules.flatMap(({ memory }) => memory.grows);
  const size = ({ fromBytes, toBytes }: { fromBytes: number; toBytes: number }) => toBytes - fromBytes;
  const shown =
    all.length <= mostGrows ? all : [...all].sort((a, b) => size(b) - size(a)).slice(0, mostGrows);
  return [...shown]
    .sort((a, b) => a.time - b.time)
    .map(({ memory, time, fromBytes, toBytes, granted, stack }) => {
      const place = tree.add(stack);
      const caller = place.nodeOf(callerFrame(stack));
      return { memory, time, fromBytes, toBytes, granted, node: place.innermost, caller };
    });
}
