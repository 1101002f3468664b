/** Text of a visible signature in the signer's language, and its fonts. */
import { bytesSource, type Source } from "../formats/source.ts";
import type { PadesInput } from "../online/questions.ts";
import { DsignError } from "../protocol/errors.ts";
import type { PdfOptions } from "../protocol/methods.ts";

/** Latin, Bengali, Devanagari of Noto Sans (OFL 1.1); `tasks/build.ts` puts them there. */
const FILES = [
  "bengali/noto-sans-bengali-latin-400-normal.woff",
  "bengali/noto-sans-bengali-bengali-400-normal.woff",
  "devanagari/noto-sans-devanagari-devanagari-400-normal.woff",
];
/** Points, where the size is not said. */
export const SIZE: [width: number, height: number] = [200, 60];

const WORDS = {
  en: { reason: "Reason", location: "Place", time: "Date" },
  bn: { reason: "কারণ", location: "স্থান", time: "তারিখ" },
  hi: { reason: "कारण", location: "स्थान", time: "दिनांक" },
} as const;

/** The content to draw, and its fonts. */
export interface Appearance {
  appearance?: NonNullable<PadesInput["appearance"]>;
  fonts: readonly Source[];
}

/** Makes appearances; loads the fonts when the first is wanted. */
export class Appearances {
  #fonts: Promise<Source[]> | undefined;

  /** @param web folder of the built pages, ending in a slash */
  constructor(readonly web: URL) {}

  /**
   * @param signer name and time; while nobody has signed yet, only the place counts
   * @throws {DsignError} `storage_failed` where the fonts are not there
   */
  async make(
    { visible, reason, location }: PdfOptions,
    signer: { name: string; time: Date },
  ): Promise<Appearance> {
    if (!visible) return { fonts: [] };
    const { page = 1, rectangle, size = SIZE, role, language, picture, qr } = visible;
    const words = WORDS[language];
    const lines = [
      role,
      reason && `${words.reason}: ${reason}`,
      location && `${words.location}: ${location}`,
      `${words.time}: ${writeTime(signer.time)}`,
    ].filter((line) => line !== undefined && line !== "") as string[];
    return {
      appearance: {
        place: rectangle
          ? { page, rectangle: rectangle as [number, number, number, number] }
          : { page, size: size as [number, number] },
        content: {
          name: signer.name,
          lines,
          picture: picture === undefined ? undefined : Uint8Array.fromBase64(picture),
          qr,
        },
      },
      fonts: await (this.#fonts ??= this.#load()),
    };
  }

  async #load(): Promise<Source[]> {
    try {
      const folder = new URL("fonts/", this.web);
      return await Promise.all(
        FILES.map(async (name) => bytesSource(await Deno.readFile(new URL(name, folder)))),
      );
    } catch (error) {
      this.#fonts = undefined;
      throw new DsignError("storage_failed", "The fonts of visible signatures are missing.", {
        cause: String(error),
      });
    }
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
