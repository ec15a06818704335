/** The diagnosis: what is wrong with a run's memory, most serious first. One rule a file, each a pure function. */
import type { Profile } from "../../profile/state.js";
import type { ReportIds } from "../contexts.js";
import type { StackReader } from "../frames.js";
import type { Report } from "../report.js";
import { findChurn } from "./churn.js";
import { type Finding, isCollected, type Severity, type Subject } from "./finding.js";
import { findFlat } from "./flat.js";
import { findFragmentation } from "./fragmentation.js";
import { findHighWater } from "./high-water.js";
import { moduleHistory } from "./history.js";
import { findInstanceChurn } from "./instance-churn.js";
import { findLeaks } from "./leak.js";
import { findUnreferenced } from "./reachability.js";
import { findReservation } from "./reservation.js";

const order: readonly Severity[] = ["problem", "warning", "note"];

/**
 * @param memoriesOf ids of the memories of each module of the report
 */
export function findAll(
  profile: Profile,
  report: Report,
  stacks: StackReader,
  memoriesOf: ReadonlyMap<number, readonly number[]>,
  reportIds: ReportIds,
): Finding[] {
  const all = report.modules.flatMap((module) => {
    const memories = (memoriesOf.get(module.id) ?? []).map((id) => profile.memories.get(id)!);
    if (memories.length === 0) return [];
    const subject: Subject = {
      profile,
      report,
      module,
      history: moduleHistory(module, memories, stacks, reportIds),
    };
    const leaks = findLeaks(subject);
    const growing = leaks.length > 0;
    const churning = findInstanceChurn(subject, stacks);
    return [
      ...leaks,
      ...churning,
      ...findFragmentation(subject),
      ...(isCollected(module) && !growing ? [] : findUnreferenced(subject)),
      ...(growing ? [] : findHighWater(subject)),
      ...findReservation(subject),
      ...findChurn(subject),
      // each further memory is more, though none of them grows
      ...(growing || churning.length > 0 ? [] : findFlat(subject)),
    ];
  });
  return all.sort(
    (a, b) =>
      order.indexOf(a.severity) - order.indexOf(b.severity) || b.bytes - a.bytes || b.certainty - a.certainty,
  );
}
