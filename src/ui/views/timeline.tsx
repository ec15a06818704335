import { useEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import { formatBytes, formatDuration } from "../../report/format.js";
import { formatRange } from "../figures.js";
import { color, useTheme, useWidth } from "../parts/canvas.js";
import { Stack } from "../parts/stack.js";
import { collectionTimes, seriesOf } from "../series.js";
import { useShared } from "../state.js";

const shownGrows = 200;

/** Size and live bytes over the run, and who made memories grow. A part of it restricts the other views. */
export function TimelineView() {
  const { session, profile, choice, choose } = useShared();
  const { range } = choice.filters;
  const memories = useMemo(
    () => profile.memories.filter(({ id }) => choice.memory < 0 || id === choice.memory),
    [profile, choice.memory],
  );
  const ids = new Set(memories.map(({ id }) => id));
  const grows = profile.grows.filter(
    ({ memory, time }) => ids.has(memory) && (!range || (time >= range.from && time <= range.to)),
  );
  const setRange = (from?: number, to?: number) =>
    choose({
      filters: {
        ...choice.filters,
        range: from === undefined || to === undefined ? undefined : { from, to },
      },
    });
  if (profile.memories.length === 0) return <p>No memory came to life in this run.</p>;
  return (
    <>
      <div class="toolbar">
        <MemoryChoice />
        <span class="quiet">
          Drag over a part of the run to see only what happened in it, in all views.
          {profile.memoriesLeft > 0 && ` ${profile.memoriesLeft} smaller memories are not in the picture.`}
        </span>
      </div>
      <Chart memories={memories} onRange={setRange} />
      <RangeFields duration={profile.run.duration} />
      <section>
        <h3>
          Growth <span class="quiet">{range ? `from ${formatRange(range)}` : "of the whole run"}</span>
        </h3>
        {grows.length === 0 && <p class="quiet">No memory grew.</p>}
        <ul class="rows">
          {grows.slice(0, shownGrows).map((grow) => (
            <li key={`${grow.memory} ${grow.time} ${grow.toBytes}`}>
              <details>
                <summary>
                  <span class="figure">{formatDuration(grow.time)}</span>
                  <span class="figure">
                    {grow.granted ? "+" : "refused "}
                    {formatBytes(grow.toBytes - grow.fromBytes)}
                  </span>
                  <span class="owner">
                    to {formatBytes(grow.toBytes)}
                    {grow.node > 0 &&
                      `, asked by ${session.frameText(session.sites.frame[grow.caller || grow.node]!)}`}
                  </span>
                </summary>
                <Stack frames={session.stack(grow.node)} />
              </details>
            </li>
          ))}
        </ul>
        {grows.length > shownGrows && <p class="quiet">and {grows.length - shownGrows} more</p>}
      </section>
    </>
  );
}

/** Which memory a view is about. */
export function MemoryChoice({ all = "all memories together" }: { all?: string | null }) {
  const { profile, choice, choose } = useShared();
  return (
    <label>
      Memory{" "}
      <select
        value={String(choice.memory)}
        onChange={(event) => choose({ memory: Number(event.currentTarget.value) })}
      >
        {all !== null && <option value="-1">{all}</option>}
        {profile.memories.map(({ id, module, finalBytes }, i) => (
          <option key={id} value={String(id)}>
            {`${i + 1}: ${profile.modules[module]?.name ?? "no module known"}, ${formatBytes(finalBytes)}`}
          </option>
        ))}
      </select>
    </label>
  );
}

/** The brush without a pointer. */
function RangeFields({ duration }: { duration: number }) {
  const { choice, choose } = useShared();
  const { range } = choice.filters;
  const set = (from: number, to: number) => {
    if (!Number.isFinite(from) || !Number.isFinite(to)) return;
    choose({ filters: { ...choice.filters, range: { from: Math.min(from, to), to: Math.max(from, to) } } });
  };
  const { from, to } = range ?? { from: 0, to: duration };
  return (
    <fieldset class="toolbar range">
      <legend class="quiet">Part of the run, in milliseconds</legend>
      <label>
        from{" "}
        <input
          type="number"
          min="0"
          value={Math.round(from)}
          onChange={(event) => set(event.currentTarget.valueAsNumber, to)}
        />
      </label>
      <label>
        to{" "}
        <input
          type="number"
          min="0"
          value={Math.round(to)}
          onChange={(event) => set(from, event.currentTarget.valueAsNumber)}
        />
      </label>
      <button
        type="button"
        disabled={!range}
        onClick={() => choose({ filters: { ...choice.filters, range: undefined } })}
      >
        Whole run
      </button>
    </fieldset>
  );
}

interface ChartProps {
  memories: Parameters<typeof seriesOf>[1];
  onRange(from?: number, to?: number): void;
}

function Chart({ memories, onRange }: ChartProps) {
  const { profile, choice } = useShared();
  const { range } = choice.filters;
  const [frame, width] = useWidth<HTMLDivElement>();
  const theme = useTheme();
  const plot = useRef<uPlot | undefined>(undefined);
  const ranged = useRef(onRange);
  ranged.current = onRange;
  const series = useMemo(() => seriesOf(profile, memories), [profile, memories]);
  const collected = useMemo(() => collectionTimes(memories), [memories]);
  // of a guest with a collector, or of a module without an allocator, nobody knows what is live
  const anyLive = series.live.some((bytes) => bytes !== null);

  useEffect(() => {
    if (width === 0 || series.times.length === 0) return;
    const stepped = uPlot.paths.stepped!({ align: 1 });
    const axis = {
      stroke: color("--quiet"),
      grid: { stroke: color("--line"), width: 1 },
      ticks: { show: false },
    };
    const own = new Set(memories.map(({ id }) => id));
    const options: uPlot.Options = {
      width,
      height: 280,
      scales: {
        x: { time: false, range: () => [0, Math.max(1, profile.run.duration)] },
        y: { range: (_, __, most) => [0, Math.max(1, most * 1.05)] },
      },
      legend: { live: true },
      cursor: { drag: { x: true, y: false, setScale: false } },
      axes: [
        { ...axis, values: (_, values) => values.map((value) => formatDuration(value)), space: 90 },
        {
          ...axis,
          size: 76,
          values: (_, values) => values.map((value) => formatBytes(value)),
          incrs: Array.from({ length: 44 }, (_, i) => 2 ** i),
        },
      ],
      series: [
        { label: "time", value: (_, value) => (value === null ? "" : formatDuration(value)) },
        line("memory", color("--memory"), stepped),
        ...(anyLive
          ? [
              line("live", color("--live"), stepped, `${color("--live")}33`),
              line(series.heapKnown ? "free in the heap" : "not live", color("--free"), stepped),
            ]
          : []),
      ],
      hooks: {
        setCursor: [
          (self) => {
            if (typeof self.cursor.idx !== "number") atEnd(self);
          },
        ],
        setSelect: [
          (self) => {
            const { left, width: wide } = self.select;
            if (wide < 3) ranged.current();
            else ranged.current(self.posToVal(left, "x"), self.posToVal(left + wide, "x"));
          },
        ],
        draw: [
          (self) => {
            const { ctx, bbox } = self;
            ctx.save();
            for (const { memory, time, granted } of profile.grows) {
              if (!own.has(memory)) continue;
              const x = Math.round(self.valToPos(time, "x", true));
              ctx.fillStyle = color(granted ? "--memory" : "--problem");
              ctx.fillRect(x - 1, bbox.top + bbox.height - 8 * devicePixelRatio, 2, 8 * devicePixelRatio);
            }
            ctx.fillStyle = color("--quiet");
            for (const time of collected) {
              const x = Math.round(self.valToPos(time, "x", true));
              ctx.fillRect(x - 1, bbox.top, 2, 8 * devicePixelRatio);
            }
            ctx.restore();
          },
        ],
      },
    };
    const blocks = anyLive ? [series.live, series.free] : [];
    const made = new uPlot(options, [series.times, series.size, ...blocks], frame.current!);
    atEnd(made);
    plot.current = made;
    return () => made.destroy();
  }, [series, width, theme]);

  useEffect(() => {
    const made = plot.current;
    if (!made) return;
    const left = range ? made.valToPos(range.from, "x") : 0;
    const right = range ? made.valToPos(range.to, "x") : 0;
    made.setSelect({ left, width: right - left, top: 0, height: made.over.clientHeight }, false);
  }, [range, series, width, theme]);

  const last = series.times.length - 1;
  const grew = profile.grows.some(({ memory }) => memories.some(({ id }) => id === memory));
  const about =
    last < 0
      ? "No memory came to life in this run."
      : `${anyLive ? "Size and live bytes" : "Size"} over time: ${formatBytes(series.size[0]!)} at first, ${formatBytes(series.size[last]!)} at the end` +
        (series.live[last] === null ? "." : `, of which ${formatBytes(series.live[last]!)} live.`);
  return (
    <figure class="chart">
      <div ref={frame} role="img" aria-label={about} />
      <figcaption class="quiet">
        {about}
        {grew && " Marks below are growth."}
        {collected.length > 0 && " Marks above are snapshots before which a guest's garbage collector ran."}
      </figcaption>
    </figure>
  );
}

/** Away from the pointer the legend has the figures of the end. */
function atEnd(plot: uPlot): void {
  plot.setLegend({ idx: plot.data[0].length - 1 }, false);
}

function line(label: string, stroke: string, paths: uPlot.Series.PathBuilder, fill?: string): uPlot.Series {
  return {
    label,
    stroke,
    width: 2,
    paths,
    points: { show: false },
    value: (_, value) => (value === null ? "" : formatBytes(value)),
    ...(fill !== undefined && { fill }),
  };
}
