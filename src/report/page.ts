import pc from "picocolors";
import { cutEnd, cutStart, wrap } from "./format.js";

export interface TextOptions {
  /** Columns that lines have to fit; without it, as in a pipe, nothing is cut off. */
  width?: number;
  color?: boolean;
  /** Scripts below this folder are shown by their path from it. */
  directory?: string;
}

export type Colors = ReturnType<typeof pc.createColors>;

/** A column of a table: the cells' alignment, and at which end a cell may be cut when the line is too long. */
export interface Column {
  align?: "right";
  cut?: "start" | "end";
  style?: (text: string) => string;
}

export interface ProseOptions {
  indent?: number;
  /** Indent of the lines after the first; as the first without it. */
  hanging?: number;
  style?: (line: string) => string;
}

export type Row = readonly string[];

export interface TableOptions {
  head?: Row;
  indent?: number;
}

const proseWidth = 100;
const columnGap = 2;
const leastWidth = 8;

/** Lines of text in the making. */
export class Page {
  readonly colors: Colors;
  readonly width: number;
  readonly directory: string;
  readonly #lines: string[] = [];

  constructor({ width, color = false, directory = "" }: TextOptions) {
    this.colors = pc.createColors(color);
    this.width = width ?? Number.POSITIVE_INFINITY;
    this.directory = directory;
  }

  line(text = ""): void {
    this.#lines.push(text.trimEnd());
  }

  /** A heading, with an empty line before it. */
  heading(text: string, indent = 0): void {
    this.line();
    this.line(" ".repeat(indent) + this.colors.bold(cutEnd(text, this.width - indent)));
  }

  /** Running text, broken between words. */
  prose(text: string, { indent = 0, hanging, style }: ProseOptions = {}): void {
    const rest = hanging ?? indent;
    const lines = wrap(text, Math.min(this.width, proseWidth) - Math.max(indent, rest));
    lines.forEach((line, i) => {
      this.line(" ".repeat(i === 0 ? indent : rest) + (style ? style(line) : line));
    });
  }

  /** Names and what is said of them, the names in a column of their own. */
  definitions(entries: readonly (readonly [name: string, text: string])[], indent = 2): void {
    const nameWidth = Math.max(0, ...entries.map(([name]) => length(name))) + 2;
    const indentation = " ".repeat(indent);
    for (const [name, text] of entries) {
      const lines = wrap(text, Math.min(this.width, proseWidth) - indent - nameWidth);
      lines.forEach((line, i) => {
        const label = (i === 0 ? name : "").padEnd(nameWidth);
        this.line(indentation + (i === 0 ? this.colors.dim(label) : label) + line);
      });
    }
  }

  /** Rows as aligned columns, below their titles; when they don't fit, the columns that may be cut are. */
  table(columns: readonly Column[], rows: readonly Row[], { head, indent = 2 }: TableOptions = {}): void {
    const all = head ? [head, ...rows] : rows;
    const widths = columns.map((_, c) => Math.max(0, ...all.map((row) => length(row[c] ?? ""))));
    // A column without any text takes no room.
    const shown = columns.map((_, c) => c).filter((c) => widths[c]! > 0);
    const needed = indent + shown.reduce((sum, c) => sum + widths[c]! + columnGap, -columnGap);
    narrow(
      widths,
      shown.filter((c) => columns[c]!.cut),
      needed - this.width,
    );
    all.forEach((row, r) => {
      const cells = shown.map((c) => {
        const { align, cut, style = (text: string) => text } = columns[c]!;
        const width = widths[c]!;
        const text = cut === "start" ? cutStart(row[c] ?? "", width) : cutEnd(row[c] ?? "", width);
        const padding = " ".repeat(Math.max(0, width - length(text)));
        const styled = text === "" ? "" : head && r === 0 ? this.colors.dim(text) : style(text);
        return align === "right" ? padding + styled : styled + padding;
      });
      this.line(" ".repeat(indent) + cells.join(" ".repeat(columnGap)));
    });
  }

  toString(): string {
    return `${this.#lines.join("\n")}\n`;
  }
}

/** Takes `excess` from the widths of the columns `flexible`: each time from the widest, down to `leastWidth`. */
function narrow(widths: number[], flexible: readonly number[], excess: number): void {
  for (let left = excess; left > 0; left--) {
    const widest = flexible.reduce<number | undefined>(
      (best, c) => (best === undefined || widths[c]! > widths[best]! ? c : best),
      undefined,
    );
    if (widest === undefined || widths[widest]! <= leastWidth) return;
    widths[widest]!--;
  }
}

function length(text: string): number {
  return [...text].length;
}
