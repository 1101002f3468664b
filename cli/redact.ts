/** Taking out of texts what nobody else is to read: whose computer it is, whose token, what was signed. */

/** Words that stand for a person or a thing, and what stands in their place. */
export type Secrets = ReadonlyMap<string, string>;

/** Shorter words would take half of every text with them. */
const SHORTEST = 3;

/** What documents and key files are called at the end. */
const ENDINGS = "pdf|docx?|xlsx?|od[tsp]|csv|p7[msb]|p12|pfx|pem|cer|crt|key|jpe?g|png";
/** A digit of the three languages' scripts. */
const D = "[\\d\u0966-\u096f\u09e6-\u09ef]";

/** Before, name, endings and after. Only in quotes a name may also be that of one of our own files. */
const DOCUMENTS = [
  ['(")', `[^"\\n]{0,300}`, `${ENDINGS}|xml|json|txt`, '(")'],
  ["(')", `[^'\\n]{0,300}`, `${ENDINGS}|xml|json|txt`, "(')"],
  ["([/\\\\])", `[^/\\\\\\n"']{1,300}`, ENDINGS, "(\\b)"],
  ["()", `[^\\s"'/\\\\()[\\]]{1,300}`, ENDINGS, "(\\b)"],
];

/** What gives itself away by its form. Each is looked for in what the ones before left. */
const PATTERNS: readonly [RegExp, string][] = [
  [/-----BEGIN [A-Z0-9 ]+-----[\s\S]*?(?:-----END [A-Z0-9 ]+-----|$)/g, "[PEM]"],
  // A word that names a secret, and what is set to it, or digits that follow it closely.
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
  // RFC 7512: what tells one token or key from another.
  [/\b(serial|token|object|id|slot-description|pin-value|pin-source)=[^;?&\s"']+/g, "$1=[…]"],
  [/\b([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/@"']+@/gi, "$1[user]@"],
  [/(\bhttps?:\/\/[^\s?#"'<>]+)[?#][^\s"'<>]*/gi, "$1?[…]"],
  [/[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8}/g, "[mail]"],
  // PAN; and its hash, as the other hashes, in certificates' subjects.
  [/(?<![A-Za-z0-9])[A-Z]{5}[0-9]{4}[A-Z](?![A-Za-z0-9])/gi, "[PAN]"],
  [/(?<![0-9a-f])[0-9a-f]{2}(?::?[0-9a-f]{2}){15,}(?![0-9a-f])/gi, "[hash]"],
  [/(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{64,}={0,2}/g, "[data]"],
  [/(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[A-Z])[\w-]{32,}/g, "[data]"],
  // Aadhaar, telephone and account numbers, also in groups; dates are none.
  [
    new RegExp(
      `(?<![\\w.:-]|${D})(?:\\+?${D}{8,}|${D}{4}[ -]${D}{4}[ -]${D}{4}(?:[ -]${D}{4})?|` +
        `(?:\\+${D}{1,3}[ -]?)?${D}{5}[ -]?${D}{5})(?!${D}|[\\w:])`,
      "g",
    ),
    "[number]",
  ],
  // Other persons of this computer.
  [/([\\/](?:home|Users)[\\/]+)(?!Public\b)[^\\/\n"'<>|:]{1,64}(?=[\\/])/g, "$1[user]"],
  // Names of attributes in distinguished names (RFC 4514).
  [
    /\b(CN|OU?|SN|GN|L|ST|STREET|E|emailAddress|serialNumber|postalCode|title|pseudonym|UID|2\.5\.4\.\d+)=(?:"[^"]*"|(?:\\.|[^,+;\n"\\])+)/g,
    "$1=[…]",
  ],
  // Documents' names: in quotes, or after the last slash, they may have spaces.
  ...DOCUMENTS.map(([before, name, endings, after]): [RegExp, string] => [
    new RegExp(`${before}${name}\\.(${endings})${after}`, "gi"),
    "$1[file].$2$3",
  ]),
];

/**
 * Takes out of a text what `secrets` lists, and whatever has the form of a PIN that is set, a PAN, an Aadhaar or
 * telephone number, a mail address, a hash, a key, a distinguished name or a document's name.
 */
export function redact(text: string, secrets: Secrets): string {
  // The longest first, so that a part of a name does not spoil the whole.
  const words = [...secrets].filter(([word]) => word.trim().length >= SHORTEST)
    .sort(([a], [b]) => b.length - a.length);
  let result = text;
  for (const [word, instead] of words) {
    const escaped = word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\s+/g, "\\s+");
    // Not in the middle of a longer word, where it stands for itself.
    const edge = (letter: string, look: string) => /\p{L}|\p{N}/u.test(letter) ? look : "";
    const pattern = edge(word[0], "(?<![\\p{L}\\p{N}])") + escaped +
      edge(word.at(-1)!, "(?![\\p{L}\\p{N}])");
    result = result.replace(new RegExp(pattern, "giu"), () => instead);
  }
  for (const [pattern, instead] of PATTERNS) result = result.replace(pattern, instead);
  return result;
}

/** {@linkcode redact} for every string in a value of JSON; names of members stay. */
export function redactJson(value: unknown, secrets: Secrets): unknown {
  if (typeof value === "string") return redact(value, secrets);
  if (Array.isArray(value)) return value.map((each) => redactJson(each, secrets));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, redactJson(each, secrets)]),
  );
}
