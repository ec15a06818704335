#!/bin/sh
# Builds notes.wasm without optimisation and with DWARF, with Debian's rustc 1.63, libstd-rust-dev-wasm32, lld,
# llvm-14 and llvm-22. Rust's own library comes with 6 MB of DWARF, which is left out to keep the file small: drop
# `--sysroot` to have it.
set -e
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
libraries=lib/rustlib/wasm32-unknown-unknown/lib
mkdir -p "$work/$libraries" "$work/objects"
for library in /usr/$libraries/*.rlib; do
  cd "$work/objects"
  llvm-ar-14 x "$library"
  for object in *.o; do /usr/lib/llvm-22/bin/llvm-objcopy --strip-debug "$object"; done
  llvm-ar-14 qc "$work/$libraries/$(basename "$library")" lib.rmeta ./*.o
  rm ./*
  cd - > /dev/null
done
/usr/bin/rustc --sysroot "$work" --target wasm32-unknown-unknown --crate-type cdylib --edition 2021 -g \
  -C linker=wasm-ld --remap-path-prefix "$PWD=examples/rust-debug" notes.rs -o notes.wasm
chmod -x notes.wasm
