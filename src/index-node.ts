/** The library in Node: the same, and `liveMemories()` knows resident bytes on Linux. */
import { readResident } from "./memory/node-resident.js";
import { setResidentReader } from "./memory/registry.js";

setResidentReader(readResident);

export * from "./index.js";
