/** The content of `sign.data`, as bytes and by name. */
import { canonicalJson } from "../formats/canonical_json.ts";
import type { ParsedParams } from "../protocol/methods.ts";

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
