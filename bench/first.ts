/** What profiling costs in the first seconds of a program: instrumenting, compilation of larger code, first stacks. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { root } from "./packages.js";
import { median } from "./statistics.js";
import { table } from "./tables.js";
import type { Workload } from "./workloads/index.js";

const seconds = 2;
const runs = 5;

interface Outcome {
  units: number;
  wall: number;
  cpu: number;
}

const program = fileURLToPath(new URL("first-program.js", import.meta.url));

export function measureFirst(workloads: readonly Workload[]): string {
  const folder = mkdtempSync(join(tmpdir(), "linmem-bench-"));
  let made = 0;
  const run = (workload: Workload, profiled: boolean, mode: string, amount: number, step = 1): Outcome => {
    const script = [program, workload.name, mode, String(amount)];
    const allocator = workload.allocator?.map(({ role, target }) => `${role}=${target}`).join(",");
    const linmem = [
      `${root}dist/cli/main.js`,
      "run",
      "--quiet",
      "--out",
      join(folder, `${++made}.linmem`),
      ...(allocator ? ["--allocator", allocator] : []),
    ];
    const args = profiled ? [...linmem, ...script] : script;
    const env = { ...process.env, LINMEM_BENCH_STEP: String(step) };
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", env });
    if (status !== 0) throw new Error(`${workload.name} failed: ${stderr}`);
    return JSON.parse(stdout) as Outcome;
  };

  try {
    const rows = workloads.map((workload) => {
      const { units } = run(workload, false, "seconds", seconds);
      const step = Math.max(1, Math.round(units / 200));
      const pairs = Array.from({ length: runs }, (_, i) => {
        const order = i % 2 === 0 ? [false, true] : [true, false];
        const [one, other] = order.map((profiled) => run(workload, profiled, "count", units, step));
        return i % 2 === 0 ? { raw: one, profiled: other } : { raw: other, profiled: one };
      });
      const of = (pick: (pair: (typeof pairs)[number]) => number) => median(pairs.map(pick));
      return [
        workload.name,
        of(({ raw }) => raw.wall / 1000).toFixed(2),
        of(({ profiled }) => profiled.wall / 1000).toFixed(2),
        of(({ raw, profiled }) => profiled.wall / raw.wall).toFixed(2),
        of(({ raw }) => raw.cpu / 1000).toFixed(2),
        of(({ profiled }) => profiled.cpu / 1000).toFixed(2),
        of(({ raw, profiled }) => profiled.cpu / raw.cpu).toFixed(2),
      ];
    });
    return table(
      ["workload", "raw, s", "profiled, s", "ratio", "raw CPU, s", "profiled CPU, s", "CPU ratio"],
      rows,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
