// Runs the project's own TypeScript: `node --import=./scripts/typescript.mjs file.ts`.
//
// tsx does that as well, but it looks through every module that is loaded, and the tests load binaryen.js, 10 MB of it:
// 8 seconds of each test file. What is no TypeScript of the project goes to Node as it is here.
import * as nodeModule from "node:module";
import { load, resolve } from "./typescript-hooks.mjs";

process.setSourceMapsEnabled(true);
// Node 20 has hooks only in a thread of their own
if (nodeModule.registerHooks) nodeModule.registerHooks({ load, resolve });
else nodeModule.register("./typescript-hooks.mjs", import.meta.url);
