// Counts the words of a text with a small C library that misuses its memory.
import { readFile } from "node:fs/promises";

const { instance } = await WebAssembly.instantiate(await readFile(new URL("words.wasm", import.meta.url)));
const { memory, words_new, words_text, words_count, words_free } = instance.exports;

function countWords(text) {
  const bytes = new TextEncoder().encode(text);
  const words = words_new(bytes.length);
  new Uint8Array(memory.buffer).set(bytes, words_text(words));
  const count = words_count(words, bytes.length);
  words_free(words);
  return count;
}

console.log(countWords("linear memory never shrinks"), "words");
