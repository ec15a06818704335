/**
 * Builds the modules of the strip matrix, each with its names and, where the toolchain writes it, with DWARF, which tells
 * what was inlined. Toolchains that are missing are said and left out. Results stay in a cache folder, so a second run builds only what is new.
 *
 * Environment: EMCC (Emscripten), CLANG, RUSTC (with standard library for wasm32), RUSTC_SOURCE (one with its
 * sources, for `cargo -Zbuild-std`), ZIG (several, separated by colons), MIMALLOC (folder with mimalloc's sources),
 * ASSEMBLYSCRIPT (versions to install from npm, separated by spaces).
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** A module to build. */
interface Recipe {
  /** `toolchain version / allocator / level`, which is also its file's name. */
  toolchain: string;
  allocator: string;
  level: string;
  /** Writes the module to `out`. */
  build(out: string, scratch: string): void;
}

export interface BuiltModule {
  file: string;
  toolchain: string;
  allocator: string;
  level: string;
}

const programs = fileURLToPath(new URL("programs/", import.meta.url));
const { env } = process;

function run(command: string, args: readonly string[], more: NodeJS.ProcessEnv = {}): string {
  const quiet = { encoding: "utf8", timeout: 400_000 } as const;
  return execFileSync(command, [...args], {
    ...quiet,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...env, ...more },
  });
}

function version(command: string, ...args: string[]): string | undefined {
  try {
    return /\d+\.\d+(?:\.\d+)?/.exec(run(command, args))?.[0];
  } catch {
    return undefined;
  }
}

const levels = ["O0", "O1", "O2", "O3", "Os", "Oz"];

function emscripten(): Recipe[] {
  const command = env.EMCC ?? "emcc";
  const found = version(command, "--version");
  if (!found) return missing("Emscripten (EMCC)");
  return ["dlmalloc", "emmalloc"].flatMap((allocator) =>
    levels.map((level) => ({
      toolchain: `Emscripten ${found}`,
      allocator,
      level,
      build: (out: string, scratch: string) => {
        const growth = level === "O1" || level === "O3" ? ["-s", "ALLOW_MEMORY_GROWTH"] : [];
        const sources = [join(programs, "words.c"), join(programs, "main.c")];
        const js = join(scratch, "out.js");
        const args = [`-${level}`, "-g2", ...sources, "-s", `MALLOC=${allocator}`, ...growth, "-o", js];
        // from -O2 on a script of Debian's Emscripten asks Node for Debian's packages, where another Node doesn't look
        run(command, args, { NODE_PATH: env.NODE_PATH ?? "/usr/share/nodejs" });
        copyFileSync(join(scratch, "out.wasm"), out);
      },
    })),
  );
}

const wasi = ["--target=wasm32-wasi", "-mexec-model=reactor", "-fno-builtin"];

function clang(): Recipe[] {
  const command = env.CLANG ?? "clang-22";
  const found = version(command, "--version");
  if (!found) return missing("clang (CLANG)");
  const recipe = (allocator: string, level: string, args: readonly string[]): Recipe => ({
    toolchain: `clang ${found}`,
    allocator,
    level,
    build: (out) => {
      const options = ["--no-wasm-opt", `-${level}`, "-g1"];
      run(command, [...wasi, ...options, join(programs, "words.c"), ...args, "-o", out]);
    },
  });
  const plain = ["O0", "O2", "Oz"].map((level) => recipe("dlmalloc (wasi-libc)", level, []));
  const { MIMALLOC: mimalloc } = env;
  if (!mimalloc) return [...plain, ...missing("mimalloc's sources (MIMALLOC)")];
  // without the override wasi-libc's dlmalloc is linked as well, for what its own functions allocate
  const args = [
    "-DMI_MALLOC_OVERRIDE",
    "-DMI_DEBUG=0",
    `-I${join(mimalloc, "include")}`,
    join(mimalloc, "src/static.c"),
  ];
  return [...plain, ...levels.map((level) => recipe("mimalloc", level, args))];
}

function zig(): Recipe[] {
  const commands = (env.ZIG ?? "zig").split(":");
  return commands.flatMap((command) => {
    const found = version(command, "version");
    if (!found) return missing(`Zig (ZIG, ${command})`);
    const minor = Number(found.split(".")[1]);
    const caches = (scratch: string) => ({
      ZIG_GLOBAL_CACHE_DIR: join(tmpdir(), "strip-matrix-zig", found),
      ZIG_LOCAL_CACHE_DIR: scratch,
    });
    const native = ["Debug", "ReleaseSafe", "ReleaseFast", "ReleaseSmall"].map((level) => ({
      toolchain: `Zig ${found}`,
      allocator: "std.heap",
      level,
      build: (out: string, scratch: string) => {
        const kind =
          minor >= 12 ? ["build-exe", "-fno-entry", "-rdynamic"] : ["build-lib", "-dynamic", "-rdynamic"];
        const strip = minor >= 11 ? ["-fno-strip"] : [];
        const args = ["-target", "wasm32-freestanding", "-O", level, ...strip, `-femit-bin=${out}`];
        run(command, [...kind, join(programs, "words.zig"), ...args], caches(scratch));
      },
    }));
    const c = ["O0", "O2", "Oz"].map((level) => ({
      toolchain: `zig cc ${found}`,
      allocator: "wasi-libc",
      level,
      build: (out: string, scratch: string) => {
        const target = ["-target", "wasm32-wasi", "-mexec-model=reactor", "-fno-builtin"];
        const names = minor >= 12 ? ["-fno-sanitize=undefined"] : [];
        run(
          command,
          ["cc", ...target, ...names, `-${level}`, join(programs, "words.c"), "-o", out],
          caches(scratch),
        );
      },
    }));
    return [...native, ...c];
  });
}

function rust(cache: string): Recipe[] {
  const recipes: Recipe[] = [];
  const simple = env.RUSTC ?? "rustc";
  const found = version(simple, "--version");
  if (found) {
    const common = ["--target", "wasm32-unknown-unknown", "--crate-type", "cdylib", "--edition", "2021"];
    for (const level of ["0", "1", "2", "3", "s", "z", "3 fat LTO"]) {
      const lto = level.endsWith("LTO") ? ["-C", "lto=fat"] : [];
      const optimised = ["-C", `opt-level=${level[0]}`, ...lto, "-C", "debuginfo=1"];
      recipes.push({
        toolchain: `Rust ${found}`,
        allocator: "dlmalloc (std)",
        level: `O${level}`,
        build: (out) => {
          const source = join(programs, "rust/src/lib.rs");
          run(simple, [...common, ...optimised, "-C", "linker=wasm-ld", source, "-o", out]);
        },
      });
    }
  } else recipes.push(...missing("rustc (RUSTC)"));
  const sources = env.RUSTC_SOURCE;
  const newer = sources && version(sources, "--version");
  if (!newer) return [...recipes, ...missing("rustc with sources (RUSTC_SOURCE)")];
  for (const feature of ["", "dlmalloc", "talc", "talc-wasm", "wee_alloc", "lol_alloc"]) {
    for (const level of ["0", "2", "3", "s", "z", "3 fat LTO"]) {
      if (feature !== "" && level === "2") continue;
      recipes.push({
        toolchain: `Rust ${newer}`,
        allocator: feature || "dlmalloc (std)",
        level: `O${level}`,
        build: (out) => {
          const target = join(cache, "cargo");
          const settings = {
            RUSTC: sources,
            RUSTC_BOOTSTRAP: "1",
            CARGO_TARGET_DIR: target,
            CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: "wasm-ld-22",
            CARGO_PROFILE_RELEASE_OPT_LEVEL: level[0],
            CARGO_PROFILE_RELEASE_LTO: level.endsWith("LTO") ? "fat" : "false",
            CARGO_PROFILE_RELEASE_DEBUG: "1",
            CARGO_PROFILE_RELEASE_STRIP: "none",
            CARGO_PROFILE_RELEASE_PANIC: "abort",
          };
          const std = ["-Zbuild-std=std,panic_abort", "--features", feature];
          const manifest = ["--manifest-path", join(programs, "rust/Cargo.toml")];
          run(
            "cargo",
            ["build", "--release", "--target", "wasm32-unknown-unknown", ...manifest, ...std],
            settings,
          );
          copyFileSync(join(target, "wasm32-unknown-unknown/release/words.wasm"), out);
        },
      });
    }
  }
  return recipes;
}

function assemblyScript(cache: string): Recipe[] {
  const own = fileURLToPath(new URL("../../node_modules/assemblyscript", import.meta.url));
  const versions = (env.ASSEMBLYSCRIPT ?? "").split(/\s+/).filter((text) => text !== "");
  const installed = versions.flatMap((wanted) => {
    const folder = join(cache, "assemblyscript", wanted);
    const place = join(folder, "node_modules/assemblyscript");
    try {
      if (!existsSync(place)) {
        mkdirSync(folder, { recursive: true });
        run("npm", [
          "install",
          "--prefix",
          folder,
          "--no-audit",
          "--no-fund",
          "--ignore-scripts",
          `assemblyscript@${wanted}`,
        ]);
      }
      return [{ place, version: wanted }];
    } catch {
      return missing(`AssemblyScript ${wanted}`);
    }
  });
  return [{ place: own, version: "0.28" }, ...installed].flatMap(({ place, version: found }) => {
    const minor = Number(found.split(".")[1]);
    const bin = [join(place, "bin/asc.js"), join(place, "bin/asc")].find(existsSync);
    if (!bin) return missing(`AssemblyScript ${found}`);
    const runtimes = minor >= 18 ? ["incremental", "minimal", "stub"] : ["full", "half", "stub"];
    return runtimes.flatMap((runtime) =>
      [[], ["-O1"], ["-O2"], ["-O3"], ["-Oz"], ["-O3", "--converge"]].map((optimise) => ({
        toolchain: `AssemblyScript ${found}`,
        allocator: runtime,
        level: optimise.join(" ") || "O0",
        build: (out: string, scratch: string) => {
          copyFileSync(join(programs, "words.assemblyscript"), join(scratch, "words.ts"));
          const exported = minor >= 18 ? ["--exportRuntime", "--outFile"] : ["--binaryFile"];
          const args = ["--runtime", runtime, ...optimise, "--debug", ...exported, "out.wasm"];
          run(process.execPath, [bin, "words.ts", "--baseDir", scratch, ...args]);
          copyFileSync(join(scratch, "out.wasm"), out);
        },
      })),
    );
  });
}

function missing(what: string): never[] {
  process.stderr.write(`strip-matrix: without ${what}, which is not here\n`);
  return [];
}

/**
 * Builds what isn't in `cache` yet; returns all that is.
 *
 * @param only a part of `toolchain, allocator, level`: others are left out
 */
export function buildModules(cache: string, only = ""): BuiltModule[] {
  const folder = join(cache, "built");
  mkdirSync(folder, { recursive: true });
  const recipes = [...emscripten(), ...clang(), ...zig(), ...rust(cache), ...assemblyScript(cache)];
  return recipes.flatMap(({ toolchain, allocator, level, build }) => {
    if (!`${toolchain}, ${allocator}, ${level}`.includes(only)) return [];
    const name = `${toolchain}, ${allocator}, ${level}`.replaceAll(/[^\w.,()-]+/g, " ").trim();
    const file = join(folder, `${name}.wasm`);
    const failed = `${file}.failed`;
    if (existsSync(failed)) return [];
    if (!existsSync(file)) {
      const scratch = mkdtempSync(join(tmpdir(), "strip-matrix-"));
      try {
        build(join(scratch, "module.wasm"), scratch);
        copyFileSync(join(scratch, "module.wasm"), `${file}.part`);
        renameSync(`${file}.part`, file);
      } catch (error) {
        const said = String((error as { stderr?: unknown }).stderr ?? error).trim();
        process.stderr.write(
          `strip-matrix: ${name} was not built: ${said.split("\n").slice(0, 3).join(" ")}\n`,
        );
        mkdirSync(failed);
        return [];
      } finally {
        rmSync(scratch, { recursive: true, force: true });
      }
    }
    return [{ file, toolchain, allocator, level }];
  });
}
