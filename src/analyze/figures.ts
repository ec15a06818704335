// How figures look in sentences, wherever they are shown.

const units = ["B", "KiB", "MiB", "GiB", "TiB"];

/** `0 B`, `1.5 KiB`, `64 KiB`, `120 MiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1023.5 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value.toFixed(value >= 99.95 ? 0 : 1).replace(/\.0$/, "")} ${units[unit]}`;
}

/** `1,234,567`, wherever the reader lives: reports are compared. */
export function formatCount(count: number): string {
  return String(count).replaceAll(/\B(?=(\d{3})+$)/g, ",");
}

/** `1 block`, `2,000 blocks`. */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** `88 %` of a whole; `<1 %` rather than 0, `>99 %` rather than a rounded 100. */
export function formatShare(part: number, whole: number): string {
  if (whole <= 0 || part <= 0) return "0 %";
  const percent = (100 * part) / whole;
  if (percent < 1) return "<1 %";
  if (percent < 100 && percent > 99) return ">99 %";
  return `${Math.round(percent)} %`;
}

/** `<1 ms`, `412 ms`, `1.24 s`, `3 min 12 s`, `2 h 5 min`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds > 0 && milliseconds < 1) return "<1 ms";
  if (milliseconds < 999.5) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 59.995) return `${seconds.toFixed(2)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
