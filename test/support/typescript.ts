/** What node takes to run the project's own TypeScript in a process of its own. */
export const withTypeScript = `--import=${new URL("../../scripts/typescript.mjs", import.meta.url).href}`;
