// Measures notes with a Rust program, in a debug build. One of the two functions below forgets to free them.
import { readFileSync } from "node:fs";

const bytes = readFileSync(new URL("notes.wasm", import.meta.url));
const { instance } = await WebAssembly.instantiate(bytes);
const { memory, text_new, note_new, note_length, note_free } = instance.exports;

function parse(text) {
  const encoded = new TextEncoder().encode(text);
  const address = text_new(encoded.length);
  new Uint8Array(memory.buffer, address, encoded.length).set(encoded);
  return note_new(address, encoded.length);
}

function measure(text) {
  const note = parse(text);
  const length = note_length(note);
  note_free(note);
  return length;
}

function isLong(text) {
  const note = parse(text);
  return note_length(note) > 60; // the note is never freed
}

let total = 0;
let long = 0;
for (let i = 0; i < 500; i++) {
  const text = `note ${i}\n${"so many words ".repeat(1 + (i % 7))}`;
  total += measure(text);
  if (isLong(text)) long++;
}
console.log(`${total} characters, ${long} long notes`);
