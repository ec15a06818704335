// What heap/core/access.ts declares: `this` is the address of the heap's header.

@external("heap", "grow")
declare function growTo(end: u32): u32;

@unmanaged
export class Access {
  @inline
  begin(): void {}

  @inline
  word(index: u32): u32 {
    return load<u32>(changetype<usize>(this) + (index << 2));
  }

  @inline
  setWord(index: u32, value: u32): void {
    store<u32>(changetype<usize>(this) + (index << 2), value);
  }

  @inline
  wordAt(table: u32, index: u32): u32 {
    return load<u32>(changetype<usize>(this) + (index << 2) + (table << 2));
  }

  @inline
  setWordAt(table: u32, index: u32, value: u32): void {
    store<u32>(changetype<usize>(this) + (index << 2) + (table << 2), value);
  }

  @inline
  load(address: u32, offset: u32): u32 {
    return load<u32>(address + offset);
  }

  @inline
  store(address: u32, value: u32, offset: u32): void {
    store<u32>(address + offset, value);
  }

  @inline
  loadHalf(address: u32, offset: u32): u32 {
    return load<u16>(address + offset);
  }

  @inline
  storeHalf(address: u32, value: u32, offset: u32): void {
    store<u16>(address + offset, value);
  }

  @inline
  loadByte(address: u32, offset: u32): u32 {
    return load<u8>(address + offset);
  }

  @inline
  storeByte(address: u32, value: u32, offset: u32): void {
    store<u8>(address + offset, value);
  }

  /** Both words at once: neither sum passes 2^32, so nothing is carried from the first to the second. */
  @inline
  add(index: u32, first: u32, second: u32): void {
    const sum = load<u64>(changetype<usize>(this) + (index << 2)) + (<u64>first | ((<u64>second) << 32));
    store<u64>(changetype<usize>(this) + (index << 2), sum);
  }

  @inline
  subtract(index: u32, first: u32, second: u32): void {
    const rest = load<u64>(changetype<usize>(this) + (index << 2)) - (<u64>first | ((<u64>second) << 32));
    store<u64>(changetype<usize>(this) + (index << 2), rest);
  }

  @inline
  copy(to: u32, from: u32, byteLength: u32): void {
    memory.copy(to, from, byteLength);
  }

  @inline
  clear(address: u32, byteLength: u32): void {
    memory.fill(address, 0, byteLength);
  }

  @inline
  grow(end: u32): bool {
    return growTo(end) != 0;
  }
}
