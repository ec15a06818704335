/**
 * A program that does some work and ends: `node first-program.js <workload> count <units>`, or to find out how
 * much that is `… seconds <seconds>`. Prints, in milliseconds since the process began, when the work was done,
 * and the processor time up to then.
 */
import { workloads } from "./workloads/index.js";

const [name, mode, amount] = process.argv.slice(2);
const workload = workloads.find((it) => it.name === name);
if (!workload) throw new Error(`there is no workload ${name}`);
const work = await workload.load("program");
let units = 0;
const step = Math.max(1, Number(process.env.LINMEM_BENCH_STEP ?? 1));
if (mode === "seconds") {
  const until = Number(amount) * 1000;
  for (let size = 1; performance.now() < until; size = Math.min(size * 2, 256)) {
    work(size);
    units += size;
  }
} else {
  // in small steps, as a program would
  for (; units < Number(amount); units += step) work(Math.min(step, Number(amount) - units));
}
const { user, system } = process.cpuUsage();
process.stdout.write(JSON.stringify({ units, wall: performance.now(), cpu: (user + system) / 1000 }));
