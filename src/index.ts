// Types with a `Symbol.dispose` method need this library; targets before ESNext don't have it by themselves.
/// <reference lib="esnext.disposable" preserve="true" />

/** The library: `import { … } from "linmem"`. */
export * from "./errors.js";
export { Budget, type PressureEvent } from "./memory/budget.js";
export type { AddressType } from "./memory/engine.js";
export { type GrowthEvent, LinearMemory, type LinearMemoryOptions } from "./memory/linear-memory.js";
export { PAGE_SIZE } from "./memory/pages.js";
export { type LiveMemory, liveMemories, type ResidentReader, setResidentReader } from "./memory/registry.js";
export type { Subscription } from "./memory/subscription.js";
export type { Address } from "./memory/views.js";
