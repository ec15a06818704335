import { useMemo, useState } from "preact/hooks";
import { countOf, formatShare } from "../../report/format.js";
import { formatFigure } from "../figures.js";
import { useShared } from "../state.js";
import { Stack } from "./stack.js";

const atFirst = 20;

/** The contexts with most of the metric, each with its stack to be opened; of those below `node` where one is given. */
export function ContextTable({ under, title }: { under?: (context: number) => boolean; title: string }) {
  const { session, profile, values, chosen, metric } = useShared();
  const [shown, setShown] = useState(atFirst);
  const { order, total } = useMemo(() => {
    const order: number[] = [];
    let total = 0;
    for (let i = 0; i < values.length; i++) {
      if (!chosen[i] || values[i]! <= 0 || (under && !under(i))) continue;
      order.push(i);
      total += values[i]!;
    }
    order.sort((a, b) => values[b]! - values[a]!);
    return { order, total };
  }, [values, chosen, under]);
  return (
    <section class="contexts">
      <h3>
        {title} <span class="quiet">{countOf(order.length, "stack")}</span>
      </h3>
      {order.length === 0 && <p class="quiet">None.</p>}
      <ul class="rows">
        {order.slice(0, shown).map((context) => (
          <li key={context}>
            <details>
              <summary>
                <span class="figure">{formatFigure(metric, values[context]!)}</span>
                <span class="share">{formatShare(values[context]!, total)}</span>
                <span class="owner">{session.contextText(profile, context)}</span>
              </summary>
              <LazyStack node={profile.contexts.node[context]!} />
            </details>
          </li>
        ))}
      </ul>
      {order.length > shown && (
        <button type="button" onClick={() => setShown(shown * 2)}>
          Show more
        </button>
      )}
    </section>
  );
}

function LazyStack({ node }: { node: number }) {
  const { session } = useShared();
  const frames = useMemo(() => session.stack(node), [node]);
  return <Stack frames={frames} />;
}
