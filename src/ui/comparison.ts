// Two profiles, function by function: what was before, what is after.
import type { Filters, Metric } from "./selection.js";
import { contextValues, effectiveMetric, nodeValues, selectContexts } from "./selection.js";
import type { Session } from "./session.js";

export interface Change {
  /** Node of the tree of functions, at which stacks end. */
  node: number;
  before: number;
  after: number;
  /** A context that ends there, and the index of its profile: to call it by its name. */
  profile: number;
  context: number;
}

export interface Comparison {
  metric: Metric;
  /** Figures at the nodes of the tree of functions, with those below. */
  before: Float64Array;
  after: Float64Array;
  /** The stacks that differ, the largest difference first. */
  changes: Change[];
}

/** Compares the first two profiles of a report. The part of the run that is chosen is left aside: they have other times. */
export function compare(session: Session, metric: Metric, filters: Filters): Comparison {
  const whole = { ...filters, range: undefined };
  const shown = effectiveMetric(metric, undefined);
  const contextAt = new Map<number, { profile: number; context: number }>();
  const [before, after] = session.data.profiles.slice(0, 2).map((profile, index) => {
    // Modules are counted for each profile by itself.
    const chosen = selectContexts(session.data, profile, session.sites, { ...whole, module: -1 });
    const values = contextValues(profile, shown);
    const own = new Float64Array(session.functions.size);
    values.forEach((value, i) => {
      if (!chosen[i]) return;
      const node = session.functionNodes[profile.contexts.node[i]!]!;
      own[node]! += value;
      if (value > 0) contextAt.set(node, { profile: index, context: i });
    });
    return { own, sums: nodeValues(session.functions, session.functionNodes, profile, values, chosen) };
  });
  const changes: Change[] = [];
  for (let node = 0; node < session.functions.size; node++) {
    const [was, is] = [before!.own[node]!, after!.own[node]!];
    if (was !== is) changes.push({ node, before: was, after: is, ...contextAt.get(node)! });
  }
  changes.sort((a, b) => Math.abs(b.after - b.before) - Math.abs(a.after - a.before));
  return { metric: shown, before: before!.sums, after: after!.sums, changes };
}

/** What became of a stack. */
export function verdict({ before, after }: Change): "appeared" | "vanished" | "grew" | "shrank" {
  if (before === 0) return "appeared";
  if (after === 0) return "vanished";
  return after > before ? "grew" : "shrank";
}
