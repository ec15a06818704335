/** The parts of `npm run bench memory`, each measured in a process of its own. */
export const libraryParts = ["views", "strings", "heap", "fields"] as const;
