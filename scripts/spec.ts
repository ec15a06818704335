// Runs the specification's tests raw and instrumented, compares every outcome and prints counts.
//
//   LINMEM_SPEC=directory npm run spec            all scripts
//   LINMEM_SPEC=directory npm run spec -- call    scripts whose name contains one of these
//
// Exits with 1 when an outcome differs.
import { compareScript, emptyCounts } from "../test/spec/compare.js";
import { describeCounts, describeDifference } from "../test/spec/describe.js";
import { scriptsIn } from "../test/spec/script.js";
import { specDirectory } from "../test/support/shared.js";

const directory = specDirectory();
const filters = process.argv.slice(2);
if (!directory) {
  process.stderr.write(
    "spec: set LINMEM_SPEC to a directory of scripts that wast2json or wasm-tools wrote\n",
  );
  process.exitCode = 2;
} else {
  const counts = emptyCounts();
  let different = 0;
  for (const script of scriptsIn(directory)) {
    if (filters.length > 0 && !filters.some((filter) => script.name.includes(filter))) continue;
    for (const difference of compareScript(script, counts)) {
      if (++different <= 50) process.stdout.write(`${describeDifference(difference)}\n`);
    }
  }
  process.stdout.write(`Node ${process.version}\n${describeCounts(counts)}\n${different} differences\n`);
  if (different > 0) process.exitCode = 1;
}
