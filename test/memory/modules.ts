// What the tests of the library share: modules from text, and what the engine can do.
import wabt from "wabt";

const tools = wabt();

/** Compiles a module written in the text format. */
export async function wat(text: string): Promise<WebAssembly.Module> {
  const parsed = (await tools).parseWat("test.wat", text, { threads: true, memory64: true });
  try {
    return new WebAssembly.Module(Uint8Array.from(parsed.toBinary({}).buffer));
  } finally {
    parsed.destroy();
  }
}

/** Whether the engine has memories with 64-bit addresses. */
export const hasAddresses64 = (() => {
  try {
    new WebAssembly.Memory({ address: "i64", initial: 1n } as unknown as WebAssembly.MemoryDescriptor);
    return true;
  } catch {
    return false;
  }
})();
