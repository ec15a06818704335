// Lines with escape sequences for colours, as an SVG of a terminal window: text that can be selected, the reader's
// own monospaced font, light or dark as the page is. Each run of one style starts at its column and is as wide as
// its characters are many, so that columns align whatever the font.

export interface PictureOptions {
  /** Width of the terminal in characters. */
  columns: number;
  /** Says what the picture shows, for those who don't see it. */
  title: string;
}

const fontSize = 14;
const cell = { width: 8.43, height: 20 };
const margin = 20;
const bar = 36;

/** What picocolors emits, as classes: sequences that begin a style, and those that end it. */
const begins: Record<string, string> = { 1: "b", 2: "d", 31: "red", 33: "yellow", 36: "cyan" };
const ends: Record<string, string[]> = {
  0: Object.values(begins),
  22: ["b", "d"],
  39: ["red", "yellow", "cyan"],
};

const style = `
  .window { fill: #ffffff; stroke: #d0d7de }
  .button { fill: #d0d7de }
  text { fill: #1f2328; white-space: pre;
    font: ${fontSize}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace }
  .b { font-weight: 700 }
  .d { fill: #6a737d }
  .red { fill: #cf222e }
  .yellow { fill: #9a6700 }
  .cyan { fill: #0a6e82 }
  @media (prefers-color-scheme: dark) {
    .window { fill: #0d1117; stroke: #30363d }
    .button { fill: #30363d }
    text { fill: #e6edf3 }
    .d { fill: #8b949e }
    .red { fill: #ff7b72 }
    .yellow { fill: #d29922 }
    .cyan { fill: #56d4dd }
  }
`;

/** An SVG document of a terminal that shows `lines`; what is beyond `columns` is cut off. */
export function terminalPicture(lines: readonly string[], { columns, title }: PictureOptions): string {
  const width = Math.ceil(columns * cell.width) + 2 * margin;
  const height = bar + lines.length * cell.height + margin;
  const rows = lines.map((line, row) => {
    const y = bar + row * cell.height + fontSize;
    return `<text y="${y}" xml:space="preserve">${spans(runs(line))}</text>`;
  });
  const buttons = [0, 1, 2].map((i) => `<circle class="button" cx="${margin + i * 18}" cy="18" r="5.5"/>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>${escapeXml(title)}</title>
<style>${style}</style>
<rect class="window" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
${buttons.join("")}
${rows.join("\n")}
</svg>
`;
}

interface Run {
  column: number;
  text: string;
  classes: string[];
}

/** The parts of a line that are in one style, without the spaces around them. */
function runs(line: string): Run[] {
  const found: Run[] = [];
  let active: string[] = [];
  let column = 0;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is read
  for (const part of line.split(/(\u001b\[\d+m)/)) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the same
    const code = /^\u001b\[(\d+)m$/.exec(part)?.[1];
    if (code !== undefined) {
      const [begun, ended] = [begins[code], ends[code] ?? []];
      active = begun ? [...active, begun] : active.filter((name) => !ended.includes(name));
      continue;
    }
    // Columns of a table are apart by two spaces or more: each is placed by itself.
    for (const { 0: text, index } of part.matchAll(/\S+(?: \S+)*/g)) {
      found.push({ column: column + index, text, classes: active });
    }
    column += part.length;
  }
  return found;
}

/** Between the parts stand their spaces, for whoever copies the text. */
function spans(found: readonly Run[]): string {
  let end = 0;
  let all = "";
  for (const { column, text, classes } of found) {
    const x = round(margin + column * cell.width);
    const names = classes.length > 0 ? ` class="${classes.join(" ")}"` : "";
    const wide = round(text.length * cell.width);
    all += " ".repeat(column - end);
    all += `<tspan x="${x}" textLength="${wide}"${names}>${escapeXml(text)}</tspan>`;
    end = column + text.length;
  }
  return all;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
