// Runs each kernel for a moment, in one way, and prints the largest resident size that the process had, in bytes.
import { loadWay, type WayName, ways } from "./ways.js";

const way = ways.get(process.argv[2] as WayName);
if (!way) throw new Error(`there is no way ${process.argv[2]}`);
const loaded = await loadWay(way);
for (const kernel of Object.values(loaded.kernels)) {
  const end = performance.now() + 200;
  while (performance.now() < end) kernel(3);
}
process.stdout.write(String(process.resourceUsage().maxRSS * 1024));
loaded.end();
