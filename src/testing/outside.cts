// Loads linmem with Node's own `require`, also where a test runner has put one of its own in its place.

import vm = require("node:vm");

import type * as Realm from "./realm.js" with { "resolution-mode": "import" };

function load(): typeof Realm {
  // Jest answers `require("node:module")` itself, so Node's is taken from the main context.
  const nodeProcess: NodeJS.Process = vm.runInThisContext("process");
  const nodeRequire = nodeProcess.getBuiltinModule("node:module").createRequire(__filename);
  // Some versions of Node warn of require() of an ES module; that is no concern of the tests.
  const { emitWarning } = nodeProcess;
  nodeProcess.emitWarning = () => {};
  try {
    return nodeRequire("./realm.js");
  } finally {
    nodeProcess.emitWarning = emitWarning;
  }
}

const realm = load();
realm.attach(globalThis);
export = realm;
