/**
 * Objects of classes that a module's glue code gives to JavaScript (wasm-bindgen's, embind's, or written by hand):
 * what their constructors allocated, by class and by the call that made them. They are released by hand, with
 * `free()` or `delete()`, and so are what is forgotten most.
 */
import { callerFrame } from "./frames.js";
import type { ContextReport, FrameReport, ModuleReport, ObjectReport } from "./report.js";
import { type Route, routeOf } from "./routed-context.js";

const constructorName = /^new (.+)$/;
/** A static method that makes an object: `Image.fromBytes`. */
const factoryName = /^(\p{Lu}[\w$]*)\.[\w$]+$/u;

/**
 * The class whose constructor or static method called the module: the innermost in the script that lies right outside
 * of wasm. The program's own classes, in scripts further out, are not meant.
 */
function classOf(
  stack: readonly FrameReport[],
  ofEmscripten: boolean,
): { class: string; call: string } | undefined {
  let inside = stack.length;
  while (inside > 0 && stack[inside - 1]!.kind !== "wasm") inside--;
  if (inside === 0 || inside === stack.length) return undefined;
  const outside = stack.slice(inside);
  // embind makes functions from text, which have no file
  const glue = outside.find(({ file }) => file !== "") ?? outside[0];
  if (!glue) return undefined;
  for (const frame of outside) {
    if (frame.file !== glue.file && frame.file !== "") break;
    const call = frame.function;
    const name = (constructorName.exec(call) ?? factoryName.exec(call))?.[1];
    if (name !== undefined) return { class: name, call };
  }
  const made = outside.find(({ file, makes }) => makes !== undefined && file === glue.file);
  if (made)
    return { class: made.makes!, call: made.function.replace(/^(?:module\.)?exports\./, "") || made.makes! };
  const factory = calledAsStatic(outside, glue.file);
  if (factory) return factory;
  // embind's functions have no names that tell, but their callers know what they call
  const caller = glue.file === "" || ofEmscripten ? callerFrame(stack) : undefined;
  const [, name] = /(?:^|\.)([^.]+)\.[^.]+$/.exec(caller?.calls ?? "") ?? [];
  return name === undefined ? undefined : { class: name, call: /[^.]+\.[^.]+$/.exec(caller!.calls!)![0] };
}

/** After Node 22 V8 calls a static method by its own name only; whoever calls it has the class before it. */
function calledAsStatic(
  outside: readonly FrameReport[],
  glueFile: string,
): { class: string; call: string } | undefined {
  const beyond = outside.findIndex(({ file }) => file !== glueFile && file !== "");
  const calls = outside[beyond]?.calls;
  const [, name, method] = /(?:^|\.)(\p{Lu}[\w$]*)\.([\w$]+)$/u.exec(calls ?? "") ?? [];
  if (name === undefined || method !== outside[beyond - 1]?.function) return undefined;
  return { class: name, call: `${name}.${method}` };
}

interface Sum extends ObjectReport {
  /** Contexts nearest to the exported function: that of the object's own block is among them. */
  nearest: { depth: number; allocations: Set<number>; live: Set<number> };
}

/** Functions of the module between the allocator and JavaScript. */
function depthOf({ stack }: ContextReport, hooked: ReadonlySet<number>): number {
  return stack.filter(({ kind, line, inlined }) => kind === "wasm" && !inlined && !hooked.has(line)).length;
}

/** Objects by class and caller, most live bytes first. */
export function moduleObjects({
  contexts,
  allocator,
  toolchain,
}: Pick<ModuleReport, "contexts" | "allocator" | "toolchain">): ObjectReport[] {
  const ofEmscripten = /emscripten/i.test(toolchain);
  const hooked = new Set(allocator.map(({ index }) => index));
  const sums = new Map<string, Sum>();
  const classes = new Map<Route, ReturnType<typeof classOf>>();
  for (const context of contexts) {
    const route = routeOf(context);
    if (!classes.has(route)) classes.set(route, classOf(route.stack, ofEmscripten));
    const of = classes.get(route);
    if (of === undefined) continue;
    const frame = route.caller;
    const key = JSON.stringify([of.call, frame?.function, frame?.file, frame?.line]);
    let sum = sums.get(key);
    if (!sum) {
      const nearest = {
        depth: Number.POSITIVE_INFINITY,
        allocations: new Set<number>(),
        live: new Set<number>(),
      };
      sum = {
        ...of,
        ...(frame && { frame }),
        made: null,
        live: null,
        liveAtMost: 0,
        liveBytes: 0,
        liveBlocks: 0,
        contexts: [],
        nearest,
      };
      sums.set(key, sum);
    }
    sum.liveBytes += context.liveBytes;
    sum.liveBlocks += context.liveBlocks;
    sum.contexts.push(context.id);
    const depth = depthOf(context, hooked);
    if (depth > sum.nearest.depth) continue;
    if (depth < sum.nearest.depth) sum.nearest = { depth, allocations: new Set(), live: new Set() };
    sum.nearest.allocations.add(context.allocations);
    sum.nearest.live.add(context.liveBlocks);
  }
  return [...sums.values()]
    .sort((a, b) => b.liveBytes - a.liveBytes)
    .map(({ nearest: { depth, allocations, live }, ...sum }) => {
      // each object has one block of its own, among these; where they disagree, nothing tells which it is
      const made = allocations.size === 1 ? [...allocations][0] : null;
      const liveAtMost = Math.max(...live);
      // what the glue code itself allocates and releases, a text say, was handed to the constructor
      if (depth === 0 && liveAtMost === 0 && sum.liveBlocks > 0)
        return { ...sum, made, live: null, liveAtMost: Math.min(made ?? sum.liveBlocks, sum.liveBlocks) };
      return { ...sum, made, live: live.size === 1 ? [...live][0] : null, liveAtMost };
    });
}
