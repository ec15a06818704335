import type { Profile } from "../../profile/state.js";
import type { FrameReport, ModuleReport, Report } from "../report.js";
import type { ModuleHistory } from "./history.js";

export type { Finding, Severity } from "../report.js";

/** What a rule looks at: one module of a profile, summed over its memories. */
export interface Subject {
  profile: Profile;
  report: Report;
  module: ModuleReport;
  history: ModuleHistory;
}

/** Whether the guest collects garbage itself: what is live there may be garbage already. */
export function isCollected({ toolchain }: Pick<ModuleReport, "toolchain">): boolean {
  return /\b(AssemblyScript|TinyGo|Go)\b/.test(toolchain);
}

/** Names longer than this are cut: they come from the program. */
const longestName = 60;

/** A caller for a sentence. */
export function callerName(frame: FrameReport | undefined): string {
  const name = frame?.function || (frame ? "(anonymous)" : "a caller that was not captured");
  const characters = [...name];
  return characters.length > longestName ? `${characters.slice(0, longestName - 1).join("")}…` : name;
}
