// Values of the specification's tests: in and out of linear memory by their bits, and as text to compare.
import type { Constant } from "./script.js";

/** Numbers and vectors have bits; references are passed as they are. */
export const numericTypes = ["i32", "i64", "f32", "f64", "v128"] as const;
export type NumericType = (typeof numericTypes)[number];

/** Distance of values in memory, in bytes. */
export const slotSize = 16;

const laneBytes: Record<string, number> = { i8: 1, i16: 2, i32: 4, i64: 8, f32: 4, f64: 8 };

/** The constant's bits, little endian: lanes of a vector, or one number. */
export function writeConstant(view: DataView, at: number, constant: Constant): void {
  const lanes = Array.isArray(constant.value) ? constant.value : [constant.value ?? "0"];
  const bytes = laneBytes[constant.lane_type ?? constant.type];
  lanes.forEach((lane, i) => {
    const bits = BigInt(/^-?\d+$/.test(lane) ? lane : "0");
    for (let byte = 0; byte < bytes; byte++) {
      view.setUint8(at + i * bytes + byte, Number((bits >> BigInt(8 * byte)) & 0xffn));
    }
  });
}

/** A value that was stored, as hexadecimal digits; a NaN that only has to be of a class, by its class. */
export function readValue(view: DataView, at: number, type: NumericType, expected?: Constant): string {
  const lanes = Array.isArray(expected?.value) ? expected.value : [expected?.value];
  const laneType = type === "v128" ? (expected?.lane_type ?? "i32") : type;
  const bytes = laneBytes[laneType];
  const total = type === "v128" ? slotSize : bytes;
  const read: string[] = [];
  for (let i = 0; i * bytes < total; i++) {
    let bits = 0n;
    for (let byte = bytes - 1; byte >= 0; byte--) {
      bits = (bits << 8n) | BigInt(view.getUint8(at + i * bytes + byte));
    }
    const pattern = String(lanes[i] ?? "");
    read.push(pattern.startsWith("nan:") ? nanClass(bits, bytes, pattern) : `0x${bits.toString(16)}`);
  }
  return `${laneType}:${read.join(" ")}`;
}

function nanClass(bits: bigint, bytes: number, pattern: string): string {
  const mantissa = bytes === 4 ? 23n : 52n;
  const exponent = bytes === 4 ? 0xffn : 0x7ffn;
  const quiet = 1n << (mantissa - 1n);
  const payload = bits & ((1n << mantissa) - 1n);
  if (((bits >> mantissa) & exponent) === exponent) {
    if (pattern === "nan:canonical" && payload === quiet) return pattern;
    if (pattern === "nan:arithmetic" && payload & quiet) return pattern;
  }
  return `0x${bits.toString(16)}`;
}

const hostReferences = new Map<string, object>();

/** The host's reference of a number: always the same object. */
function hostReference(number: string): object {
  let reference = hostReferences.get(number);
  if (!reference) hostReferences.set(number, (reference = { host: number }));
  return reference;
}

/** A constant as JavaScript passes it. Of a NaN's bits engines keep what they like: see caller.ts. */
export function toJavaScript(constant: Constant): unknown {
  const view = new DataView(new ArrayBuffer(slotSize));
  switch (constant.type) {
    case "i32":
    case "i64":
    case "f32":
    case "f64":
      writeConstant(view, 0, constant);
      if (constant.type === "i32") return view.getInt32(0, true);
      if (constant.type === "i64") return view.getBigInt64(0, true);
      return constant.type === "f32" ? view.getFloat32(0, true) : view.getFloat64(0, true);
    default:
      return constant.value === undefined || constant.value === "null"
        ? null
        : hostReference(String(constant.value));
  }
}

/** A value that JavaScript got, as text. Functions are told apart by the exports that they are. */
export function describe(value: unknown, exports?: WebAssembly.Exports): string {
  if (Array.isArray(value)) return value.map((item) => describe(item, exports)).join(", ");
  if (typeof value === "function") {
    const names = Object.keys(exports ?? {}).filter((name) => exports?.[name] === value);
    return `function ${names.join("=")}`;
  }
  if (typeof value === "object" && value !== null) {
    const host = (value as { host?: unknown }).host;
    return typeof host === "string" && hostReference(host) === value ? `host ${host}` : "object";
  }
  return `${typeof value} ${Object.is(value, -0) ? "-0" : value}`;
}

/** What the suite expects, as `readValue` writes it; undefined when it leaves a choice. */
export function describeConstant(constant: Constant): string | undefined {
  if (constant.type === "either" || constant.value === undefined) return undefined;
  const laneType = constant.lane_type ?? constant.type;
  if (!(laneType in laneBytes)) return undefined;
  const bytes = laneBytes[laneType];
  const lanes = Array.isArray(constant.value) ? constant.value : [constant.value];
  const text = lanes.map((lane) =>
    lane.startsWith("nan:") ? lane : `0x${BigInt.asUintN(8 * bytes, BigInt(lane)).toString(16)}`,
  );
  return `${laneType}:${text.join(" ")}`;
}
