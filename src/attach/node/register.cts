// What NODE_OPTIONS has node load before the program. `--require` is used rather than `--import`: with the
// latter node starts a CommonJS program through its loader of ES modules, which shows in the stacks of
// uncaught errors.
import fs = require("node:fs");
import path = require("node:path");
import url = require("node:url");

import compiledScript = require("./compiled-script.cjs");

import type * as Start from "./start.js" with { "resolution-mode": "import" };

/** start.ts and all that it imports, by scripts/build-attach.mjs. */
const script = path.join(__dirname, "attach.cjs");

try {
  const { value, keep } = compiledScript.runScript(script, path.join(__dirname, "../../../.cache"));
  const attach = value as (require: (name: string) => unknown, scriptUrl: string) => typeof Start;
  attach(require, url.pathToFileURL(script).href).whenEnded(keep);
} catch (error) {
  // The program runs all the same; `linmem run` says what happened.
  const { noticeFolder } = JSON.parse(process.env.LINMEM_RUN ?? "{}");
  const reason = `cannot attach to process ${process.pid}: ${error}`;
  if (noticeFolder) fs.writeFileSync(`${noticeFolder}/${process.pid}.failure`, reason);
}
