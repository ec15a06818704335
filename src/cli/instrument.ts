import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { basename } from "node:path";
import { Command } from "commander";
import { ModuleRegistry } from "../attach/module-registry.js";
import { InstrumentError, UsageError } from "../errors.js";
import type { AllocatorOverride, Instrumentation } from "../instrument/index.js";
import { instrument } from "../instrument/index.js";
import { recorderModuleName } from "../recorder/index.js";
import { clean, countOf, formatBytes } from "../report/format.js";
import { Page } from "../report/page.js";
import { allocatorOption } from "./allocator-option.js";
import { glueScripts } from "./glue-scripts.js";
import { useModuleFile } from "./module-file.js";
import { cannotWrite, outputWidth, usesColor, writeOutput } from "./output.js";

interface InstrumentCommandOptions {
  out?: string;
  allocator: AllocatorOverride[];
  force?: true;
}

/** `linmem instrument`: writes the module that `linmem run` would give to the engine. */
export function instrumentCommand(): Command {
  return new Command("instrument")
    .description("write a module with hooks at its allocator, for `linmem run`")
    .argument("<module>", "WebAssembly module")
    .option("-o, --out <file>", "module to write; - for standard output, the default in a pipe")
    .addOption(allocatorOption())
    .option("-f, --force", "overwrite the output if it exists")
    .action(async (path: string, { out = "-", allocator, force }: InstrumentCommandOptions) => {
      if (out === "-" && process.stdout.isTTY) {
        throw new UsageError("no binary is written to a terminal: name a file with --out, or use a pipe");
      }
      const result = useModuleFile(path, (bytes) => instrumentModule(path, bytes, allocator));
      if (out === "-") await writeOutput(result.bytes);
      else writeModule(out, result.bytes, force);
      const { stderr } = process;
      stderr.write(about(result, path, out, { width: outputWidth(stderr), color: usesColor(stderr) }));
    });
}

interface Instrumented {
  bytes: Uint8Array;
  /** Size of the original in bytes. */
  originalSize: number;
  /** What was hooked; empty when nothing was. */
  allocator: Instrumentation["allocator"];
  notes: readonly string[];
  /** What the module imports from the recorder. */
  imports: readonly string[];
  /** Why nothing was added. */
  reason?: string;
}

function instrumentModule(
  path: string,
  bytes: Uint8Array,
  allocator: readonly AllocatorOverride[],
): Instrumented {
  let instrumentation: Instrumentation;
  try {
    instrumentation = instrument(bytes, { allocator, scripts: glueScripts(path) });
  } catch (error) {
    if (!(error instanceof InstrumentError)) throw error;
    throw new UsageError(`cannot instrument ${path}: ${error.message}`, { cause: error });
  }
  // The registry adds the sections by which `linmem run` recognises the module.
  const registry = new ModuleRegistry({ instrument: () => instrumentation, hash });
  const prepared = registry.prepare(bytes, basename(path));
  const { notes } = instrumentation;
  const common = { originalSize: bytes.length, notes };
  if (!prepared.bytes) {
    const { reason } = prepared.module;
    return { ...common, bytes, allocator: [], imports: [], reason };
  }
  return {
    ...common,
    bytes: prepared.bytes,
    allocator: instrumentation.allocator,
    imports: prepared.module.facts.recorderImports,
  };
}

const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

function writeModule(path: string, bytes: Uint8Array, force?: true): void {
  try {
    writeFileSync(path, bytes, { flag: force ? "w" : "wx" });
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

/** What was done, and what the output needs. */
function about(
  { bytes, originalSize, allocator, notes, imports, reason }: Instrumented,
  path: string,
  out: string,
  options: { width?: number; color: boolean },
): string {
  const page = new Page(options);
  const { bold, dim, yellow } = page.colors;
  const to = out === "-" ? "" : ` to ${clean(out)}`;
  if (imports.length === 0) {
    const why = clean(reason ?? "it has no allocator and does not grow");
    page.prose(`linmem: nothing to add to ${clean(path)}, written${to} as it is: ${why}`, {
      hanging: 2,
      style: bold,
    });
    return page.toString();
  }
  const hooked = allocator.length > 0 ? countOf(allocator.length, "hooked function") : "growth recorded only";
  const sizes = `${formatBytes(bytes.length)} (${(bytes.length / originalSize).toFixed(2)} times the original)`;
  page.prose(`linmem: ${hooked}, ${sizes} written${to}`, { hanging: 2, style: bold });
  if (allocator.length > 0) {
    page.table(
      [{}, { align: "right", style: dim }, { cut: "end" }, { cut: "end" }],
      allocator.map(({ role, index, name, evidence }) => [role, String(index), clean(name), clean(evidence)]),
      { head: ["role", "index", "name", "evidence"] },
    );
  }
  for (const note of notes) page.prose(clean(note), { indent: 2, hanging: 4, style: yellow });
  page.prose(
    `At run time it imports ${imports.join(", ")} from a module "${recorderModuleName}". ` +
      "`linmem run` provides them; without it the module can't be instantiated.",
    { indent: 2 },
  );
  return page.toString();
}
