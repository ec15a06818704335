// A memory of a report: how its size went over time, and what lies where in it.
import type { MemoryDetails } from "../../analyze/details.js";
import type { MemoryReport } from "../../analyze/report.js";
import type { Columns } from "./columns.js";
import type { ColumnReference, MapData, MemoryData } from "./data.js";

/** A picture shows no more points. */
const mostPoints = 1000;

export function packMemory(
  memory: MemoryReport,
  module: number,
  details: MemoryDetails | undefined,
  node: number,
  columns: Columns,
): MemoryData {
  const { id, time, collected, initialBytes, finalBytes, maximumBytes, shared, liveBytes = null } = memory;
  const map = details && packMap(details, columns);
  return {
    id,
    module,
    created: time,
    collected,
    initialBytes,
    finalBytes,
    maximumBytes,
    shared,
    liveBytes,
    node,
    timeline: packTimeline(details?.timeline ?? [], liveBytes !== null, columns),
    ...(map && { map }),
  };
}

function packTimeline(
  points: MemoryDetails["timeline"],
  liveKnown: boolean,
  columns: Columns,
): MemoryData["timeline"] {
  const every = Math.max(1, Math.ceil(points.length / mostPoints));
  // Of each group the one with most live bytes, so that no peak gets lost; and the last.
  const shown: MemoryDetails["timeline"] = [];
  for (let begin = 0; begin < points.length; begin += every) {
    const group = points.slice(begin, begin + every);
    shown.push(
      group.reduce((most, point) => ((point.liveBytes ?? 0) > (most.liveBytes ?? 0) ? point : most)),
    );
  }
  const last = points.at(-1);
  if (last && shown.at(-1) !== last) shown.push(last);
  return {
    time: columns.add(shown.map((point) => point.time)),
    pages: columns.add(shown.map((point) => point.pages)),
    liveBytes: columns.add(shown.map((point) => point.liveBytes ?? 0)),
    collections: columns.add(shown.map((point) => point.collections ?? 0)),
    hasHeap: liveKnown && shown.some((point) => point.liveBytes !== undefined),
  };
}

function packMap({ layouts, blocks }: MemoryDetails, columns: Columns): MapData | undefined {
  if (!blocks && layouts.length === 0) return undefined;
  const stack = layouts.find((layout) => layout.stack)?.stack ?? null;
  const heapBases = layouts.flatMap(({ heapBase }) => (heapBase === undefined ? [] : [heapBase]));
  const data = layouts.flatMap((layout) => layout.data).sort(([a], [b]) => a - b);
  const gaps: number[] = [];
  let end = 0;
  for (let i = 0; i < (blocks?.count ?? 0); i++) {
    gaps.push(blocks!.addresses[i]! - end);
    end = blocks!.addresses[i]! + blocks!.sizes[i]!;
  }
  const empty: ColumnReference = columns.add([]);
  return {
    time: blocks?.time ?? null,
    data: data.flat(),
    stack,
    heapBase: heapBases.length > 0 ? Math.min(...heapBases) : null,
    blocks: {
      gap: columns.add(gaps),
      size: blocks ? columns.add(blocks.sizes) : empty,
      context: blocks ? columns.add(blocks.contexts) : empty,
      reachability: blocks?.flags.some((flag) => flag !== 0) ? columns.add(blocks.flags) : empty,
    },
  };
}
