/** Turning what comes from outside into what a person can read, without anything being hidden in it. */

/**
 * Characters that change how others look or cannot be seen: controls but tab and line feed, the direction marks and
 * overrides of the Unicode bidirectional algorithm, zero-width space and its kind, line and paragraph separators,
 * variation selectors and tags. The joiners U+200C and U+200D stay: Bengali and Hindi are written with them.
 */
const INVISIBLE =
  // deno-lint-ignore no-control-regex
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e0fff}]/u;

/** A stretch of text as it is, or the code point of a character that would not be seen. */
export type Piece = string | { codePoint: string };

/** Splits text so that each invisible character can be shown as its code point. */
export function pieces(text: string): Piece[] {
  return text.split(new RegExp(`(${INVISIBLE.source})`, "u")).filter((piece) => piece !== "").map((
    piece,
  ) =>
    INVISIBLE.test(piece)
      ? { codePoint: `U+${piece.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}` }
      : piece
  );
}

/** Bytes for people: `740 B`, `12 KB`, `3.4 MB` (powers of 1000, as file managers show). */
export function sizeOf(bytes: number, number: (value: number) => string): string {
  const units = ["B", "KB", "MB", "GB"];
  let value = bytes;
  while (value >= 1000 && units.length > 1) {
    value /= 1000;
    units.shift();
  }
  return `${number(value < 10 ? Math.round(value * 10) / 10 : Math.round(value))} ${units[0]}`;
}

/** The word for a media type (RFC 6838), where there is one for people. */
export function kindOf(mediaType: string): "text" | "json" | "xml" | "pdf" | "file" | null {
  const essence = mediaType.toLowerCase().split(";")[0]!.trim();
  if (essence === "application/json" || essence.endsWith("+json")) return "json";
  if (essence === "application/xml" || essence === "text/xml" || essence.endsWith("+xml")) {
    return "xml";
  }
  if (essence === "application/pdf") return "pdf";
  if (essence === "application/octet-stream" || essence === "") return "file";
  return essence.startsWith("text/") ? "text" : null;
}

/** The value of CN in a distinguished name as RFC 4514 writes it; the whole name where there is none. */
export function commonNameOf(name: string): string {
  const found = /(?:^|[,+])\s*CN=((?:\\.|[^\\,+])*)/i.exec(name);
  return found ? found[1]!.replace(/\\([^0-9a-f])/gi, "$1") : name;
}

/** `https://` and `bills.example.in:8443` of an origin: the second part is what to look at. */
export function originParts(origin: string): { scheme: string; host: string } {
  const end = origin.indexOf("://") + 3;
  return end < 3
    ? { scheme: "", host: origin }
    : { scheme: origin.slice(0, end), host: origin.slice(end) };
}

/** Deeper than this, a layout in rows no longer helps. */
const DEPTH = 4;

/**
 * A JSON object to be laid out for reading; null where that would not help or not show all that is signed: only text
 * in canonical form (RFC 8785) is sure to have lost nothing in parsing, a name that stands twice above all.
 */
export function readableJson(text: string): { [name: string]: unknown } | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  return isObject(value) && depthWithin(value, DEPTH) && canonical(value) === text ? value : null;
}

export function isObject(value: unknown): value is { [name: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function depthWithin(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return depth > 0 && Object.values(value).every((each) => depthWithin(each, depth - 1));
}

/** RFC 8785: JavaScript's own writing of strings and numbers, names sorted by UTF-16 code units (§3.2). */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const members = Object.keys(value).sort().map((name) =>
    `${JSON.stringify(name)}:${canonical(value[name])}`
  );
  return `{${members.join(",")}}`;
}
