/** The content of `sign.data`: as bytes, by name, and as the person is shown it. */
import { canonicalJson } from "../formats/json/canonical.ts";
import { digest } from "../formats/digest.ts";
import { shownAs } from "../formats/shown.ts";
import type { HashName } from "../formats/signer.ts";
import type { ConsentItem } from "../protocol/consent.ts";
import type { ParsedParams } from "../protocol/methods.ts";
import { shownItem } from "./documents.ts";

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
 * Whether bytes may be hash(origin) || hash(nonce) of a Web eID token: with a bare signature over them, a site could
 * sign in to another one as the person. A text of that length is none: half of the bytes would have to be the hash of
 * an origin, and all of them printable.
 */
export const looksLikeLogin = (bytes: Uint8Array): boolean =>
  [64, 96, 128].includes(bytes.length) && shownAs(bytes, bytes.length).as !== "text";

/** What the person is shown of a content; `bytes` are those that are signed. */
export function contentItem(
  name: string,
  content: Content,
  bytes: Uint8Array,
  algorithm: HashName,
): ConsentItem {
  return {
    name,
    size: bytes.length,
    hash: {
      algorithm,
      hex: digest(algorithm, bytes).toHex(),
    },
    ...shownItem(bytes, bytes.length, mediaTypeOf(content)),
  };
}
