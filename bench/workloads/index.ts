/** Real work with real packages. Everything a workload makes it also releases. */
import type { AllocatorOverride } from "../../src/instrument/index.js";
import { pdfium } from "./pdfium.js";
import { quickjs } from "./quickjs.js";
import { resvg } from "./resvg.js";
import { sqljs } from "./sqljs.js";
import { treeSitter } from "./tree-sitter.js";

export interface Workload {
  name: string;
  /** What one unit of it does. */
  does: string;
  /** What `--allocator` says for it. */
  allocator?: readonly AllocatorOverride[];
  /**
   * Loads the package anew, with an instance of its own, and returns a function that does `count` units of work.
   * @param id different for each load in a process
   */
  load(id: string): Promise<(count: number) => void>;
}

export const workloads: readonly Workload[] = [quickjs, sqljs, resvg, treeSitter, pdfium];
