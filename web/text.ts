/** Turning what comes from outside into what a person can read, without anything being hidden in it. */

/**
 * What cannot be seen, or changes how others look, and how much of it in a row: controls but tab and line feed, the
 * direction marks and overrides of the Unicode bidirectional algorithm, zero-width space and its kind, separators,
 * variation selectors, tags, and signs that are blank (U+2800, U+FFFC, U+1D159, U+13441, U+13442). The joiners U+200C and
 * U+200D stay where there is something to join, for Bengali and Hindi are written with them. Further: white space that
 * pushes away what comes after it, and marks that pile up until they cover other lines.
 */
const UNSEEN =
  /\s{80,}|(?:[^\S\n]*\n){6,}|((?![\t\n]|(?<=[\p{M}\p{Lo}\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f])[\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800\ufffc\u{1d159}\u{13441}\u{13442}])\1*|((?<=\p{M}{4})\p{M})\2*/gu;

/** A stretch of text as it is, or what stands for characters that would not be seen: code point and number. */
export type Piece = string | { unseen: string };

/** Splits text so that nothing in it is invisible. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(UNSEEN)) {
    found.push(text.slice(at, match.index), {
      unseen: nameOfUnseen(match[0], match[1] ?? match[2]),
    });
    at = match.index + match[0].length;
  }
  return [...found, text.slice(at)].filter((piece) => piece !== "");
}

/** @param character that is repeated; undefined for white space */
function nameOfUnseen(run: string, character: string | undefined): string {
  if (character === undefined) {
    const lines = run.split("\n").length - 1;
    return lines > 0 ? `↵ × ${lines}` : `␣ × ${run.length}`;
  }
  const name = `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;
  const count = run.length / character.length;
  return count > 1 ? `${name} × ${count}` : name;
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
 *
 * @param written the same with its members in another order, which the result has then
 */
export function readableJson(text: string, written = text): { [name: string]: unknown } | null {
  let value: unknown;
  try {
    value = JSON.parse(written);
  } catch {
    return null;
  }
  if (isObject(value) && depthWithin(value, DEPTH) && canonical(value) === text) return value;
  return written === text ? null : readableJson(text);
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
