/** Redaction: removes from a text whose computer and token it is, and what was signed. */

/** Names of a person or thing, each with its replacement. */
export type Secrets = ReadonlyMap<string, string>;

/** Shorter words would match everywhere. */
const SHORTEST = 3;

/** File name extensions of documents and key files. */
const ENDINGS = "pdf|docx?|xlsx?|od[tsp]|csv|p7[msb]|p12|pfx|pem|cer|crt|key|jpe?g|png";
/** A digit in any of the three scripts. */
const D = "[\\d\u0966-\u096f\u09e6-\u09ef]";

/** Before, name, extension and after. Only quoted names may also have the extensions of our own files. */
const DOCUMENTS = [
  ['(")', `[^"\\n]{0,300}`, `${ENDINGS}|xml|json|txt`, '(")'],
  ["(')", `[^'\\n]{0,300}`, `${ENDINGS}|xml|json|txt`, "(')"],
  ["([/\\\\])", `[^/\\\\\\n"']{1,300}`, ENDINGS, "(\\b)"],
  ["()", `[^\\s"'/\\\\()[\\]]{1,300}`, ENDINGS, "(\\b)"],
];

/** Values recognised by their form, applied in this order. */
const PATTERNS: readonly [RegExp, string][] = [
  [/-----BEGIN [A-Z0-9 ]+-----[\s\S]*?(?:-----END [A-Z0-9 ]+-----|$)/g, "[PEM]"],
  // A word that names a secret, with the value set to it or digits close behind it.
  [
    /\b((?:[\w.-]{0,64}[-_.])?(?:pin|puk|otp|password|passwd|passphrase|secret|token|sad|authorization|cookie)["']?\s*[=:]\s*)(?:(?:Bearer|Basic)\s+)?("[^"\n]*"|'[^'\n]*'|[^\s,;}\]]+)/gi,
    "$1[secret]",
  ],
  [
    /\b([a-z]\w{0,63}(?:Pin|Otp|Password|Secret|Token)["']?\s*[=:]\s*)("[^"\n]*"|[^\s,;}\]]+)/g,
    "$1[secret]",
  ],
  [
    new RegExp(
      `\\b(pin|puk|otp|password)\\b([^\\d\\n]{0,12}?)${D}(?:${D}| ){2,15}${D}(?!${D}|\\w)`,
      "gi",
    ),
    "$1$2[secret]",
  ],
  // RFC 7512: attributes that identify one token or key.
  [/\b(serial|token|object|id|slot-description|pin-value|pin-source)=[^;?&\s"']+/g, "$1=[…]"],
  [/\b([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/@"']+@/gi, "$1[user]@"],
  [/(\bhttps?:\/\/[^\s?#"'<>]+)[?#][^\s"'<>]*/gi, "$1?[…]"],
  [/[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8}/g, "[mail]"],
  // PAN, and hashes: a certificate's subject holds the PAN's hash.
  [/(?<![A-Za-z0-9])[A-Z]{5}[0-9]{4}[A-Z](?![A-Za-z0-9])/gi, "[PAN]"],
  [/(?<![0-9a-f])[0-9a-f]{2}(?::?[0-9a-f]{2}){15,}(?![0-9a-f])/gi, "[hash]"],
  [/(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{64,}={0,2}/g, "[data]"],
  [/(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[A-Z])[\w-]{32,}/g, "[data]"],
  // Aadhaar, telephone and account numbers, also in groups, but not dates.
  [
    new RegExp(
      `(?<![\\w.:-]|${D})(?:\\+?${D}{8,}|${D}{4}[ -]${D}{4}[ -]${D}{4}(?:[ -]${D}{4})?|` +
        `(?:\\+${D}{1,3}[ -]?)?${D}{5}[ -]?${D}{5})(?!${D}|[\\w:])`,
      "g",
    ),
    "[number]",
  ],
  // Other users of this computer.
  [/([\\/](?:home|Users)[\\/]+)(?!Public\b)[^\\/\n"'<>|:]{1,64}(?=[\\/])/g, "$1[user]"],
  // Attributes of distinguished names (RFC 4514).
  [
    /\b(CN|OU?|SN|GN|L|ST|STREET|E|emailAddress|serialNumber|postalCode|title|pseudonym|UID|2\.5\.4\.\d+)=(?:"[^"]*"|(?:\\.|[^,+;\n"\\])+)/g,
    "$1=[…]",
  ],
  // Names of documents; in quotes or after a slash they may contain spaces.
  ...DOCUMENTS.map(([before, name, endings, after]): [RegExp, string] => [
    new RegExp(`${before}${name}\\.(${endings})${after}`, "gi"),
    "$1[file].$2$3",
  ]),
];

/**
 * Removes from a text everything that `secrets` lists, and whatever looks like an assigned PIN, a PAN, an Aadhaar or
 * telephone number, a mail address, a hash, a key, a distinguished name or a document's name.
 */
export function redact(text: string, secrets: Secrets): string {
  // Longest first, or a part of a name would be replaced before the whole.
  const words = [...secrets].filter(([word]) => word.trim().length >= SHORTEST)
    .sort(([a], [b]) => b.length - a.length);
  let result = text;
  for (const [word, instead] of words) {
    const escaped = word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\s+/g, "\\s+");
    // Whole words only.
    const edge = (letter: string, look: string) => /\p{L}|\p{N}/u.test(letter) ? look : "";
    const pattern = edge(word[0], "(?<![\\p{L}\\p{N}])") + escaped +
      edge(word.at(-1)!, "(?![\\p{L}\\p{N}])");
    result = result.replace(new RegExp(pattern, "giu"), () => instead);
  }
  for (const [pattern, instead] of PATTERNS) result = result.replace(pattern, instead);
  return result;
}

/** Applies {@linkcode redact} to every string in a JSON value, but not to member names. */
export function redactJson(value: unknown, secrets: Secrets): unknown {
  if (typeof value === "string") return redact(value, secrets);
  if (Array.isArray(value)) return value.map((each) => redactJson(each, secrets));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, redactJson(each, secrets)]),
  );
}
