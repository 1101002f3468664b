/** The content of `sign.data`: as bytes, by name, and as the person is shown it. */
import { canonicalJson } from "../formats/json/canonical.ts";
import { digest } from "../formats/digest.ts";
import type { HashName } from "../formats/signer.ts";
import type { ConsentItem } from "../protocol/consent.ts";
import type { ParsedParams } from "../protocol/methods.ts";
import { preview } from "./documents.ts";

type Content = ParsedParams<"sign.data">["content"];

/** The very bytes that are signed: UTF-8, or JSON in canonical form. @throws {FormatError} */
export function contentBytes(content: Content): Uint8Array {
  if ("text" in content) return new TextEncoder().encode(content.text);
  if ("json" in content) return canonicalJson(JSON.stringify(content.json));
  return Uint8Array.fromBase64(content.base64);
}

export const mediaTypeOf = (content: Content): string =>
  "text" in content
    ? "text/plain"
    : "json" in content
    ? "application/json"
    : "application/octet-stream";

/**
 * Whether a bare signature is wanted over what may be hash(origin) || hash(nonce) of a Web eID token: with it, a site
 * could sign in to another one as the person. A text of that length is none: half of the bytes would have to be the
 * hash of an origin, and all of them printable.
 */
export function looksLikeLogin(
  params: Pick<ParsedParams<"sign.data">, "content" | "format">,
): boolean {
  return isBlind(params) && [64, 96, 128].includes(contentBytes(params.content).length);
}

/**
 * Whether a bare signature is wanted over bytes that cannot be shown. They may be the signed attributes of a document
 * (RFC 5652 §5.4), and then the signature is one under that document: it is worth as much as one over a digest.
 */
export function isBlind(
  { content, format }: Pick<ParsedParams<"sign.data">, "content" | "format">,
): boolean {
  if (format !== "raw") return false;
  const bytes = contentBytes(content);
  return preview(bytes, bytes.length) === null;
}

/** What the person is shown of a content; `bytes` are those that are signed. */
export function contentItem(
  name: string,
  content: Content,
  bytes: Uint8Array,
  algorithm: HashName,
): ConsentItem {
  return {
    name,
    mediaType: mediaTypeOf(content),
    size: bytes.length,
    hash: {
      algorithm,
      hex: digest(algorithm, bytes).toHex(),
    },
    preview: preview(bytes, bytes.length),
  };
}
