import { expect, test } from "vitest";
import { thumbnail } from "./leaky.js";
import { ready, svg } from "./resvg.js";

test("a thumbnail releases what it makes", async () => {
  await ready;
  await expect(() => thumbnail(svg)).toNotLeak();
});
