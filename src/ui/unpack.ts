// Reads the data of a report: the counterpart of src/report/html/columns.ts, which describes the bytes. Tests read
// with it as well.
import type { ReportData } from "../report/html/data.js";

/** A report's data with its columns as arrays. */
export type Data = ReportData<Float64Array>;

/** Data that is not what this page was made for. */
export class DataError extends Error {}

/**
 * @throws DataError when the bytes are damaged.
 */
export function unpack(bytes: Uint8Array): Data {
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const jsonSize = view.getUint32(0, true);
    const columns: Float64Array[] = [];
    let at = 8 + jsonSize;
    for (let i = view.getUint32(4, true); i > 0; i--) {
      const count = view.getUint32(at, true);
      const size = view.getUint32(at + 4, true);
      columns.push(numbers(bytes.subarray(at + 8, at + 8 + size), count));
      at += 8 + size;
    }
    const json = new TextDecoder().decode(bytes.subarray(8, 8 + jsonSize));
    const data = resolve(JSON.parse(json), columns) as Data;
    if (data.format === "linmem-html" && data.version === 1) return data;
  } catch (error) {
    throw new DataError(`the data of this report is damaged (${(error as Error).message})`);
  }
  throw new DataError("the data of this report is of another version");
}

/** @throws RangeError when there are fewer bytes than numbers. */
function numbers(bytes: Uint8Array, count: number): Float64Array {
  if (count > bytes.length) throw new RangeError("a column is cut off");
  const values = new Float64Array(count);
  let at = 0;
  for (let i = 0; i < count; i++) {
    let byte = bytes[at++]!;
    if (byte < 0x80) {
      values[i] = (byte >> 1) ^ -(byte & 1);
      continue;
    }
    let value = byte & 0x7f;
    for (let factor = 0x80; byte >= 0x80; factor *= 0x80) {
      byte = bytes[at++] ?? 0;
      value += (byte & 0x7f) * factor;
    }
    values[i] = value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
  if (at > bytes.length) throw new RangeError("a column is cut off");
  return values;
}

/** `value` with references to columns replaced by the columns. */
function resolve(value: unknown, columns: readonly Float64Array[]): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    if (typeof value[0] === "object") return value.map((item) => resolve(item, columns));
    return value;
  }
  const { column } = value as { column?: number };
  if (column !== undefined) {
    if (!columns[column]) throw new RangeError(`there is no column ${column}`);
    return columns[column];
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item, columns)]));
}

/** The bytes behind a text in base64 of compressed bytes ("deflate-raw"). */
export async function inflate(base64: string): Promise<Uint8Array> {
  const stream = new Blob([fromBase64(base64)]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  // Newer than the TypeScript that compiles this.
  const { fromBase64: native } = Uint8Array as { fromBase64?: (text: string) => Uint8Array<ArrayBuffer> };
  if (native) return native.call(Uint8Array, text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
