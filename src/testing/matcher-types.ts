import type { ByteSize, LeakOptions } from "./options.js";

/** What `linmem/testing/vitest` and `linmem/testing/jest` add to `expect(fn)`. */
export interface LinmemMatchers {
  /**
   * Fails when memory grows with every run of the function, and says which lines made what is left.
   * @example await expect(() => draw(svg)).toNotLeak();
   */
  toNotLeak(options?: LeakOptions): Promise<void>;
  /**
   * Fails when the function has more live at a time, beyond what was live before: blocks where they are recorded,
   * else pages by which memories grew.
   * @example await expect(() => draw(svg)).toStayWithin("4 MiB");
   */
  toStayWithin(limit: ByteSize): Promise<void>;
}
