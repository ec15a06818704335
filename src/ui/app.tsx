import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { formatRange } from "./figures.js";
import type { Metric } from "./selection.js";
import { contextValues, effectiveMetric, firstMetric, metrics, selectContexts } from "./selection.js";
import type { Session } from "./session.js";
import { type Choice, SharedContext, useShared } from "./state.js";
import { chooseTheme } from "./theme.js";
import { DiffView } from "./views/diff.js";
import { FlameView } from "./views/flame.js";
import { HeapMapView } from "./views/heap-map.js";
import { MemoriesView } from "./views/memories.js";
import { SummaryView } from "./views/summary.js";
import { TimelineView } from "./views/timeline.js";

const views = {
  summary: { title: "Summary", View: SummaryView, filtered: true },
  flame: { title: "Flame graph", View: FlameView, filtered: true },
  timeline: { title: "Timeline", View: TimelineView, filtered: false },
  map: { title: "Heap map", View: HeapMapView, filtered: true },
  memories: { title: "Memories", View: MemoriesView, filtered: false },
  diff: { title: "Diff", View: DiffView, filtered: true },
} as const;

type ViewName = keyof typeof views;

/** The report. */
export function App({ session }: { session: Session }) {
  const { profiles } = session.data;
  const names = (Object.keys(views) as ViewName[]).filter((name) => name !== "diff" || profiles.length > 1);
  const [choice, setChoice] = useState<Choice>(() => ({
    view: profiles.length > 1 ? "diff" : "summary",
    ...viewOfAddress(names),
    profile: profiles.length - 1,
    metric: firstMetric(session),
    filters: { module: -1, package: -1, text: "", range: undefined },
    search: "",
    memory: -1,
  }));
  const choose = (change: Partial<Choice>) => {
    setChoice((before) => ({ ...before, ...change }));
    if (change.view) history.replaceState(null, "", `#${change.view}`);
  };
  useEffect(() => {
    const changed = () => setChoice((before) => ({ ...before, ...viewOfAddress(names) }));
    window.addEventListener("hashchange", changed);
    return () => window.removeEventListener("hashchange", changed);
  }, []);
  const profile = profiles[choice.profile]!;
  const { filters } = choice;
  const metric = effectiveMetric(choice.metric, filters.range);
  const chosen = useMemo(
    () => selectContexts(session.data, profile, session.sites, filters),
    [session, profile, filters],
  );
  const values = useMemo(
    () => contextValues(profile, metric, filters.range),
    [profile, metric, filters.range],
  );
  const view = views[choice.view as ViewName] ?? views.summary;
  return (
    <SharedContext.Provider value={{ session, choice, profile, chosen, values, metric, choose }}>
      <header>
        <h1>
          linmem <span class="quiet text">{profiles.map(({ title }) => title).join(" → ")}</span>
        </h1>
        {profiles.length > 1 && choice.view !== "diff" && <ProfileChoice />}
        <ThemeButton />
      </header>
      <nav aria-label="Views">
        <Tabs names={names} />
      </nav>
      {view.filtered && <FilterBar />}
      <main>
        <div id="view" role="tabpanel" aria-labelledby={`tab-${choice.view}`}>
          <h2 class="hidden">{view.title}</h2>
          <view.View key={`${choice.view} ${choice.profile}`} />
        </div>
      </main>
    </SharedContext.Provider>
  );
}

function viewOfAddress(names: readonly ViewName[]): { view?: ViewName } {
  const wanted = names.find((name) => location.hash === `#${name}`);
  return wanted ? { view: wanted } : {};
}

function Tabs({ names }: { names: readonly ViewName[] }) {
  const { choice, choose } = useShared();
  const list = useRef<HTMLDivElement>(null);
  // On a narrow screen the tabs don't fit.
  useEffect(() => {
    list
      .current!.querySelector("[aria-selected=true]")!
      .scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [choice.view]);
  const key = (event: KeyboardEvent) => {
    const at = names.indexOf(choice.view as ViewName);
    const steps: Record<string, number> = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1,
      Home: 0,
      End: names.length - 1,
    };
    const to = Object.hasOwn(steps, event.key) ? steps[event.key]! : undefined;
    if (to === undefined) return;
    event.preventDefault();
    const index = (to + names.length) % names.length;
    choose({ view: names[index] });
    list.current!.querySelectorAll<HTMLElement>("[role=tab]")[index]!.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label="Views" ref={list} onKeyDown={key}>
      {names.map((name) => (
        <button
          type="button"
          role="tab"
          key={name}
          id={`tab-${name}`}
          aria-selected={choice.view === name}
          aria-controls="view"
          tabIndex={choice.view === name ? 0 : -1}
          onClick={() => choose({ view: name })}
        >
          {views[name].title}
        </button>
      ))}
    </div>
  );
}

function ProfileChoice() {
  const { session, choice, choose } = useShared();
  return (
    <label>
      Profile{" "}
      <select
        value={String(choice.profile)}
        onChange={(event) =>
          choose({
            profile: Number(event.currentTarget.value),
            memory: -1,
            filters: { ...choice.filters, module: -1, range: undefined },
          })
        }
      >
        {session.data.profiles.map(({ title }, i) => (
          <option key={title} value={String(i)}>
            {title}
          </option>
        ))}
      </select>
    </label>
  );
}

function FilterBar() {
  const { session, profile, choice, metric, choose } = useShared();
  const { filters } = choice;
  const search = useRef<HTMLInputElement>(null);
  const packages = useMemo(() => session.packages(), [session]);
  const set = (change: Partial<Choice["filters"]>) => choose({ filters: { ...filters, ...change } });
  useEffect(() => {
    const focus = (event: KeyboardEvent) => {
      const { target } = event;
      const typing = target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      search.current?.focus();
    };
    window.addEventListener("keydown", focus);
    return () => window.removeEventListener("keydown", focus);
  }, []);
  const isFiltered = filters.module >= 0 || filters.package >= 0 || filters.text !== "" || filters.range;
  return (
    <form class="toolbar filters" aria-label="Filters" onSubmit={(event) => event.preventDefault()}>
      <label>
        Show{" "}
        <select value={metric} onChange={(event) => choose({ metric: event.currentTarget.value as Metric })}>
          {(Object.keys(metrics) as Metric[]).map((name) => (
            <option key={name} value={name} disabled={filters.range && !metrics[name].ranged}>
              {metrics[name].title}
            </option>
          ))}
        </select>
      </label>
      {profile.modules.length > 1 && choice.view !== "diff" && (
        <label>
          Module{" "}
          <select
            value={String(filters.module)}
            onChange={(event) => set({ module: Number(event.currentTarget.value) })}
          >
            <option value="-1">all</option>
            {profile.modules.map(({ name }, i) => (
              <option key={i} value={String(i)}>
                {name}
              </option>
            ))}
          </select>
        </label>
      )}
      <label>
        Package{" "}
        <select
          value={String(filters.package)}
          onChange={(event) => set({ package: Number(event.currentTarget.value) })}
        >
          <option value="-1">all</option>
          {packages.map(({ index, name }) => (
            <option key={index} value={String(index)}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label>
        Only stacks with{" "}
        <input
          type="text"
          size={14}
          value={filters.text}
          placeholder="function, file"
          onInput={(event) => set({ text: event.currentTarget.value })}
        />
      </label>
      {(choice.view === "flame" || choice.view === "diff") && (
        <label>
          Mark{" "}
          <input
            ref={search}
            type="search"
            size={14}
            value={choice.search}
            placeholder="press /"
            onInput={(event) => choose({ search: event.currentTarget.value })}
          />
        </label>
      )}
      {filters.range && (
        <button type="button" onClick={() => set({ range: undefined })}>
          {formatRange(filters.range)} ✕<span class="hidden"> show the whole run</span>
        </button>
      )}
      {isFiltered && (
        <button type="button" onClick={() => set({ module: -1, package: -1, text: "", range: undefined })}>
          Clear filters
        </button>
      )}
    </form>
  );
}

/** Light, dark, or as the system has it. */
function ThemeButton() {
  const [theme, setTheme] = useState<"light" | "dark">();
  const next = theme === undefined ? "dark" : theme === "dark" ? "light" : undefined;
  return (
    <button
      type="button"
      onClick={() => {
        setTheme(next);
        chooseTheme(next);
      }}
    >
      Colours: {theme ?? "as the system"}
    </button>
  );
}
