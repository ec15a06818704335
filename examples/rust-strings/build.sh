#!/bin/sh
# Builds words.wasm, with Debian's rustc 1.63, libstd-rust-dev-wasm32 and lld.
set -e
cd "$(dirname "$0")"
/usr/bin/rustc --target wasm32-unknown-unknown --crate-type cdylib --edition 2021 -C linker=wasm-ld \
  -C opt-level=s -C lto=fat -C panic=abort -C strip=debuginfo words.rs -o words.wasm
