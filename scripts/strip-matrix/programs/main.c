// A `main` for toolchains whose runtime starts one.
int main(void) {
  return 0;
}
