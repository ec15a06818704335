import { readFileSync } from "node:fs";
import { Command } from "commander";
import { DecodeError, UsageError } from "../errors.js";
import { inspectText } from "../report/inspect-text.js";
import { describeModule } from "./describe-module.js";
import { outputWidth, systemReason, usesColor, writeOutput } from "./output.js";

/** `linmem inspect`: what a module is, without running it. */
export function inspectCommand(): Command {
  return new Command("inspect")
    .description("show a module's memories, toolchain, allocator and boundary")
    .argument("<module>", "WebAssembly module")
    .option("--json", "for programs")
    .action(async (path: string, { json }: { json?: true }) => {
      const description = describe(path);
      const { stdout } = process;
      await writeOutput(
        json
          ? `${JSON.stringify(description, undefined, 2)}\n`
          : inspectText(description, { width: outputWidth(stdout), color: usesColor(stdout) }),
      );
    });
}

function describe(path: string) {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${systemReason(error)}`);
  }
  try {
    return describeModule(path, bytes);
  } catch (error) {
    if (error instanceof DecodeError) throw new UsageError(`cannot decode ${path}: ${error.message}`);
    throw error;
  }
}
