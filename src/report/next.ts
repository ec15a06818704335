import { isCollected } from "../analyze/diagnosis/finding.js";
import type { ModuleReport, Report } from "../analyze/report.js";
import { liveCallers, liveTotals } from "./facts.js";
import { cutEnd, cutStart, formatBytes } from "./format.js";
import { functionName, lineLocation, moduleName } from "./frames.js";

/** Names longer than this are cut, in a sentence. */
const longest = 60;

/** What the reader of a report might do next, in one paragraph. */
export function nextStep(report: Report, directory: string): string {
  const { modules, memories } = report;
  if (memories.length === 0) {
    return (
      "see whether the program loads its module at all in such a run, and in a Node.js process below it: " +
      "`linmem inspect module.wasm` says what a module has."
    );
  }
  const blind = modules.find((module) => !module.instrumented && module.memory.finalBytes > 0);
  if (!modules.some(({ heap }) => heap)) {
    if (blind && isCollected(blind)) {
      return (
        `blocks of ${moduleName(blind)} were not recorded: its runtime has a garbage collector, or releases nothing. ` +
        "Let it run for longer: what is collected levels off, what is kept goes on growing. Growth says who asked for it."
      );
    }
    // no name of a function helps there
    return blind && !report.memories.some(({ module, shared }) => module === blind.id && shared)
      ? `no blocks were recorded. \`linmem inspect\` says what is known of ${moduleName(blind)}; ` +
          "name its allocator with `linmem run --allocator malloc=NAME,free=NAME`."
      : "no blocks were recorded, only growth: look at who asked for it.";
  }
  if (report.findings.some(({ kind }) => kind === "leak" || kind === "retention")) {
    return (
      "mend what the diagnosis names, record the same run again, and compare the two: " +
      "`linmem diff before.linmem after.linmem`."
    );
  }
  const totals = liveTotals(report);
  if (totals.countedOnly) {
    return (
      "look at the stacks that allocate most: less of that is less work for the collector. Let it run for longer to see " +
      "whether the memory levels off; what a program keeps in collected heaps no allocation tells."
    );
  }
  const { caller, module } = liveCallers(report).find(({ caller }) => caller.frame) ?? {};
  if (totals.blocks === 0 || totals.bytes * 20 < totals.peakBytes) {
    const bytes = modules.reduce((sum, { memory }) => sum + memory.finalBytes, 0);
    const rest = totals.blocks === 0 ? "nothing is" : `only ${formatBytes(totals.bytes)} are`;
    if (bytes === 0)
      return `${rest} live at the end: the memories were collected, with all that was in them.`;
    return (
      `${rest} live at the end. A memory never shrinks, so ${formatBytes(bytes)} stay with the ` +
      "program because of the high-water mark: look at what was live then."
    );
  }
  if (!caller?.frame || !module) {
    return "the callers of what is live were not captured: look at the stacks in wasm, or let it run for longer.";
  }
  const most = 2 * caller.liveBytes > totals.bytes ? "most of it" : "more of it than any other known caller";
  return (
    `${cutEnd(functionName(caller.frame), longest)} ` +
    `(${cutStart(lineLocation(caller.frame, directory), longest)}) made ${most}. ` +
    `If that should be gone by now, find out who gets its result and has to ${releaseCall(module)}. ` +
    "Caches and tables that live as long as the program look the same: run it with twice the work, and look " +
    "at what doubles."
  );
}

/** How programs release what a module made, by the toolchain's habits. */
function releaseCall({ toolchain }: ModuleReport): string {
  if (/wasm-bindgen/i.test(toolchain)) return "call `.free()` on it (or declare it with `using`)";
  if (toolchain === "linmem") return "call `release()` on its handle, or the heap's `free`";
  if (/emscripten/i.test(toolchain)) return "call `.delete()` on it, or the module's `_free`";
  if (/assemblyscript/i.test(toolchain)) return "call `__unpin` for it";
  return "release it";
}
