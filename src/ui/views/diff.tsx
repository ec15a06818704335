import { useMemo, useState } from "preact/hooks";
import { type Change, compare, verdict } from "../comparison.js";
import { formatFigure } from "../figures.js";
import { FlameLayout } from "../flame-layout.js";
import { Stack } from "../parts/stack.js";
import { framesWith, type Metric } from "../selection.js";
import { useShared } from "../state.js";
import { pathOf } from "../tree.js";
import { Flame } from "./flame.js";

const atFirst = 30;

/** What changed from the first profile to the second. */
export function DiffView() {
  const { session, choice } = useShared();
  const [before, after] = session.data.profiles;
  const comparison = useMemo(
    () => compare(session, choice.metric, choice.filters),
    [session, choice.metric, choice.filters],
  );
  const { metric, changes } = comparison;
  const [shown, setShown] = useState(atFirst);
  const [selected, setSelected] = useState(0);
  // Both sides in one picture: what vanished is there too.
  const layout = useMemo(
    () =>
      new FlameLayout(
        session.functions,
        comparison.after.map((value, node) => Math.max(value, comparison.before[node]!)),
      ),
    [comparison],
  );
  const sums = useMemo(() => addedUp(layout), [layout]);
  const found = useMemo(
    () => (choice.search === "" ? undefined : framesWith(session.data, choice.search)),
    [session, choice.search],
  );
  const words = (node: number) => {
    const [was, is] = [comparison.before[node]!, comparison.after[node]!];
    return `${formatFigure(metric, was)} before, ${formatFigure(metric, is)} after (${difference(metric, is - was)})`;
  };
  return (
    <>
      <p>
        From <strong class="text">{before!.title}</strong> to <strong class="text">{after!.title}</strong>:{" "}
        {words(0)}.
      </p>
      <div class="toolbar">
        <ul class="legend">
          <li class="grew">more than before</li>
          <li class="shrank">less</li>
          <li class="same">about the same</li>
        </ul>
        <span class="quiet">Functions are compared by name; widths show the larger of the two.</span>
      </div>
      <Flame
        layout={sums}
        colorOf={(node) => changeColor(comparison.before[node] ?? 0, comparison.after[node] ?? 0)}
        labelOf={(node) => (node === 0 ? "all" : session.frameName(session.functions.frame[node]!))}
        describe={(node) =>
          node < 0
            ? "Functions too small to be drawn: zoom in"
            : `${node === 0 ? "All" : session.frameName(session.functions.frame[node]!)}: ${words(node)}`
        }
        found={found}
        selected={selected}
        onSelect={setSelected}
      />
      <section>
        <h3>
          Changes <span class="quiet">by stack</span>
        </h3>
        {changes.length === 0 && <p class="quiet">None.</p>}
        <ul class="rows">
          {changes.slice(0, shown).map((change) => (
            <ChangeRow key={change.node} change={change} metric={metric} />
          ))}
        </ul>
        {changes.length > shown && (
          <button type="button" onClick={() => setShown(shown * 2)}>
            Show more
          </button>
        )}
      </section>
    </>
  );
}

function ChangeRow({ change, metric }: { change: Change; metric: Metric }) {
  const { session } = useShared();
  const frames = pathOf(session.functions, change.node).map((node) => session.functions.frame[node]!);
  const what = verdict(change);
  return (
    <li class={change.after > change.before ? "grew" : "shrank"}>
      <details>
        <summary>
          <span class="figure">{difference(metric, change.after - change.before)}</span>
          <span class="share">{what}</span>
          <span class="owner">
            {session.contextText(session.data.profiles[change.profile]!, change.context)}
          </span>
          <span class="quiet">
            {formatFigure(metric, change.before)} → {formatFigure(metric, change.after)}
          </span>
        </summary>
        <Stack frames={frames} />
      </details>
    </li>
  );
}

/** A layout in which each box is as wide as those in it together. */
function addedUp({ tree, values }: FlameLayout): FlameLayout {
  const sums = values.slice();
  const below = new Float64Array(tree.size);
  for (let node = tree.size - 1; node >= 0; node--) {
    sums[node] = Math.max(values[node]!, below[node]!);
    if (node > 0) below[tree.parent[node]!]! += sums[node]!;
  }
  return new FlameLayout(tree, sums);
}

function difference(metric: Metric, by: number): string {
  return `${by < 0 ? "−" : "+"}${formatFigure(metric, Math.abs(by))}`;
}

function changeColor(before: number, after: number): string {
  if (before === 0 && after === 0) return "--root";
  const by = (after - before) / Math.max(before, after);
  if (Math.abs(by) < 0.02) return "--same";
  return by > 0 ? (by > 0.5 ? "--grew" : "--grew-some") : by < -0.5 ? "--shrank" : "--shrank-some";
}
