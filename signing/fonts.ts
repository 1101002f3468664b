/** The fonts of visible signatures: Noto (OFL 1.1), one for each script of India's scheduled languages. */
import { bytesSource, type Source } from "../formats/source.ts";
import { DsignError } from "../protocol/errors.ts";

/** Latin; always there, since dates have its digits. */
const LATIN = "latin/noto-sans-latin-400-normal.woff";

/** What a text has to contain for a font to be loaded, and its file; `tasks/build.ts` puts them there. */
const FONTS: [needed: RegExp, file: string][] = [
  [/[\u0100-\u024f\u1e00-\u1eff]/, "latin/noto-sans-latin-ext-400-normal.woff"],
  [/\p{Script=Bengali}/u, "bengali/noto-sans-bengali-bengali-400-normal.woff"],
  [
    // With signs that several scripts share: dandas, Vedic accents, the rupee.
    /[\p{Script=Devanagari}\u0951-\u0954\u0964\u0965\u1cd0-\u1cfa\u20b9\ua830-\ua839]/u,
    "devanagari/noto-sans-devanagari-devanagari-400-normal.woff",
  ],
  [/\p{Script=Gujarati}/u, "gujarati/noto-sans-gujarati-gujarati-400-normal.woff"],
  [/\p{Script=Gurmukhi}/u, "gurmukhi/noto-sans-gurmukhi-gurmukhi-400-normal.woff"],
  [/\p{Script=Kannada}/u, "kannada/noto-sans-kannada-kannada-400-normal.woff"],
  [/\p{Script=Malayalam}/u, "malayalam/noto-sans-malayalam-malayalam-400-normal.woff"],
  [
    /\p{Script=Meetei_Mayek}/u,
    "meetei-mayek/noto-sans-meetei-mayek-meetei-mayek-400-normal.woff",
  ],
  [/\p{Script=Ol_Chiki}/u, "ol-chiki/noto-sans-ol-chiki-ol-chiki-400-normal.woff"],
  [/\p{Script=Oriya}/u, "oriya/noto-sans-oriya-oriya-400-normal.woff"],
  [/\p{Script=Tamil}/u, "tamil/noto-sans-tamil-tamil-400-normal.woff"],
  [/\p{Script=Telugu}/u, "telugu/noto-sans-telugu-telugu-400-normal.woff"],
  // Urdu, Kashmiri, Sindhi; with the comma and the digits that they share with Arabic.
  [/[\u0600-\u06ff\u0750-\u077f]/, "arabic/noto-naskh-arabic-arabic-400-normal.woff"],
];

/** Names of the files with the fonts that a text needs. */
export const fontsFor = (text: string): string[] => [
  LATIN,
  ...FONTS.filter(([needed]) => needed.test(text)).map(([, file]) => file),
];

/** Loads fonts when they are first needed. */
export class Fonts {
  readonly #loaded = new Map<string, Promise<Source>>();

  /** @param web folder of the built pages, ending in a slash */
  constructor(readonly web: URL) {}

  /** @throws {DsignError} `storage_failed` where a font is not there */
  async load(names: readonly string[]): Promise<Source[]> {
    try {
      return await Promise.all(names.map((name) => this.#load(name)));
    } catch (error) {
      throw new DsignError("storage_failed", "The fonts of visible signatures are missing.", {
        cause: String(error),
      });
    }
  }

  #load(name: string): Promise<Source> {
    let loaded = this.#loaded.get(name);
    if (!loaded) {
      const file = new URL(`fonts/${name}`, this.web);
      loaded = Deno.readFile(file).then((bytes) => bytesSource(bytes));
      loaded.catch(() => this.#loaded.delete(name));
      this.#loaded.set(name, loaded);
    }
    return loaded;
  }
}
