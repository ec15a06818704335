import { Command, InvalidArgumentError, Option } from "commander";
import { analyze } from "../analyze/analyze.js";
import type { Report } from "../analyze/report.js";
import { readProfileFile } from "../profile/file.js";
import { jsonReport } from "../report/json.js";
import { textReport } from "../report/text.js";
import { demangle } from "./demangle.js";
import { outputWidth, usesColor, writeOutput } from "./output.js";

interface ReportOptions {
  format: "text" | "json";
  top?: number;
}

/** `linmem report`: what a profile says about the memory that a run held. */
export function reportCommand(): Command {
  return new Command("report")
    .description("show what is live at the end of a recorded run, and where it was made")
    .argument("<profile>", "file that `linmem run` wrote")
    .addOption(
      new Option("-f, --format <format>", "text for people, json for programs")
        .choices(["text", "json"])
        .default("text"),
    )
    .option("--top <n>", "how many callers, stacks, growths and memories text shows of each", parseTop)
    .action(async (path: string, options: ReportOptions) => {
      const report = analyze(await readProfileFile(path), { demangle });
      if (options.format === "json") {
        await writeJson(report);
        return;
      }
      const { stdout } = process;
      await writeOutput(
        textReport(report, {
          width: outputWidth(stdout),
          color: usesColor(stdout),
          directory: process.cwd(),
          top: options.top,
        }),
      );
    });
}

const writeSize = 1 << 16;

async function writeJson(report: Report): Promise<void> {
  let pending = "";
  for (const piece of jsonReport(report)) {
    pending += piece;
    if (pending.length < writeSize) continue;
    await writeOutput(pending);
    pending = "";
  }
  await writeOutput(pending);
}

function parseTop(value: string): number {
  const top = Number(value);
  if (!Number.isSafeInteger(top) || top < 1) throw new InvalidArgumentError("give a whole number from 1 on.");
  return top;
}
