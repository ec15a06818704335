// Light or dark: as the system has it, until the reader chooses.

const system = window.matchMedia("(prefers-color-scheme: dark)");
let chosen: "light" | "dark" | undefined;

function apply(): void {
  document.documentElement.dataset.theme = chosen ?? (system.matches ? "dark" : "light");
}

/** Applies what the system has, now and whenever it changes. */
export function followSystem(): void {
  system.addEventListener("change", apply);
  apply();
}

/** Applies what the reader chose; undefined for what the system has. */
export function chooseTheme(theme: "light" | "dark" | undefined): void {
  chosen = theme;
  apply();
}
