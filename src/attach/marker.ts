// Custom sections of a module, added at its end or read, without decoding the rest.
const utf8 = { encoder: new TextEncoder(), decoder: new TextDecoder() };

/** The module with custom sections appended. */
export function appendSections(bytes: Uint8Array, sections: [name: string, data: Uint8Array][]): Uint8Array {
  const parts = [bytes];
  for (const [name, data] of sections) {
    const text = utf8.encoder.encode(name);
    const head = leb128(text.length);
    parts.push(Uint8Array.of(0, ...leb128(head.length + text.length + data.length), ...head, ...text), data);
  }
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Contents of the first custom section of that name in bytes whose sections are well formed. */
export function customSection(bytes: Uint8Array, name: string): Uint8Array | undefined {
  let at = 8;
  const number = () => {
    let result = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      result += (byte & 0x7f) * scale;
      if (!(byte >= 0x80)) return result;
    }
  };
  while (at < bytes.length) {
    const id = bytes[at++];
    const size = number();
    const end = at + size;
    if (id === 0) {
      const length = number();
      if (utf8.decoder.decode(bytes.subarray(at, at + length)) === name)
        return bytes.subarray(at + length, end);
    }
    at = end;
  }
  return undefined;
}

function leb128(value: number): number[] {
  const bytes = [];
  for (; value >= 0x80; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  bytes.push(value);
  return bytes;
}
