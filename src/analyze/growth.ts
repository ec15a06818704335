/**
 * What grows with every run of something. The answer has to be the same each time, so it rests on counts of runs
 * rather than on sizes: a cache that fills, a list that doubles its room, an object that the garbage collector
 * took one run late grow in some runs; a leak grows in (nearly) all of them. That a few runs may stand still is
 * for the last of these: the collector's delay changes when the engine optimises a function.
 *
 * What one calling context gains another may have lost (a queue whose old entries make room for new ones), so
 * nothing counts as growth unless the sum grows as steadily.
 */

/** What is live at one moment, in bytes and blocks. */
export interface Level {
  bytes: number;
  blocks: number;
}

/** Levels at one moment, by what they belong to. */
export type Levels = ReadonlyMap<string, Level>;

export interface Growth {
  /** What grew in nearly every run, by key; the most bytes first. */
  steady: { key: string; perRun: Level }[];
  /** The sum grew in nearly every run, but nothing by itself did: all that is more than before. */
  spread: { key: string; perRun: Level }[];
}

const none: Level = { bytes: 0, blocks: 0 };

/** How many of `runs` may pass without growth. */
function stillRuns(runs: number): number {
  return Math.floor(runs / 4);
}

/** Whether a level grew from one run to the next. A block of no bytes still is one. */
function grew(from: Level, to: Level): boolean {
  return to.bytes > from.bytes || (to.blocks > from.blocks && to.bytes === from.bytes);
}

function growingRuns(series: readonly Level[]): number {
  return series.filter((level, i) => i > 0 && grew(series[i - 1]!, level)).length;
}

/** Whether nothing was added in the end, or one run undid it all: something that fills up and is emptied now and then. */
function fallsBack(series: readonly Level[]): boolean {
  const [first, last] = [series[0]!, series.at(-1)!];
  if (!grew(first, last)) return true;
  const added = last.bytes - first.bytes;
  return series.some((level, i) => i > 0 && series[i - 1]!.bytes - level.bytes > added);
}

function sum(levels: Levels): Level {
  let bytes = 0;
  let blocks = 0;
  for (const level of levels.values()) {
    bytes += level.bytes;
    blocks += level.blocks;
  }
  return { bytes, blocks };
}

/** Whether `runs` runs, of which these are the first, can still end with growth in nearly every one. */
export function mayGrow(readings: readonly Levels[], runs: number): boolean {
  const sums = readings.map(sum);
  return sums.length - 1 - growingRuns(sums) <= stillRuns(runs);
}

/**
 * What grew.
 * @param readings The first from before the first run, then one after each.
 */
export function findGrowth(readings: readonly Levels[]): Growth {
  const runs = readings.length - 1;
  const steadily = (series: readonly Level[]): boolean =>
    runs > 0 && growingRuns(series) >= runs - stillRuns(runs);
  const sums = readings.map(sum);
  if (!steadily(sums)) return { steady: [], spread: [] };
  const growths = [...readings[runs]!.keys()].map((key) => {
    const series = readings.map((levels) => levels.get(key) ?? none);
    const [first, last] = [series[0]!, series[runs]!];
    const perRun = { bytes: (last.bytes - first.bytes) / runs, blocks: (last.blocks - first.blocks) / runs };
    return { key, perRun, steady: steadily(series) && !fallsBack(series) };
  });
  growths.sort((a, b) => b.perRun.bytes - a.perRun.bytes || b.perRun.blocks - a.perRun.blocks);
  const steady = growths.filter((growth) => growth.steady);
  const more = growths.filter(({ perRun }) => perRun.bytes > 0 || perRun.blocks > 0);
  const plain = ({ key, perRun }: (typeof growths)[number]) => ({ key, perRun });
  if (steady.length > 0) return { steady: steady.map(plain), spread: [] };
  return { steady: [], spread: fallsBack(sums) ? [] : more.map(plain) };
}
