interface NodeGlobals {
  Buffer?: { from(text: string, encoding: "base64"): Uint8Array };
}

/** Node's own, as it is before a program can replace it: `atob` needs a call for each byte. */
const { Buffer: NodeBuffer } = globalThis as NodeGlobals;

/** The bytes that a text in base64 stands for. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  if (NodeBuffer) return new Uint8Array(NodeBuffer.from(text, "base64"));
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}
