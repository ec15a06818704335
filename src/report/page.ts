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

const proseWidth = 100;

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

  /** Rows as aligned columns; when they don't fit, the columns that may be cut share what is left. */
  table(columns: readonly Column[], rows: readonly (readonly string[])[], indent = 2): void {
    const widths = columns.map((_, c) => Math.max(0, ...rows.map((row) => length(row[c] ?? ""))));
    // A column without any text takes no room.
    const shown = columns.map((_, c) => c).filter((c) => widths[c]! > 0);
    const gap = 2;
    let excess = indent + shown.reduce((sum, c) => sum + widths[c]! + gap, -gap) - this.width;
    const flexible = shown.filter((c) => columns[c]!.cut).sort((a, b) => widths[b]! - widths[a]!);
    const flexibleWidth = flexible.reduce((sum, c) => sum + widths[c]!, 0);
    const fair = Math.floor((flexibleWidth - excess) / Math.max(1, flexible.length));
    for (const c of flexible) {
      // The widest gives first, down to an even share.
      const less = Math.max(0, Math.min(excess, widths[c]! - Math.max(8, fair)));
      widths[c]! -= less;
      excess -= less;
    }
    for (const row of rows) {
      const cells = shown.map((c) => {
        const { align, cut, style = (text: string) => text } = columns[c]!;
        const text = row[c] ?? "";
        const fitted =
          cut === "start" ? cutStart(text, widths[c]!) : cut === "end" ? cutEnd(text, widths[c]!) : text;
        const padding = " ".repeat(Math.max(0, widths[c]! - length(fitted)));
        return align === "right" ? padding + style(fitted) : style(fitted) + padding;
      });
      this.line(" ".repeat(indent) + cells.join(" ".repeat(gap)));
    }
  }

  toString(): string {
    return `${this.#lines.join("\n")}\n`;
  }
}

function length(text: string): number {
  return [...text].length;
}
