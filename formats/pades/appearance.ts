/** Content of a visible signature: text in any script of the fonts, a picture, a QR code. */
import { deflateSync } from "node:zlib";
import { encode } from "uqr";
import type { Appearance } from "./field.ts";
import type { Box } from "./place.ts";
import type { TrueTypeFont } from "../pdf/font.ts";
import { addImage } from "../pdf/image.ts";
import { layOut } from "./layout.ts";
import { decimal, TextSetter } from "../pdf/text.ts";
import type { PdfUpdate } from "../pdf/update.ts";
import { latin1, name, type PdfDraft, type PdfRef } from "../pdf/value.ts";

/** The visible content. */
export interface AppearanceContent {
  /** Who signs, which is a little larger; then role, reason, place, time. In words of the signer's language. */
  lines: readonly string[];
  /** PNG or JPEG, at the left. */
  picture?: Uint8Array;
  /** Text of the QR code, at the right. */
  qr?: string;
  /** The first that has a character is used for it; see `readFont`. */
  fonts: readonly TrueTypeFont[];
}

const PADDING = 3;

/**
 * Draws an appearance for `prepareSignature`. Text is made as large as it fits, in grey scale
 * colours, which every PDF/A output intent allows.
 *
 * @throws FormatError (when drawn) `invalid_argument` for a picture that cannot be used, a box that is too small for
 *   its text, or a character that no font has
 */
export function drawAppearance(content: AppearanceContent): Appearance["draw"] {
  return (update, box) => {
    const pieces = new Pieces(update, box);
    if (content.picture) pieces.picture(content.picture);
    if (content.qr !== undefined) pieces.qr(content.qr);
    pieces.text(content);
    return pieces.finish();
  };
}

class Pieces {
  #content = "";
  readonly #resources: { [key: string]: PdfDraft } = {};
  /** Space between the picture and the QR code. */
  #left = PADDING;
  #right: number;

  constructor(
    readonly update: Pick<PdfUpdate, "add" | "addStream">,
    readonly box: Box,
  ) {
    this.#right = box.width - PADDING;
  }

  get #inner(): number {
    return Math.max(1, this.box.height - 2 * PADDING);
  }

  picture(bytes: Uint8Array): void {
    const { ref, width, height } = addImage(this.update, bytes);
    const scale = Math.min(this.#inner / height, this.box.width / 3 / width);
    const [w, h] = [width * scale, height * scale];
    const y = (this.box.height - h) / 2;
    this.#content += `q ${decimal(w)} 0 0 ${decimal(h)} ${decimal(this.#left)} ${decimal(y)} cm ` +
      "/Picture Do Q\n";
    this.#resources.XObject = { Picture: ref };
    this.#left += w + PADDING;
  }

  qr(text: string): void {
    // The quiet zone of four modules is white paper around the code (ISO/IEC 18004 §9.1).
    const { data, size } = encode(text, { ecc: "M", border: 4 });
    const side = Math.min(this.#inner, this.box.width / 3);
    const unit = side / size;
    const x = this.#right - side, y = (this.box.height - side) / 2;
    this.#content += `1 g ${[x, y, side, side].map(decimal).join(" ")} re f 0 g\n`;
    data.forEach((row, r) => {
      for (let c = 0; c < size; c++) {
        if (!row[c]) continue;
        // One rectangle for a run of modules, so that no hair lines show between them.
        let run = 1;
        while (row[c + run]) run++;
        const place = [x + c * unit, y + side - (r + 1) * unit, run * unit, unit];
        this.#content += `${place.map(decimal).join(" ")} re\n`;
        c += run;
      }
    });
    this.#content += "f\n";
    this.#right -= side + PADDING;
  }

  text({ lines, fonts }: AppearanceContent): void {
    const setter = new TextSetter(fonts);
    const width = Math.max(1, this.#right - this.#left);
    this.#content += "0 g\n";
    for (const { text, size, x, y } of layOut(setter, lines, [width, this.#inner])) {
      this.#content += setter.show(text, size, this.#left + x, PADDING + y);
    }
    this.#resources.Font = setter.resources(this.update);
  }

  finish(): PdfRef {
    const { width, height, matrix } = this.box;
    return this.update.addStream({
      Type: name("XObject"),
      Subtype: name("Form"),
      BBox: [0, 0, width, height],
      Matrix: [...matrix],
      Resources: this.#resources,
      Filter: name("FlateDecode"),
    }, deflateSync(latin1(`q\n${this.#content}Q\n`)));
  }
}
