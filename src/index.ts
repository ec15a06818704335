/** The library: `import { … } from "linmem"`. So far the errors that linmem throws. */
export * from "./errors.js";
