import { importFresh } from "../packages.js";
import type { Workload } from "./index.js";

interface Handle {
  dispose(): void;
}

interface Context {
  evalCode(code: string): unknown;
  unwrapResult(result: unknown): Handle;
  callFunction(callee: Handle, self: Handle, argument: Handle): unknown;
  newNumber(value: number): Handle;
  undefined: Handle;
}

interface QuickJS {
  newQuickJSWASMModule(): Promise<{ newContext(): Context }>;
}

/** Objects, arrays, strings and closures, most of which die at once: the interpreter allocates for each. */
const program = `(function (count) {
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const point = { x: i, y: [i, i + 1, i + 2], name: "p" + i };
    const move = (by) => ({ ...point, x: point.x + by });
    const moved = move(1);
    kept += moved.x + moved.y.map((it) => it * 2).length + (point.name + moved.name).length;
  }
  return kept;
})`;

/** The worst case that is known: an interpreter that does nothing but allocate. */
export const quickjs: Workload = {
  name: "quickjs",
  does: "runs a loop that makes objects, arrays, strings and closures",
  allocator: [
    { role: "malloc", target: "v" },
    { role: "free", target: "M" },
  ],
  async load(id) {
    const { newQuickJSWASMModule } = await importFresh<QuickJS>("quickjs-emscripten/dist/index.mjs", id);
    const context = (await newQuickJSWASMModule()).newContext();
    const run = context.unwrapResult(context.evalCode(program));
    return (count) => {
      const argument = context.newNumber(count);
      context.unwrapResult(context.callFunction(run, context.undefined, argument)).dispose();
      argument.dispose();
    };
  },
};
