import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // Attaches linmem before a test file imports anything, and adds its matchers to `expect`.
    setupFiles: ["linmem/testing/vitest"],
    // To be sure of a leak takes 19 runs, and a collection of garbage after each.
    testTimeout: 20_000,
  },
});
