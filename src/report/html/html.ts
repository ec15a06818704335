// A report as one HTML file that loads nothing: style, script and data are in it. The data are compressed and in
// base64, so nothing that a profile says is ever parsed as markup; its title, the only text outside, is escaped. The
// content security policy allows this style and this script, by their hashes, and no others, and no connections.
import { clean } from "../format.js";
import { pageScript, pageScriptHash, pageStyle, pageStyleHash } from "../generated/page.js";
import { type HtmlProfile, packReport } from "./pack.js";

export interface HtmlOptions {
  /** Paths below it are shortened; "" leaves them. */
  directory?: string;
}

/** The report on one profile, or on two that are compared, in pieces. */
export async function htmlReport(
  profiles: readonly HtmlProfile[],
  { directory = "" }: HtmlOptions = {},
): Promise<string[]> {
  const data = await compressed(packReport(profiles, directory));
  const title = profiles.map((profile) => clean(profile.title)).join(" → ");
  const policy = [
    "default-src 'none'",
    `script-src '${pageScriptHash}'`,
    `style-src '${pageStyleHash}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return [
    "<!doctype html>\n",
    '<html lang="en">\n<head>\n<meta charset="utf-8">\n',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">\n`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
    '<meta name="referrer" content="no-referrer">\n',
    `<title>${escaped(title)} - linmem</title>\n<style>${pageStyle}</style>\n</head>\n<body>\n`,
    '<div id="app"><noscript>This report needs JavaScript.</noscript></div>\n',
    '<script type="application/octet-stream" id="linmem-data">',
    ...base64(data),
    `</script>\n<script type="module">${pageScript}</script>\n</body>\n</html>\n`,
  ];
}

async function compressed(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A multiple of three, so that the pieces add up to one text. */
const pieceSize = 3 * 8192;

function* base64(bytes: Uint8Array): Generator<string> {
  for (let at = 0; at < bytes.length; at += pieceSize) {
    yield btoa(String.fromCharCode(...bytes.subarray(at, at + pieceSize)));
  }
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
