import asc from "assemblyscript/asc";

/** Compiles AssemblyScript for speed, without a collector unless `runtime` says so; returns the module's bytes. */
export async function compileAssembly(
  source: string,
  runtime: "stub" | "minimal" = "stub",
): Promise<Uint8Array<ArrayBuffer>> {
  const { error, binary, stderr } = await asc.compileString(source, {
    optimizeLevel: 3,
    noAssert: true,
    runtime,
    use: ["abort="],
  });
  if (error || !binary) throw new Error(`AssemblyScript of a benchmark does not compile: ${stderr}`);
  return Uint8Array.from(binary);
}
