/**
 * What started the callback that runs: where the socket, timer or request was made that calls it. Only for `--async-causes`,
 * as every such resource costs a capture, and a hook has its price: Node before 24 calls it for promises too, and a program
 * whose stack is full in the moment in which it makes a timer would end there.
 */
import { createHook, executionAsyncResource, type HookCallbacks } from "node:async_hooks";
import { maximumCauses } from "../limits.js";
import type { Site, Sites } from "../stacks.js";
import { callSitesOf, type FrameHolder, holdStack } from "../v8-stacks.js";

/** Begins to keep causes; returns what tells those of the running callback, the latest first. */
export function watchAsyncCauses(sites: Sites): () => Iterable<readonly Site[]> {
  // By resource, so that causes go with it; ids would need a hook for the end of each.
  const causes = new WeakMap<object, readonly FrameHolder[]>();
  const running = () => causes.get(executionAsyncResource()) ?? [];
  const init: HookCallbacks["init"] = (_id, type, _trigger, resource) => {
    // The engine itself shows what awaits a promise.
    if (type === "PROMISE") return;
    causes.set(resource, [holdStack(init!), ...running().slice(0, maximumCauses - 1)]);
  };
  // Node 20 and 22 don't know `trackPromises`.
  createHook({ init, trackPromises: false } as HookCallbacks).enable();
  return function* () {
    for (const holder of running()) yield sites.of(callSitesOf(holder));
  };
}
