import { useMemo, useState } from "preact/hooks";
import { countOf, formatShare } from "../../report/format.js";
import { formatFigure } from "../figures.js";
import { useShared } from "../state.js";
import { ContextTable } from "./context-table.js";

const atFirst = 10;

/** Contexts added up by who made their blocks, most first; each opens into its stacks. */
export function OwnerTable() {
  const { session, profile, values, chosen, metric } = useShared();
  const [shown, setShown] = useState(atFirst);
  const { owners, total } = useMemo(() => {
    const byTitle = new Map<string, { title: string; value: number; contexts: Set<number> }>();
    let total = 0;
    for (let i = 0; i < values.length; i++) {
      if (!chosen[i] || values[i]! <= 0) continue;
      const title = session.ownerText(profile, i);
      let owner = byTitle.get(title);
      if (!owner) byTitle.set(title, (owner = { title, value: 0, contexts: new Set() }));
      owner.value += values[i]!;
      owner.contexts.add(i);
      total += values[i]!;
    }
    return { owners: [...byTitle.values()].sort((a, b) => b.value - a.value), total };
  }, [session, profile, values, chosen]);
  return (
    <section>
      <h3>Made by</h3>
      {owners.length === 0 && <p class="quiet">Nothing.</p>}
      <ul class="rows">
        {owners.slice(0, shown).map(({ title, value, contexts }) => (
          <Owner
            key={title}
            title={title}
            value={formatFigure(metric, value)}
            share={formatShare(value, total)}
            contexts={contexts}
          />
        ))}
      </ul>
      {owners.length > shown && (
        <button type="button" onClick={() => setShown(shown * 2)}>
          Show more
        </button>
      )}
    </section>
  );
}

interface OwnerProps {
  title: string;
  value: string;
  share: string;
  contexts: ReadonlySet<number>;
}

function Owner({ title, value, share, contexts }: OwnerProps) {
  const [open, setOpen] = useState(false);
  const under = useMemo(() => (context: number) => contexts.has(context), [contexts]);
  return (
    <li>
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <span class="figure">{value}</span>
          <span class="share">{share}</span>
          <span class="owner">{title}</span>
          <span class="quiet">{countOf(contexts.size, "stack")}</span>
        </summary>
        {open && <ContextTable under={under} title="Its stacks" />}
      </details>
    </li>
  );
}
