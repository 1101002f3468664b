/** The content of a request that brings it along: its bytes, made once, and how the person is shown it. */
import { canonicalJson } from "../formats/json/canonical.ts";
import { digest } from "../formats/digest.ts";
import { shownAs } from "../formats/shown.ts";
import type { DigestName, HashName } from "../formats/signer.ts";
import type { ConsentItem } from "../protocol/consent.ts";
import type { ParsedParams } from "../protocol/methods.ts";
import { shownItem } from "./documents.ts";

export class Content {
  readonly #digests = new Map<DigestName, Uint8Array>();

  constructor(
    /** The very bytes that are signed. */
    readonly bytes: Uint8Array,
    readonly mediaType: string,
    /** Of JSON, how the page wrote it. */
    readonly written?: ConsentItem["written"],
  ) {}

  /** Text as UTF-8, JSON in canonical form (RFC 8785). @throws {FormatError} `json_malformed` */
  static of(given: ParsedParams<"sign.data">["content"]): Content {
    if ("text" in given) return new Content(new TextEncoder().encode(given.text), "text/plain");
    if ("json" in given) {
      const json = JSON.stringify(given.json);
      return Content.json(canonicalJson(json), { json, labels: given.labels });
    }
    return new Content(Uint8Array.fromBase64(given.base64), "application/octet-stream");
  }

  /** @param bytes in canonical form */
  static json(bytes: Uint8Array, written?: ConsentItem["written"]): Content {
    return new Content(bytes, "application/json", written);
  }

  digest(hash: DigestName): Uint8Array {
    return this.#digests.getOrInsertComputed(hash, () => digest(hash, this.bytes));
  }

  /** Content shown to the person. */
  item(name: string, hash: HashName): ConsentItem {
    const size = this.bytes.length;
    const shown = shownItem(this.bytes, size, this.mediaType);
    return {
      name,
      size,
      hash: { algorithm: hash, hex: this.digest(hash).toHex() },
      ...shown,
      ...shown.preview?.truncated === false && this.written && { written: this.written },
    };
  }

  /**
   * Whether the bytes could be hash(origin) || hash(nonce) of a Web eID token: with a bare signature over them, a site
   * could sign in to another site as the person. Text of that length is safe: it would need an origin whose hash is
   * printable.
   */
  get looksLikeLogin(): boolean {
    const { length } = this.bytes;
    return [64, 96, 128].includes(length) && shownAs(this.bytes, length).as !== "text";
  }
}

/** What the reader gets of it. */
export const plain = ({ bytes, mediaType }: Content) => ({ bytes, mediaType });
