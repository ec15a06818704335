import assert from "node:assert/strict";
import { test } from "node:test";
import { ownCommand } from "../../src/cli/output.js";

test("what people copy to call linmem again works where they are", () => {
  const command = (script: string) => ownCommand(script, "/home/user/project");
  assert.equal(command("/home/user/project/dist/cli/main.js"), "node dist/cli/main.js");
  assert.equal(command("/opt/linmem/dist/cli/main.js"), "node /opt/linmem/dist/cli/main.js");
  assert.equal(command("/opt/my tools/main.js"), 'node "/opt/my tools/main.js"');
  assert.equal(command("/home/user/project/node_modules/.bin/linmem"), "npx linmem");
  assert.equal(command("/home/user/project/node_modules/linmem/dist/cli/main.js"), "npx linmem");
  assert.equal(command("/usr/local/bin/linmem"), "linmem");
});
