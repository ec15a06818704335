// Text in and out of bytes: UTF-8 and UTF-16, by length or NUL-terminated, and hex dumps.

// Made at first use: audio worklets have no TextDecoder.
let decoder: TextDecoder | undefined;
let encoder: TextEncoder | undefined;

/** UTF-8 as text. Bytes that are not UTF-8 become U+FFFD; a byte order mark stays. */
export function decodeUtf8(bytes: Uint8Array): string {
  decoder ??= new TextDecoder("utf-8", { ignoreBOM: true });
  try {
    return decoder.decode(bytes);
  } catch {
    // Browsers refuse shared and resizable buffers.
    return decoder.decode(bytes.slice());
  }
}

/** How many bytes `text` takes in UTF-8. A lone surrogate counts as the U+FFFD that it becomes. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    if (unit < 0x800) {
      bytes += 1;
    } else {
      bytes += 2;
      // The two halves of a pair make 4 bytes together, which is 2 each.
      if (unit >= 0xd800 && unit < 0xdc00 && index + 1 < text.length) {
        const next = text.charCodeAt(index + 1);
        if (next >= 0xdc00 && next < 0xe000) index++;
      }
    }
  }
  return bytes;
}

/** Writes `text` as UTF-8 to the start of `target`, which has room for it, and returns the number of bytes. */
export function encodeUtf8(text: string, target: Uint8Array): number {
  encoder ??= new TextEncoder();
  try {
    return encoder.encodeInto(text, target).written;
  } catch {
    const bytes = encoder.encode(text);
    target.set(bytes);
    return bytes.length;
  }
}

/** The most arguments that one call takes; engines allow more, but not without end. */
const CHUNK = 4096;

/** UTF-16 (little-endian) as text, lone surrogates included. */
export function decodeUtf16(data: DataView, start: number, byteLength: number): string {
  let text = "";
  const units: number[] = [];
  for (let at = start; at < start + byteLength; at += 2) {
    units.push(data.getUint16(at, true));
    if (units.length === CHUNK) {
      text += String.fromCharCode.apply(undefined, units);
      units.length = 0;
    }
  }
  return text + String.fromCharCode.apply(undefined, units);
}

/** Writes `text` as UTF-16 (little-endian), lone surrogates included. */
export function encodeUtf16(text: string, data: DataView, start: number): void {
  for (let index = 0; index < text.length; index++) {
    data.setUint16(start + 2 * index, text.charCodeAt(index), true);
  }
}

/** 16 bytes a line: address, bytes, ASCII. Lines equal to the one before them become one `*`. */
export function hexDump(bytes: Uint8Array, address: number): string {
  const digits = Math.max(8, (address + bytes.length).toString(16).length);
  const lines: string[] = [];
  let previous = "";
  let repeats = false;
  for (let offset = 0; offset < bytes.length; offset += 16) {
    const line = bytes.subarray(offset, offset + 16);
    const pairs = Array.from(line, (byte) => byte.toString(16).padStart(2, "0"));
    const halves = `${pairs.slice(0, 8).join(" ")}  ${pairs.slice(8).join(" ")}`.padEnd(48);
    const ascii = Array.from(line, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "."));
    const shown = `${halves}  |${ascii.join("")}|`;
    const last = offset + 16 >= bytes.length;
    if (shown === previous && !last) {
      if (!repeats) lines.push("*");
      repeats = true;
      continue;
    }
    repeats = false;
    previous = shown;
    lines.push(`${(address + offset).toString(16).padStart(digits, "0")}  ${shown}`);
  }
  return lines.join("\n");
}
