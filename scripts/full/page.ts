// bench/FULL.md: one section for each job, that of its last run. The page itself is what is remembered: a run replaces
// the section of its job and leaves the others as they are.

export interface Result {
  /** Of the job: the heading of its section. */
  name: string;
  outcome: "passed" | "failed" | "stopped";
  /** When it began. */
  date: Date;
  minutes: number;
  /** What was run: of the repository, and of Node. */
  commit: string;
  node: string;
  command: string;
  /** The lines of its output that say how it went. */
  said: readonly string[];
}

const head = `# Full run

What takes too long for CI, as \`npm run full\` saw it last: each section is replaced when its part is run again.
`;

/** The page with the section of a result replaced; in the order of `names`, and with no section that they don't have. */
export function withResult(page: string, names: readonly string[], result: Result): string {
  const sections = new Map<string, string>();
  for (const text of page.split(/^## /m).slice(1)) {
    const [name] = text.split("\n", 1) as [string];
    sections.set(name, text.slice(name.length).trim());
  }
  sections.set(result.name, describe(result));
  return [head, ...names.map((name) => `## ${name}\n\n${sections.get(name) ?? "Not run yet."}\n`)].join("\n");
}

function describe({ outcome, date, minutes, commit, node, command, said }: Result): string {
  const after =
    outcome === "stopped" ? `**Stopped** after ${minutes} min` : `${bold(outcome)} in ${minutes} min`;
  const facts = [
    after,
    date.toISOString().slice(0, 10),
    `commit ${commit}`,
    `Node ${node}`,
    `\`${command}\``,
  ];
  // Indented, not fenced: so no line of it can be taken for a heading.
  return [`${facts.join("; ")}.`, said.map((line) => `    ${line}`).join("\n")].join("\n\n").trim();
}

function bold(outcome: "passed" | "failed"): string {
  return outcome === "passed" ? "Passed" : "**Failed**";
}
