/**
 * What opened the connection on which a package is called back. Who opens one is on the stack while it does, and
 * node:diagnostics_channel says so in that very moment; the price is one capture for each connection. Nothing is hooked: to
 * which connection the running callback belongs `executionAsyncResource` and `triggerAsyncId` tell without a hook.
 * Only until something was read from it: from then on whoever the package serves may use it.
 */
import { executionAsyncResource, triggerAsyncId } from "node:async_hooks";
import { subscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import {
  maximumCauses,
  maximumOpeningConnections,
  unwantedConnectionPause,
  unwantedConnections,
} from "../limits.js";
import type { Session } from "../session.js";
import { isProgramsOwn, type Site } from "../stacks.js";

// Taken now: programs replace clocks in their tests.
const now = performance.now.bind(performance);

type Stack = readonly Site[];

/** What connections have inside, as of Node 26. Without it none is found. */
interface Handle {
  getAsyncId?(): number;
}

/** Begins to keep who opens connections; returns what tells it of the running callback, the latest stack first. */
export function watchConnections(session: Session): () => Iterable<Stack> {
  const opening = new Map<WeakRef<Socket>, readonly Stack[]>();
  /** Captures since the last one that was wanted, and when the latest was. */
  let unwanted = 0;
  let latest = Number.NEGATIVE_INFINITY;

  const running = (): readonly Stack[] => {
    try {
      const resource = executionAsyncResource();
      const trigger = triggerAsyncId();
      for (const [reference, causes] of opening) {
        const socket = reference.deref();
        if (!socket || socket.destroyed || socket.bytesRead > 0) {
          opening.delete(reference);
          continue;
        }
        const { _handle: handle } = socket as unknown as { _handle?: Handle | null };
        // a request to connect is triggered by the connection's handle; TLS calls back on the handle itself
        if (handle && (handle === resource || handle.getAsyncId?.() === trigger)) return causes;
      }
    } catch {
      // The program has put something else in its place.
    }
    return [];
  };

  const opened = (message: unknown): void => {
    try {
      const time = now();
      if (unwanted >= unwantedConnections && time < latest + unwantedConnectionPause) return;
      const sites = session.causeOf(opened);
      if (!sites) return;
      unwanted++;
      latest = time;
      const stack = sites.slice(sites.findIndex(({ frame }) => frame.file !== "node:diagnostics_channel"));
      const earlier = stack.some(isProgramsOwn) ? [] : running().slice(0, maximumCauses - 1);
      opening.set(new WeakRef((message as { socket: Socket }).socket), [stack, ...earlier]);
      if (opening.size > maximumOpeningConnections) opening.delete(opening.keys().next().value!);
    } catch {
      // Node would have the program end by what a subscriber throws; this one has no more room on the stack.
    }
  };
  subscribe("net.client.socket", opened);

  return function* () {
    const causes = running();
    if (causes.length > 0) unwanted = 0;
    yield* causes;
  };
}
