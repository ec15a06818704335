/** Where the packages are that the benchmarks use. They have a folder of their own: nothing else needs them. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

/** The project's folder. This file runs as .cache/bench/bench/packages.js. */
// Benchmarks are compiled to .cache/bench/bench, or run from bench/ as they are.
const toRoot = import.meta.url.includes("/.cache/bench/") ? "../../../" : "../";
export const root = fileURLToPath(new URL(toRoot, import.meta.url));
const folder = `${root}bench/node_modules/`;

/** Installs the packages where that was not done, or not at these versions. */
export function ensurePackages(): void {
  const { dependencies } = JSON.parse(readFileSync(`${root}bench/package.json`, "utf8"));
  const complete = Object.entries(dependencies).every(
    ([name, version]) =>
      hasPackageFile(`${name}/package.json`) &&
      JSON.parse(readPackageFile(`${name}/package.json`).toString()).version === version,
  );
  if (complete) return;
  const args = [
    "install",
    "--prefix",
    `${root}bench`,
    "--force",
    "--omit=optional",
    "--no-audit",
    "--no-fund",
  ];
  args.push("--omit-lockfile-registry-resolved");
  const { status } = spawnSync("npm", args, { stdio: "inherit", shell: process.platform === "win32" });
  if (status !== 0) throw new Error("the packages in bench/package.json could not be installed");
}

/** Path of a file of a package. */
export function packageFile(path: string): string {
  return folder + path;
}

export function hasPackageFile(path: string): boolean {
  return existsSync(packageFile(path));
}

export function readPackageFile(path: string): Buffer {
  return readFileSync(packageFile(path));
}

/** Evaluates an ES module of a package anew for each `id`: modules keep their instance in a variable. */
export function importFresh<T>(path: string, id: string): Promise<T> {
  return import(`${pathToFileURL(packageFile(path)).href}?${id}`);
}

/** Evaluates a CommonJS module of a package anew. */
export function requireFresh<T>(path: string): T {
  const require = createRequire(import.meta.url);
  delete require.cache[require.resolve(packageFile(path))];
  return require(packageFile(path));
}
