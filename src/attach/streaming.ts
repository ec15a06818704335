/** A response whose body was taken, and a way to make others like it. */
export interface TakenResponse {
  bytes: Uint8Array;
  /** A response with the same status, headers and URL, and this body. */
  respond(bytes: Uint8Array): Response;
}

/**
 * Reads the body of a response that the engine would accept. Undefined for anything else: the engine rejects
 * it with its own error.
 */
export async function takeResponse(source: unknown): Promise<TakenResponse | undefined> {
  const response = await source;
  if (typeof Response !== "function" || !(response instanceof Response)) return undefined;
  const type = response.headers.get("Content-Type");
  if (!response.ok || response.bodyUsed || type?.trim().toLowerCase() !== "application/wasm")
    return undefined;
  const { status, statusText, headers, url } = response;
  return {
    bytes: new Uint8Array(await response.arrayBuffer()),
    respond(bytes) {
      const copy = new Response(bytes as BodyInit, { status, statusText, headers });
      // Names the module in stacks.
      Object.defineProperty(copy, "url", { value: url });
      return copy;
    },
  };
}
