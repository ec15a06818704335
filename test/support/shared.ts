// Test data that is not part of the repository. .ci/run prepares it where it is at hand and names it in
// these variables; a test that needs it skips, and says so, where it is not.

/** The corpus of npm packages that ship WebAssembly, installed. */
export function corpusDirectory(): string | undefined {
  return process.env.LINMEM_CORPUS || undefined;
}

/** The WebAssembly specification tests as `wast2json` wrote them: JSON commands and modules. */
export function specDirectory(): string | undefined {
  return process.env.LINMEM_SPEC || undefined;
}
