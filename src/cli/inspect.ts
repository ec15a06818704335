import { Command } from "commander";
import { inspectText } from "../report/inspect-text.js";
import { describeModule } from "./describe-module.js";
import { glueScripts } from "./glue-scripts.js";
import { useModuleFile } from "./module-file.js";
import { outputWidth, usesColor, writeOutput } from "./output.js";

/** `linmem inspect`: what a module is, without running it. */
export function inspectCommand(): Command {
  return new Command("inspect")
    .description("show a module's memories, toolchain, allocator and boundary")
    .argument("<module>", "WebAssembly module")
    .option("--json", "for programs")
    .action(async (path: string, { json }: { json?: true }) => {
      const description = useModuleFile(path, (bytes) => describeModule(path, bytes, glueScripts(path)));
      const { stdout } = process;
      await writeOutput(
        json
          ? `${JSON.stringify(description, undefined, 2)}\n`
          : inspectText(description, { width: outputWidth(stdout), color: usesColor(stdout) }),
      );
    });
}
