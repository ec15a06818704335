#!/bin/sh
# Builds filter.wasm, with Debian's clang-22, lld-22, libclang-rt-22-dev-wasm32 and wasi-libc.
set -e
cd "$(dirname "$0")"
clang-22 --target=wasm32-wasi --no-wasm-opt -mexec-model=reactor -O2 -Wl,--strip-debug -Wl,--max-memory=67108864 \
  -Wl,--export=malloc -Wl,--export=free -Wl,--export=realloc \
  -Wl,--export=grayscale -Wl,--export=blur -Wl,--export=histogram filter.c -o filter.wasm
