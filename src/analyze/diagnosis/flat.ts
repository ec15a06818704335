/** Wrong suspects: where the heap is flat, memory that a process loses is lost elsewhere. */
import { isCountedOnly } from "../collected-heaps.js";
import { countOf, formatBytes } from "../figures.js";
import { type Finding, isCollected, type Subject } from "./finding.js";

/** The second half of the work, in which nothing may change by more than this share of the high-water mark. */
const half = 0.5;
const leastMoments = 4;
const lateShare = 0.75;
const tolerance = 0.1;
const pageBytes = 65_536;

/** What is said of a module without a leak: that it is flat, that it grows without blocks to blame, or too little. */
export function findFlat({ module, history, report }: Subject): Finding[] {
  const { times, work, liveBytes, memoryBytes } = history;
  const last = times.length - 1;
  if (last < 0) return [];
  const common = { module: module.id, certainty: 0.7, stack: [], bytes: 0 };
  const counted = isCountedOnly(module.heap);
  const recorded = module.heap !== undefined && !counted;
  const blind = counted
    ? "which blocks are live only the module's collector knows"
    : "blocks of this module are not recorded";
  const clock = recorded ? work : times;
  const from = clock.findIndex((done) => done >= clock[last]! * half);
  const [series, what] = recorded ? [liveBytes, "live bytes"] : [memoryBytes, "the memory's size"];
  const part = series.slice(from);
  const [low, high] = [Math.min(...part), Math.max(...part)];
  const peak = Math.max(1, ...series);

  if (!recorded) {
    const grows = module.memory.grows.filter(({ granted }) => granted);
    const latest = grows.at(-1)?.time ?? 0;
    const late = grows.filter(({ time }) => time > report.run.duration * lateShare);
    const lateBytes = late.reduce((sum, { fromBytes, toBytes }) => sum + toBytes - fromBytes, 0);
    if (late.length >= leastMoments && lateBytes > tolerance * module.memory.finalBytes) {
      return [
        {
          ...common,
          kind: "growth",
          severity: isCollected(module) ? "note" : "warning",
          title: `The memory still grows in the last quarter of the run, by ${formatBytes(lateBytes)}`,
          evidence: [`It has ${formatBytes(module.memory.finalBytes)}; ${blind}.`],
          advice:
            "Run it for longer: a collected heap levels off, a leak does not. Growth names who asked for it.",
          bytes: module.memory.finalBytes - module.memory.initialBytes,
        },
      ];
    }
    const unseen =
      module.memory.peakBytes > module.memory.initialBytes ? "When it grew was not seen" : "It never grew";
    const since = grows.length === 0 ? unseen : `It grew last at ${Math.round(latest)} ms`;
    return [
      {
        ...common,
        kind: "flat",
        severity: "note",
        title:
          latest > report.run.duration * lateShare
            ? `The memory has ${formatBytes(module.memory.peakBytes)} and grew little in the last quarter of the run`
            : `The memory levelled off at ${formatBytes(module.memory.peakBytes)}`,
        evidence: [`${since}; ${blind}.`],
        advice:
          "What else the process loses, it loses outside of this memory: look at the JavaScript heap and buffers.",
      },
    ];
  }
  if (part.length < leastMoments) {
    // nothing that outlives a call is left: then there is nothing that could leak
    if ((module.heap?.liveBytes ?? 0) < pageBytes / 16)
      return flat(common, module, "Almost nothing is live at the end.");
    return [
      {
        ...common,
        kind: "too-short",
        severity: "note",
        title: "The run is too short to tell a leak from a start",
        evidence: [`${countOf(times.length, "snapshot")} in which the module allocated.`],
        advice:
          "Repeat what you suspect in a loop for a second or more and run it again: a leak grows with every round, " +
          "a start or a cache stops.",
        certainty: 0.5,
      },
    ];
  }
  // a load comes and goes: what counts is what is left each time
  const later = part.slice(Math.floor(part.length / 2));
  if (Math.min(...later) - low > tolerance * peak) return [];
  return flat(
    common,
    module,
    `In the second half of the work ${what} stayed between ${formatBytes(low)} and ${formatBytes(high)}.`,
  );
}

function flat(
  common: Pick<Finding, "module" | "certainty" | "stack" | "bytes">,
  { memory }: Subject["module"],
  evidence: string,
): Finding[] {
  return [
    {
      ...common,
      kind: "flat",
      severity: "note",
      title: "The heap is flat: no leak here",
      evidence: [evidence, `The memory has ${formatBytes(memory.finalBytes)}.`],
      advice:
        "If the process grows all the same, look elsewhere: at the JavaScript heap, at buffers, at other native memory.",
    },
  ];
}
