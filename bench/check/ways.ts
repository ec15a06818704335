/** Ways to find the memory errors of the kernels: linmem's, and those that compile them anew. */

import { defaultRedzone } from "../../src/attach/limits.js";
import { hasMultipleMemories } from "../../src/check/index.js";
import { attach, loadChanged, Stopwatch } from "../variants.js";
import { type BuildName, type Kernel, loadBuild } from "./builds.js";

export interface Way {
  title: string;
  build: BuildName;
  /** Whether `linmem check` is attached, and how its checks read the shadow memory. */
  inline?: boolean;
}

const all = {
  raw: { title: "raw", build: "plain" },
  inline: { title: "linmem check", build: "plain", inline: true },
  calls: { title: "linmem check, by calls", build: "plain", inline: false },
  asan: { title: "AddressSanitizer", build: "asan" },
  "safe-heap": { title: "SAFE_HEAP", build: "safe-heap" },
} as const satisfies Record<string, Way>;

export type WayName = keyof typeof all;

/** Those that this engine can go. */
export const ways: ReadonlyMap<WayName, Way> = new Map(
  (Object.entries(all) as [WayName, Way][]).filter(([name]) => name !== "inline" || hasMultipleMemories()),
);

export interface LoadedWay {
  kernels: Record<string, Kernel>;
  /** Bytes of the module that the engine compiled. */
  code: number;
  memory(): number;
  end(): void;
}

export async function loadWay({ build, inline }: Way): Promise<LoadedWay> {
  let code = 0;
  let memory: WebAssembly.Memory | undefined;
  let end = () => {};
  const watch = () => {
    const { instantiate } = WebAssembly;
    WebAssembly.instantiate = (async (bytes: BufferSource, imports: WebAssembly.Imports) => {
      code = bytes.byteLength;
      const result = await instantiate(bytes, imports);
      memory = Object.values(result.instance.exports).find((it) => it instanceof WebAssembly.Memory);
      for (const from of Object.values(imports)) {
        memory ??= Object.values(from).find((it) => it instanceof WebAssembly.Memory);
      }
      return result;
    }) as typeof instantiate;
  };
  const kernels = await loadChanged({ load: () => loadBuild(build) }, build, () => {
    watch();
    if (inline !== undefined) {
      ({ end } = attach(new Stopwatch(), { check: { inline, redzone: defaultRedzone } }));
    }
  });
  return { kernels, code, memory: () => memory?.buffer.byteLength ?? 0, end };
}
