// What the filters and the brush of the timeline leave of a profile's contexts, and their figures.
import { pathsWith, type Tree } from "./tree.js";
import type { Data } from "./unpack.js";

export type Profile = Data["profiles"][number];

/** A figure that the views can show. `ranged`: also known for a part of the run. */
export const metrics = {
  live: { title: "Live bytes", unit: "bytes", ranged: true },
  blocks: { title: "Live blocks", unit: "count", ranged: true },
  highWater: { title: "High-water mark", unit: "bytes", ranged: false },
  allocated: { title: "Allocated bytes", unit: "bytes", ranged: false },
  allocations: { title: "Allocations", unit: "count", ranged: true },
  temporary: { title: "Temporary", unit: "count", ranged: false },
  growth: { title: "Growth of live bytes", unit: "bytes", ranged: true },
} as const;

export type Metric = keyof typeof metrics;

/** A part of the run, in milliseconds since recording began. */
export interface TimeRange {
  from: number;
  to: number;
}

export interface Filters {
  /** Index of a module; -1 for all. */
  module: number;
  /** Index of a package's name; -1 for all. */
  package: number;
  /** Part of a function's name or place; "" for all. */
  text: string;
  range: TimeRange | undefined;
}

/** For each frame whether its name or place contains the text, whatever the case. */
export function framesWith(data: Data, text: string): Uint8Array {
  const wanted = text.toLowerCase();
  const { name, place } = data.frames;
  const inText = data.strings.map((one) => one.toLowerCase().includes(wanted));
  return Uint8Array.from(name, (index, frame) => Number(inText[index]! || inText[place[frame]!]!));
}

/** For each context of the profile whether the filters let it through. */
export function selectContexts(data: Data, profile: Profile, sites: Tree, filters: Filters): Uint8Array {
  const { node, module } = profile.contexts;
  const chosen = new Uint8Array(node.length).fill(1);
  if (filters.module >= 0) {
    for (let i = 0; i < chosen.length; i++) chosen[i]! &= Number(module[i] === filters.module);
  }
  const keep = (matches: Uint8Array) => {
    const paths = pathsWith(sites, matches);
    for (let i = 0; i < chosen.length; i++) chosen[i]! &= paths[node[i]!]!;
  };
  if (filters.package >= 0) {
    keep(Uint8Array.from(data.frames.package, (name) => Number(name === filters.package)));
  }
  if (filters.text !== "") keep(framesWith(data, filters.text));
  return chosen;
}

/** The metric that is shown: beside one that is not known for a part of the run, live bytes. */
export function effectiveMetric(metric: Metric, range: TimeRange | undefined): Metric {
  return range && !metrics[metric].ranged ? "live" : metric;
}

/** A figure for each context: of the whole run, or of `range`. */
export function contextValues(
  { contexts, history }: Profile,
  metric: Metric,
  range?: TimeRange,
): Float64Array {
  if (!range && metric !== "growth") {
    const whole = {
      live: contexts.liveBytes,
      blocks: contexts.liveBlocks,
      highWater: contexts.peakLiveBytes,
      allocated: contexts.allocatedBytes,
      allocations: contexts.allocations,
      temporary: contexts.temporary,
    };
    return whole[metric].map((value) => Math.max(0, value));
  }
  const { times } = history;
  const { from, to } = range ?? { from: times[0] ?? 0, to: Number.POSITIVE_INFINITY };
  // Live is what there is at the end of the part, however old; the others count within it.
  const since = metric === "live" || metric === "blocks" ? Number.NEGATIVE_INFINITY : from;
  const values = new Float64Array(contexts.node.length);
  let entry = 0;
  for (let i = 0; i < values.length; i++) {
    let at = 0;
    let sum = 0;
    for (let left = history.entries[i]!; left > 0; left--, entry++) {
      at += history.step[entry]!;
      const time = times[at]!;
      if (time > to || time <= since) continue;
      if (metric === "allocations") sum += history.allocations[entry]!;
      else if (metric === "blocks") sum += history.allocations[entry]! - history.frees[entry]!;
      else sum += history.liveBytes[entry]!;
    }
    values[i] = Math.max(0, sum);
  }
  return values;
}

/** The figures at the nodes of a tree, each with those below it; `nodeOf` leads from a context's node to the tree's. */
export function nodeValues(
  tree: Tree,
  nodeOf: Int32Array | undefined,
  profile: Profile,
  values: Float64Array,
  chosen: Uint8Array,
): Float64Array {
  const own = new Float64Array(tree.size);
  const { node } = profile.contexts;
  for (let i = 0; i < values.length; i++) {
    if (chosen[i]) own[nodeOf ? nodeOf[node[i]!]! : node[i]!]! += values[i]!;
  }
  for (let at = tree.size - 1; at > 0; at--) own[tree.parent[at]!]! += own[at]!;
  return own;
}

/** What is shown first: live bytes, unless only a garbage collector knows of them. */
export function firstMetric({ data }: { data: Pick<Data, "profiles"> }): Metric {
  const recorded = data.profiles.flatMap(({ modules }) =>
    modules.filter(({ allocations }) => allocations > 0),
  );
  return recorded.length > 0 && recorded.every(({ countedOnly }) => countedOnly) ? "allocated" : "live";
}
