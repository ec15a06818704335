/** Functions that are copies of a template, with numbers put into it: entries, of which there are thousands. */

/**
 * Writes copies of templates one behind the other.
 * @param rows for each copy: address of its template, and two numbers to put into it
 * @param first,second how many bytes each of the two takes
 *
 * ```
 *  template: length | how many places for the first number | for the second | those places | bytes
 * ```
 */
export function writeCopies(to: usize, rows: usize, count: u32, first: u32, second: u32): void {
  for (let row = rows, end = rows + 12 * <usize>count; row < end; row += 12) {
    const template = <usize>load<u32>(row);
    const length = <usize>load<u32>(template);
    const places = template + 12;
    const secondPlaces = places + (<usize>load<u32>(template, 4) << 2);
    const bytes = secondPlaces + (<usize>load<u32>(template, 8) << 2);
    memory.copy(to, bytes, length);
    for (let at = places; at < secondPlaces; at += 4) putPadded(to + load<u32>(at), load<u32>(row, 4), first);
    for (let at = secondPlaces; at < bytes; at += 4) putPadded(to + load<u32>(at), load<u32>(row, 8), second);
    to += length;
  }
}

/** Writes a number in that many bytes. */
function putPadded(at: usize, value: u32, width: u32): void {
  const last = at + width - 1;
  for (; at < last; value >>= 7) store<u8>(at++, <u8>value | 0x80);
  store<u8>(at, <u8>value);
}
