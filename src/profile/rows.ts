/** Rows per piece: few enough that a small profile takes little, and that the last piece of a large one is a trifle. */
const rowsPerPiece = 1 << 10;

/** Rows of as many numbers each, numbered from 1. Grows by pieces, so that nothing is copied and little is left empty. */
export class Rows {
  readonly #kind: typeof Float64Array | typeof Int32Array;
  readonly #width: number;
  readonly #pieces: (Float64Array | Int32Array)[] = [];
  #count = 0;

  constructor(kind: typeof Float64Array | typeof Int32Array, width: number) {
    this.#kind = kind;
    this.#width = width;
  }

  /** The number of a new row of zeros. */
  add(): number {
    if (this.#count % rowsPerPiece === 0) this.#pieces.push(new this.#kind(rowsPerPiece * this.#width));
    return ++this.#count;
  }

  get(row: number, field: number): number {
    return this.#pieces[Math.floor((row - 1) / rowsPerPiece)]![
      ((row - 1) % rowsPerPiece) * this.#width + field
    ]!;
  }

  set(row: number, field: number, value: number): void {
    this.#pieces[Math.floor((row - 1) / rowsPerPiece)]![((row - 1) % rowsPerPiece) * this.#width + field] =
      value;
  }
}
