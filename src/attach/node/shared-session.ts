// A thread has one session, however many copies of linmem it loads: a module instrumented by one would look
// instrumented already to the other. So the session is kept where all copies, and all realms, can find it.
import type { Session } from "../session.js";

const key = Symbol.for("linmem.session");

type Realm = Record<typeof key, Session | undefined>;

/** Tells other copies of linmem that `realm` reports to `session`. Programs that enumerate don't see it. */
export function shareSession(session: Session, realm: object): void {
  Object.defineProperty(realm, key, { value: session, configurable: true });
}

/** The session that a realm, given by its global object, reports to. */
export function sharedSession(realm: object): Session | undefined {
  return (realm as Realm)[key];
}
