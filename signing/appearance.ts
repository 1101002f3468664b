/** Text of a visible signature in the signer's language, and its fonts. */
import type { Source } from "../formats/source.ts";
import type { PadesInput } from "../online/questions.ts";
import type { PdfOptions } from "../protocol/methods.ts";
import { Fonts, fontsFor } from "./fonts.ts";

/** Points, where the size is not said. */
export const SIZE: [width: number, height: number] = [200, 60];

type Rectangle = [number, number, number, number];

/** Options of a signature whose place was looked for. */
export type PlacedOptions = Omit<PdfOptions, "visible"> & {
  visible?: NonNullable<PdfOptions["visible"]> & {
    /** Places beside the text that was named, the best first. */
    near?: Rectangle[];
  };
};

const WORDS = {
  en: { signer: "Digitally signed by {name}", reason: "Reason", location: "Place", time: "Date" },
  bn: { signer: "ডিজিটাল স্বাক্ষর: {name}", reason: "কারণ", location: "স্থান", time: "তারিখ" },
  hi: { signer: "डिजिटल हस्ताक्षर: {name}", reason: "कारण", location: "स्थान", time: "दिनांक" },
} as const;

/** The content to draw, and its fonts. */
export interface Appearance {
  appearance?: NonNullable<PadesInput["appearance"]>;
  fonts: readonly Source[];
}

/** Makes appearances. */
export class Appearances {
  readonly #fonts: Fonts;

  /** @param web folder of the built pages, ending in a slash */
  constructor(web: URL) {
    this.#fonts = new Fonts(web);
  }

  /**
   * @param page where a page is looked for: the one to try
   * @throws {DsignError} `storage_failed` where the fonts are not there
   */
  async make(
    { visible, reason, location }: PlacedOptions,
    signer: { name: string; time: Date },
    page = visible?.page ?? 1,
  ): Promise<Appearance> {
    if (!visible) return { fonts: [] };
    const { rectangle, near, size = SIZE, role, language, picture, qr } = visible;
    const words = WORDS[language];
    const lines = [
      words.signer.replace("{name}", () => signer.name),
      role,
      reason && `${words.reason}: ${reason}`,
      location && `${words.location}: ${location}`,
      `${words.time}: ${writeTime(signer.time)}`,
    ].filter((line) => line !== undefined && line !== "") as string[];
    const fonts = fontsFor(lines.join("\n"));
    return {
      appearance: {
        place: rectangle
          ? { page, rectangle: rectangle as Rectangle }
          : near
          ? { page, near }
          : { page, size: size as [number, number] },
        content: {
          lines,
          picture: picture === undefined ? undefined : Uint8Array.fromBase64(picture),
          qr,
        },
        fonts,
      },
      fonts: await this.#fonts.load(fonts),
    };
  }
}

/** `2026-11-21 21:40:07 +05:30`, by the clock on the wall: the same in all languages. */
function writeTime(time: Date): string {
  const offset = -time.getTimezoneOffset();
  const local = new Date(time.getTime() + offset * 60_000).toISOString();
  const two = (value: number) => String(Math.floor(value)).padStart(2, "0");
  const zone = `${offset < 0 ? "-" : "+"}${two(Math.abs(offset) / 60)}:${
    two(Math.abs(offset) % 60)
  }`;
  return `${local.slice(0, 10)} ${local.slice(11, 19)} ${zone}`;
}
