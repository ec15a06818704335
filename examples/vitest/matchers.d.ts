// Types of the matchers that vitest.config.ts sets up.
import "linmem/testing/vitest";
