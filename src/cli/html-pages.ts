import { basename } from "node:path";
import { analyzeInDetail } from "../analyze/details.js";
import { demangle } from "../names/demangle.js";
import { readProfileFile } from "../profile/file.js";
import { htmlReport } from "../report/html/html.js";
import type { HtmlProfile } from "../report/html/pack.js";
import { type OutputOptions, refuseTerminal, writeReport } from "./output-file.js";

/**
 * Writes one profile as a page, or two to be compared: before, after.
 * @throws UsageError when the page would go to a terminal, or the file can't be written
 */
export async function writeHtml(paths: readonly string[], options: OutputOptions): Promise<void> {
  refuseTerminal("HTML", options);
  const profiles: HtmlProfile[] = [];
  for (const path of paths) {
    const details = analyzeInDetail(await readProfileFile(path), { demangle });
    profiles.push({ title: basename(path), details });
  }
  await writeReport(await htmlReport(profiles, { directory: process.cwd() }), options);
}
