// The host module `spectest` that the suite's scripts import.

export function spectest(print: (text: string) => void): Record<string, WebAssembly.ExportValue> {
  const printer =
    (name: string) =>
    (...values: unknown[]) =>
      print(`${name}(${values.join(", ")})`);
  const table = { initial: 10, maximum: 20, element: "anyfunc" } as const;
  return {
    print: printer("print"),
    print_i32: printer("print_i32"),
    print_i64: printer("print_i64"),
    print_f32: printer("print_f32"),
    print_f64: printer("print_f64"),
    print_i32_f32: printer("print_i32_f32"),
    print_f64_f64: printer("print_f64_f64"),
    global_i32: new WebAssembly.Global({ value: "i32" }, 666),
    global_i64: new WebAssembly.Global({ value: "i64" }, 666n),
    global_f32: new WebAssembly.Global({ value: "f32" }, 666.6),
    global_f64: new WebAssembly.Global({ value: "f64" }, 666.6),
    table: new WebAssembly.Table(table),
    ...table64(),
    memory: new WebAssembly.Memory({ initial: 1, maximum: 2 }),
    shared_memory: new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true }),
  };
}

/** A table with 64-bit addresses, where the engine has such. */
function table64(): Record<string, WebAssembly.Table> {
  try {
    const descriptor = { initial: 10n, maximum: 20n, element: "anyfunc", address: "i64" };
    return { table64: new WebAssembly.Table(descriptor as never) };
  } catch {
    return {};
  }
}
