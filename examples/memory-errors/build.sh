#!/bin/sh
# clang 22 with wasi-libc (Debian: clang-22 lld-22 wasi-libc libclang-rt-22-dev-wasm32)
cd "$(dirname "$0")" && clang-22 --target=wasm32-wasi --no-wasm-opt -g -O1 -fno-builtin -ffile-prefix-map="$PWD=examples/memory-errors" \
  -mexec-model=reactor words.c -o words.wasm
