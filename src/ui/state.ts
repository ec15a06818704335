import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Filters, Metric, Profile } from "./selection.js";
import type { Session } from "./session.js";

/** What the reader of the report has chosen. */
export interface Choice {
  view: string;
  /** Index of the profile. */
  profile: number;
  metric: Metric;
  filters: Filters;
  /** Marks what it is found in, and hides nothing. */
  search: string;
  /** Index of the memory whose timeline and heap map are shown; -1 for all together. */
  memory: number;
}

export interface Shared {
  session: Session;
  choice: Choice;
  profile: Profile;
  /** Contexts that the filters let through. */
  chosen: Uint8Array;
  /** Figure of each context. */
  values: Float64Array;
  /** The metric that `values` are of. */
  metric: Metric;
  choose(change: Partial<Choice>): void;
}

export const SharedContext = createContext<Shared | undefined>(undefined);

export function useShared(): Shared {
  const shared = useContext(SharedContext);
  if (!shared) throw new Error("no report around this part of the page");
  return shared;
}
