import wabt from "wabt";

const tools = wabt();

/** The bytes of a module written in the text format. */
export async function assemble(text: string): Promise<Uint8Array<ArrayBuffer>> {
  // Its types don't know all of its features.
  const features: object = { threads: true, memory64: true, multi_memory: true };
  const parsed = (await tools).parseWat("test.wat", text, features);
  try {
    return Uint8Array.from(parsed.toBinary({}).buffer);
  } finally {
    parsed.destroy();
  }
}
