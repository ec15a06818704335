/**
 * Finds the memories that were there before linmem came, as a debugger would. Of these only the size can be known.
 * It takes a collection of garbage and a walk over the heap, so it is done once.
 */
import { createRequire } from "node:module";
import { runInThisContext } from "node:vm";

type Inspector = typeof import("node:inspector");
type RemoteObject = { objectId?: string };

// What the protocol evaluates, it evaluates in the main context.
const main = runInThisContext("globalThis") as Record<symbol, unknown>;
const key = Symbol.for("linmem.search");
const holderInMain = 'globalThis[Symbol.for("linmem.search")]';

/**
 * @param prototype `WebAssembly.Memory.prototype` of the realm to search.
 * @returns Nothing where there is no inspector.
 */
export function findMemories(prototype: object): WebAssembly.Memory[] {
  const found: WebAssembly.Memory[] = [];
  try {
    const { Session } = createRequire(import.meta.url)("node:inspector") as Inspector;
    const session = new Session();
    session.connect();
    /** The answer comes before `post` returns, for a session of the same thread. */
    const ask = (method: string, parameters: object, member: string): string => {
      let object: RemoteObject | undefined;
      session.post(method, parameters, (_error: unknown, answer?: object) => {
        object = (answer as Record<string, RemoteObject> | undefined)?.[member];
      });
      return object?.objectId ?? "";
    };
    try {
      Object.defineProperty(main, key, { value: { prototype, found }, configurable: true });
      const prototypeObjectId = ask(
        "Runtime.evaluate",
        { expression: `${holderInMain}.prototype` },
        "result",
      );
      const objectId = ask("Runtime.queryObjects", { prototypeObjectId }, "objects");
      const functionDeclaration = `function () { ${holderInMain}.found.push(...this); }`;
      ask("Runtime.callFunctionOn", { objectId, functionDeclaration }, "result");
    } finally {
      delete main[key];
      session.disconnect();
    }
  } catch {
    // Without an inspector these memories stay unknown, and whoever measures says that it saw nothing.
  }
  return found;
}
