// Programs ask what the engine can do with modules of a few dozen bytes, some with a memory. They are in the profile
// like any other; in a text they would stand between the reader and the module that matters.
import type { ModuleReport, Report } from "../analyze/report.js";
import { countOf, formatBytes } from "./format.js";

/** Probes have some dozens of bytes, modules that do something with a memory kilobytes. */
const largestProbe = 512;

export interface WithoutProbes {
  report: Report;
  /** What was left out, for a line; empty when nothing was. */
  note: string;
}

/** The report without modules that only probe, and their memories; all of it where there are no others. */
export function withoutProbes(report: Report): WithoutProbes {
  const probes = report.modules.filter((module) => isProbe(module, report));
  if (probes.length === 0 || probes.length === report.modules.length) return { report, note: "" };
  const left = new Set(probes.map(({ id }) => id));
  const about = ({ module }: { module?: number | null }) => left.has(module ?? Number.NaN);
  const memories = report.memories.filter(about);
  const bytes = memories.reduce((sum, { peakBytes }) => sum + peakBytes, 0);
  const held =
    memories.length === 0
      ? ""
      : ` with ${countOf(memories.length, "memory", "memories")} of ${formatBytes(bytes)}`;
  return {
    report: {
      ...report,
      modules: report.modules.filter(({ id }) => !left.has(id)),
      memories: report.memories.filter((memory) => !about(memory)),
      findings: report.findings.filter((finding) => !about(finding)),
    },
    note: `Left out: ${countOf(probes.length, "module")} of ${largestProbe} bytes or less${held}, as programs use to probe the engine.`,
  };
}

/** Tiny, without an allocator, never grown, and nothing that the diagnosis would warn of. */
function isProbe({ id, bytes, allocator, heap, memory }: ModuleReport, { findings }: Report): boolean {
  return (
    bytes > 0 &&
    bytes <= largestProbe &&
    allocator.length === 0 &&
    !heap &&
    memory.grows.length === 0 &&
    memory.peakBytes === memory.initialBytes &&
    !findings.some(({ module, severity }) => module === id && severity !== "note")
  );
}
