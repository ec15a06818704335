// Runs the corpus' workloads, with and without linmem, and reads what their profiles say. A workload is
// `node workloads/NAME.mjs once|leak|free [N]`; the corpus' README says what each does.
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { performance } from "node:perf_hooks";
import { isCountedOnly } from "../../src/analyze/collected-heaps.js";
import type { CallerReport, Finding, Report } from "../../src/analyze/report.js";
import { linmem } from "../attach/run-program.js";

/**
 * An option of node: packages get a FinalizationRegistry that never calls back. When the collector runs decides how many
 * of the forgotten objects a real one releases before the end, and a test that counts them can't depend on that.
 */
const noFinalizers =
  "--import=data:text/javascript,globalThis.FinalizationRegistry=class{register(){}unregister(){return!1}}";

/** Names of the workloads of a corpus. */
export function workloadNames(corpus: string): string[] {
  return readdirSync(join(corpus, "workloads"))
    .filter((name) => name.endsWith(".mjs"))
    .map((name) => basename(name, ".mjs"))
    .sort();
}

/** A workload that leaks in correct use has no other leak worth looking at. */
export function leakingMode(name: string): "leak" | "free" {
  return name === "lightningcss" ? "free" : "leak";
}

export interface Finished {
  stdout: string;
  stderr: string;
  code: number | null;
  /** Wall-clock time of the process, in milliseconds. */
  time: number;
}

/** What was live at one moment. */
export interface Held {
  bytes: number;
  /** Of these, bytes with a frame of the wanted function of the workload's file on their stack. */
  attributed: number;
}

/** What a profile says, of all modules of a run together. */
export interface Holding {
  end: Held;
  /** The same at the high-water mark. */
  peak: Held;
  memoryBytes: number;
  /** Blocks that outlived the call which made them, and those of them whose caller was captured. */
  outlived: number;
  captured: number;
  /** Milliseconds spent on capturing stacks. */
  captureTime: number;
  /** Whether it is known of any module what is live in it. */
  recorded: boolean;
  /** Allocations of guests of which only their collectors know what is live. */
  counted: { blocks: number; bytes: number; collections: number };
  /** Why not, module by module. */
  reasons: string[];
  run: Finished;
}

export class Corpus {
  readonly #folder: string;
  readonly #nodeOptions: Readonly<Record<string, readonly string[]>>;
  readonly #profiles = mkdtempSync(join(tmpdir(), "linmem-corpus-"));
  #count = 0;

  /** @param nodeOptions options of node by name of workload */
  constructor(folder: string, nodeOptions: Readonly<Record<string, readonly string[]>> = {}) {
    this.#folder = folder;
    this.#nodeOptions = nodeOptions;
  }

  /** Arguments for node. */
  #program(name: string): string[] {
    return [...(this.#nodeOptions[name] ?? []), join(this.#folder, "workloads", `${name}.mjs`)];
  }

  raw(name: string, ...args: string[]): Promise<Finished> {
    return node([...this.#program(name), ...args]);
  }

  async profiled(name: string, ...args: string[]): Promise<Finished & { profile: string }> {
    return this.#profiled(this.#program(name), args);
  }

  async #profiled(
    program: string[],
    args: string[],
    options: readonly string[] = [],
  ): Promise<Finished & { profile: string }> {
    const profile = join(this.#profiles, `${++this.#count}.linmem`);
    const run = ["run", "--quiet", "--out", profile, ...options];
    const finished = await node([linmem, ...run, ...program, ...args]);
    return { ...finished, profile };
  }

  /**
   * Runs a workload under linmem and asks what is live at its end because of its function `mode`.
   * @param options of `linmem run`
   */
  async holding(
    name: string,
    mode: "leak" | "free",
    n: number,
    options: readonly string[] = [],
  ): Promise<Holding> {
    const { profile, ...run } = await this.#profiled(this.#program(name), [mode, String(n)], options);
    if (run.code !== 0) throw new Error(`${name} ${mode} ${n} ended with ${run.code}: ${run.stderr}`);
    const { stdout, stderr, code } = await node([linmem, "report", "--format", "json", profile]);
    if (code !== 0) throw new Error(`report of ${name} ended with ${code}: ${stderr}`);
    rmSync(profile);
    return holdingOf(JSON.parse(stdout), `${name}.mjs`, mode, run);
  }

  /** What the diagnosis says of a workload. */
  async findings(name: string, mode: "leak" | "free", n: number): Promise<Finding[]> {
    return (await this.#report(this.#program(name), name, mode, n)).findings;
  }

  /** Who called when the modules of a workload allocated. */
  async callers(name: string, mode: "leak" | "free", n: number): Promise<CallerReport[]> {
    return (await this.#report(this.#program(name), name, mode, n)).modules.flatMap(({ callers }) => callers);
  }

  /** The objects by class of a workload, none released late: `class call line`, with how many are live at most. */
  async objects(name: string, n: number): Promise<[string, number][]> {
    const { modules } = await this.#report([noFinalizers, ...this.#program(name)], name, "leak", n);
    return modules.flatMap(({ objects }) =>
      objects.map(({ call, class: made, frame, liveAtMost }): [string, number] => [
        `${made} ${call} ${basename(frame?.file ?? "")}:${frame?.function}`,
        liveAtMost,
      ]),
    );
  }

  async #report(program: string[], name: string, mode: "leak" | "free", n: number): Promise<Report> {
    const { profile, ...run } = await this.#profiled(program, [mode, String(n)]);
    if (run.code !== 0) throw new Error(`${name} ${mode} ${n} ended with ${run.code}: ${run.stderr}`);
    const { stdout } = await node([linmem, "report", "--format", "json", profile]);
    rmSync(profile);
    return JSON.parse(stdout) as Report;
  }

  /** Removes the profiles. */
  remove(): void {
    rmSync(this.#profiles, { recursive: true, force: true });
  }
}

export interface Growth extends Held {
  /** When the two runs were compared: "end", or "peak" where the collector released it before the end. */
  at: "end" | "peak";
}

/**
 * By what `more` holds more than `less`, and how much of that is attributed. Where a FinalizationRegistry of the
 * package released most of it at the end, as with tree-sitter's trees, it is what they held at the most.
 */
export function growth(less: Holding, more: Holding): Growth {
  const at = more.end.bytes * 2 < more.peak.bytes ? "peak" : "end";
  const [a, b] = [less[at], more[at]];
  return { at, bytes: b.bytes - a.bytes, attributed: b.attributed - a.attributed };
}

function holdingOf(report: Report, file: string, functionName: string, run: Finished): Holding {
  const contexts = report.modules.flatMap((module) => module.contexts);
  const heaps = report.modules.flatMap(({ heap }) => heap ?? []);
  const counted = heaps.filter(isCountedOnly);
  const isWanted = (frame: (typeof contexts)[number]["stack"][number]) =>
    frame.kind === "js" && frame.function === functionName && basename(frame.file) === file;
  const sum = <T>(items: readonly T[], of: (item: T) => number) =>
    items.reduce((total, item) => total + of(item), 0);
  const attributed = contexts.filter(({ stack }) => stack.some(isWanted));
  const held = (key: "liveBytes" | "peakLiveBytes"): Held => ({
    bytes: sum(heaps, (heap) => heap[key]),
    attributed: sum(attributed, (context) => context[key]),
  });
  return {
    end: held("liveBytes"),
    peak: held("peakLiveBytes"),
    memoryBytes: sum(report.memories, (memory) => memory.finalBytes),
    outlived: sum(heaps, (heap) => heap.outlived),
    captured: sum(heaps, (heap) => heap.captured),
    captureTime: report.run.captureTime ?? 0,
    recorded: report.modules.some(({ heap }) => heap && !isCountedOnly(heap)),
    counted: {
      blocks: sum(counted, ({ allocations }) => allocations),
      bytes: sum(counted, ({ allocatedBytes }) => allocatedBytes),
      collections: sum(counted, ({ collections }) => collections),
    },
    reasons: report.modules.flatMap(({ name, reason }) =>
      reason ? [`${name || "a module"}: ${reason}`] : [],
    ),
    run,
  };
}

function node(args: readonly string[]): Promise<Finished> {
  // The test runner's settings for its children are none of the workloads'.
  const { NODE_OPTIONS, NODE_TEST_CONTEXT, ...env } = process.env;
  const start = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    const [stdout, stderr]: Buffer[][] = [[], []];
    child.stdout.on("data", (chunk) => stdout.push(chunk));
    child.stderr.on("data", (chunk) => stderr.push(chunk));
    child.once("error", reject);
    child.once("close", (code) => {
      const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString();
      resolve({ stdout: text(stdout), stderr: text(stderr), code, time: performance.now() - start });
    });
  });
}
