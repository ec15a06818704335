#!/bin/sh
# Builds plugin.wasm, with Debian's clang-22 and lld-22.
set -e
cd "$(dirname "$0")"
clang-22 --target=wasm32 -O2 -nostdlib -Wl,--no-entry -Wl,--strip-debug -Wl,-z,stack-size=16384 \
  -Wl,--export=inbox -Wl,--export=greet -Wl,--export=hoard -Wl,--export=stray plugin.c -o plugin.wasm
