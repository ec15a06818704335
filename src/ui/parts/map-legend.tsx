import { countOf, formatBytes, formatShare } from "../../report/format.js";
import { type AddressMap, type Region, regionTitles } from "../address-map.js";
import type { Profile } from "../selection.js";
import type { Session } from "../session.js";

/** So many groups have a colour of their own. */
export const colors = 8;

/** Blocks with one colour. */
export interface Groups {
  /** Number of a context's group; the largest have a colour each. */
  ofContext: Map<number, number>;
  list: { title: string; bytes: number; blocks: number }[];
}

/** What blocks may be coloured by. */
export const groupings = { caller: "caller", function: "function and caller" } as const;

export type Grouping = keyof typeof groupings;

/** Blocks by the code that made them, most bytes first. */
export function groupsOf(map: AddressMap, session: Session, profile: Profile, by: Grouping): Groups {
  const byContext = new Map<number, { bytes: number; blocks: number }>();
  for (let i = 0; i < map.count; i++) {
    const context = map.contexts[i]! - 1;
    let sum = byContext.get(context);
    if (!sum) byContext.set(context, (sum = { bytes: 0, blocks: 0 }));
    sum.bytes += map.sizes[i]!;
    sum.blocks++;
  }
  const byTitle = new Map<string, { title: string; bytes: number; blocks: number; contexts: number[] }>();
  for (const [context, { bytes, blocks }] of byContext) {
    const title =
      context < 0
        ? "stack not known"
        : by === "caller"
          ? session.ownerText(profile, context)
          : session.contextText(profile, context);
    let group = byTitle.get(title);
    if (!group) byTitle.set(title, (group = { title, bytes: 0, blocks: 0, contexts: [] }));
    group.bytes += bytes;
    group.blocks += blocks;
    group.contexts.push(context);
  }
  const list = [...byTitle.values()].sort((a, b) => b.bytes - a.bytes);
  return {
    list,
    ofContext: new Map(list.flatMap(({ contexts }, i) => contexts.map((context) => [context, i]))),
  };
}

/** What the colours of the heap map stand for. */
export function Legend({ map, groups }: { map: AddressMap; groups: Groups }) {
  const total = groups.list.reduce((sum, { bytes }) => sum + bytes, 0);
  const rest = groups.list.slice(colors);
  const restBytes = rest.reduce((sum, { bytes }) => sum + bytes, 0);
  const shown: Region[] = [...new Set(map.grounds().map(({ region }) => region))];
  return (
    <ul class="legend map-legend">
      {groups.list.slice(0, colors).map(({ title, bytes, blocks }, i) => (
        <li key={title} class={`group-${i}`}>
          {title}{" "}
          <span class="quiet">
            {formatBytes(bytes)} ({formatShare(bytes, total)}) in {countOf(blocks, "block")}
          </span>
        </li>
      ))}
      {rest.length > 0 && (
        <li class="group-rest">
          {countOf(rest.length, "other")} <span class="quiet">{formatBytes(restBytes)}</span>
        </li>
      )}
      {shown.map((region) => (
        <li key={region} class={`region-${region}`}>
          {regionTitles[region]}
        </li>
      ))}
    </ul>
  );
}
