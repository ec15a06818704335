// Wasm frames of stacks, as V8 gives them, for tests that compare or interpret stacks.

export interface WasmFrame {
  /** Function index in the module. */
  functionIndex: number;
  /** Byte offset in the module. */
  offset: number;
  /** Name from the name section, if any. */
  name: string;
  /** The engine's name of the module: equal bytes, equal URL. */
  url: string;
}

interface CallSite {
  getFileName(): string | null;
  getScriptNameOrSourceURL(): string | null;
  getFunctionName(): string | null;
  getPosition(): number;
  toString(): string;
}

type Prepared = {
  prepareStackTrace?: (error: unknown, sites: CallSite[]) => unknown;
  stackTraceLimit: number;
};

/** Runs `inside` with stacks that are call sites instead of text, of at most `limit` frames. */
function withCallSites<T>(limit: number, inside: () => T): T {
  const errors = Error as unknown as Prepared;
  const { prepareStackTrace, stackTraceLimit } = errors;
  errors.prepareStackTrace = (_error, sites) => sites;
  errors.stackTraceLimit = limit;
  try {
    return inside();
  } finally {
    errors.prepareStackTrace = prepareStackTrace;
    errors.stackTraceLimit = stackTraceLimit;
  }
}

const fileOf = (site: CallSite) => site.getFileName() ?? site.getScriptNameOrSourceURL() ?? "";
const isWasm = (site: CallSite) => fileOf(site).startsWith("wasm://");

function wasmFrames(sites: unknown): WasmFrame[] {
  if (!Array.isArray(sites)) return [];
  return (sites as CallSite[]).filter(isWasm).map((site) => ({
    functionIndex: Number(/wasm-function\[(\d+)\]/.exec(site.toString())?.[1] ?? -1),
    offset: site.getPosition(),
    name: site.getFunctionName() ?? "",
    url: fileOf(site),
  }));
}

/** What `run` throws, with the wasm frames of its stack, innermost first. */
export function thrownBy(run: () => unknown): { error: unknown; frames: WasmFrame[] } | undefined {
  return withCallSites(100, () => {
    try {
      run();
      return undefined;
    } catch (error) {
      return { error, frames: wasmFrames(error instanceof Error ? error.stack : undefined) };
    }
  });
}

/** URLs of the wasm frames among the `limit` frames that called `from`, innermost first. */
export function wasmUrlsAbove(from: () => unknown, limit: number): string[] {
  const holder: { stack?: unknown } = {};
  const sites = withCallSites(limit, () => {
    Error.captureStackTrace(holder, from);
    return holder.stack as CallSite[];
  });
  return sites.filter(isWasm).map(fileOf);
}

/** Whether JavaScript that wasm called has called wasm again. */
export function isNested(): boolean {
  const sites = withCallSites(1000, () => new Error().stack as unknown as CallSite[]);
  let groups = 0;
  let inside = false;
  for (const site of sites) {
    if (isWasm(site) && !inside) groups++;
    inside = isWasm(site);
  }
  return groups > 1;
}
