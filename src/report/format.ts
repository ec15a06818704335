// How figures and names look in text. Names and paths come from the profiled program: they pass `clean`
// before they get near a terminal.

export { countOf, formatBytes, formatCount, formatDuration, formatShare } from "../analyze/figures.js";

/** Without escape sequences and other invisible characters, that could change what a terminal shows. */
export function clean(text: string): string {
  return text
    .replaceAll(/(?:\p{Cc}\[|\u009b)[0-?]*[ -/]*[@-~]/gu, "")
    .replaceAll(/\p{Cc}[\]PX^_][^\p{Cc}]*(\p{Cc}\\?)?/gu, "")
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, "");
}

/** At most `width` characters, cut at the end. */
export function cutEnd(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, Math.max(0, width - 1)).join("")}…`;
}

/** At most `width` characters, cut at the beginning: the end of a path says more. */
export function cutStart(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `…${characters.slice(characters.length - width + 1).join("")}`;
}

/** A space that does not stand between a figure and its unit. */
const breakable = / (?!(?:B|[KMGT]iB|%|ms|s|min|h)(?![A-Za-z]))/;

/** Text as lines of at most `width` characters, broken between words. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(breakable)) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
