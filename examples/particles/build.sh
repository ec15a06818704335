#!/bin/sh
# Builds particles.wasm, with Debian's clang-22 and lld-22.
set -e
cd "$(dirname "$0")"
clang-22 --target=wasm32 -O2 -nostdlib -Wl,--no-entry -Wl,--strip-debug -Wl,-z,stack-size=16384 -Wl,--import-memory \
  -Wl,--export=__heap_base -Wl,--export=set_wind -Wl,--export=step -Wl,--export=draw particles.c -o particles.wasm
