// An independent way to count allocations: binaryen puts calls of JavaScript around allocator functions, and
// JavaScript keeps every block in a Map. Slow, simple, and nothing of src/ takes part in it.
import binaryen from "binaryen";

/** What a function's arguments are: bytes to allocate, the address of a block, or neither. */
export type Argument = "size" | "block" | "other";

export interface CountedFunction {
  /** Name in the name section, name of an export, or function index. */
  function: string | number;
  arguments: Argument[];
  /** Whether the result is a block's address. */
  allocates: boolean;
}

export interface BruteForce {
  bytes: Uint8Array<ArrayBuffer>;
  /** To be given to the instance under the module name `truth`. */
  imports: Record<string, (...values: number[]) => void>;
  counts: {
    allocations: number;
    frees: number;
    allocatedBytes: number;
    liveBytes: number;
    liveBlocks: number;
  };
}

/** Wraps functions whose arguments are all i32. */
export function countByBruteForce(bytes: Uint8Array, functions: readonly CountedFunction[]): BruteForce {
  const module = binaryen.readBinary(bytes);
  // with GC among the features binaryen writes types that Node 20 doesn't know
  module.setFeatures(binaryen.Features.All & ~binaryen.Features.GC);
  const { i32, none } = binaryen;
  // what is added comes first in the order of functions: look everything up before
  const wrapped = functions.map((counted) => ({ ...counted, name: nameOf(module, counted.function) }));
  module.addFunctionImport("truth$enter", "truth", "enter", none, none);
  module.addFunctionImport("truth$leave", "truth", "leave", binaryen.createType([i32, i32, i32, i32]), none);

  for (const { name, arguments: meanings, allocates } of wrapped) {
    const { params, results, vars, body } = binaryen.getFunctionInfo(module.getFunction(name));
    const original = `truth$${name}`;
    const copy = module.copyExpression(body);
    module.removeFunction(name);
    module.addFunction(original, params, results, vars, copy);
    const parameters = meanings.map((_, i) => module.local.get(i, i32));
    const argument = (meaning: Argument) => {
      const index = meanings.indexOf(meaning);
      return index < 0 ? module.i32.const(0) : module.local.get(index, i32);
    };
    const result = meanings.length;
    const call = module.call(original, parameters, results);
    const returnsValue = results === i32;
    const wrapper = [
      module.call("truth$enter", [], none),
      returnsValue ? module.local.set(result, call) : call,
      module.call(
        "truth$leave",
        [
          argument("block"),
          allocates ? module.local.get(result, i32) : module.i32.const(0),
          argument("size"),
          module.i32.const(allocates ? 1 : 0),
        ],
        none,
      ),
      ...(returnsValue ? [module.local.get(result, i32)] : []),
    ];
    module.addFunction(
      name,
      params,
      results,
      returnsValue ? [i32] : [],
      module.block(null, wrapper, results),
    );
  }
  const written = new Uint8Array(module.emitBinary());
  module.dispose();
  return { bytes: written, ...ledger() };
}

function nameOf(module: binaryen.Module, wanted: string | number): string {
  if (typeof wanted === "number") return binaryen.getFunctionInfo(module.getFunctionByIndex(wanted)).name;
  for (let i = 0; i < module.getNumExports(); i++) {
    const { name, value } = binaryen.getExportInfo(module.getExportByIndex(i));
    if (name === wanted) return value;
  }
  return wanted;
}

/** The blocks, and how deep in the allocator the program is: only the outermost call counts. */
function ledger(): Pick<BruteForce, "imports" | "counts"> {
  const blocks = new Map<number, number>();
  const counts = { allocations: 0, frees: 0, allocatedBytes: 0, liveBytes: 0, liveBlocks: 0 };
  let depth = 0;
  const release = (address: number) => {
    const bytes = blocks.get(address);
    if (bytes === undefined) return;
    blocks.delete(address);
    counts.frees++;
    counts.liveBytes -= bytes;
  };
  const imports = {
    enter: () => {
      depth++;
    },
    leave: (block: number, result: number, size: number, allocates: number) => {
      depth--;
      if (depth > 0 || (allocates === 1 && result === 0)) return;
      if (block !== 0) release(block);
      if (allocates === 1) {
        release(result);
        blocks.set(result, size >>> 0);
        counts.allocations++;
        counts.allocatedBytes += size >>> 0;
        counts.liveBytes += size >>> 0;
      }
      counts.liveBlocks = blocks.size;
    },
  };
  return { imports, counts };
}
