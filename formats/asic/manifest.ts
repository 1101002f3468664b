/** The manifest of an ASiC-E: which files are under a signature (EN 319 162-1 §A.4). Writes only. */
import type { HashName } from "../signer.ts";
import { ASIC, digestUris, DS } from "../xml/algorithms.ts";
import { escapeAttribute } from "../xml/escape.ts";

/** A file of a container that is to be signed. */
export interface SignedEntry {
  name: string;
  mediaType: string;
  /** The one from which the others are found: in an archive manifest the one before it. */
  isRoot?: boolean;
  digest(hash: HashName): Uint8Array;
}

/** The URI (RFC 3986) of a file in a container. */
export const uriOf = (name: string): string => name.split("/").map(encodeURIComponent).join("/");

/** @param signature name of the signature's or timestamp's file */
export function manifestFor(
  signature: string,
  files: readonly SignedEntry[],
  hash: HashName,
  mediaType = "application/pkcs7-signature",
): Uint8Array {
  const references = files.map((file) =>
    `<asic:DataObjectReference URI="${escapeAttribute(uriOf(file.name))}" ` +
    `MimeType="${escapeAttribute(file.mediaType)}"${file.isRoot ? ' Rootfile="true"' : ""}>` +
    `<ds:DigestMethod Algorithm="${digestUris[hash]}"/>` +
    `<ds:DigestValue>${file.digest(hash).toBase64()}</ds:DigestValue></asic:DataObjectReference>`
  );
  return new TextEncoder().encode(
    `<?xml version="1.0" encoding="UTF-8"?>\n` +
      `<asic:ASiCManifest xmlns:asic="${ASIC}" xmlns:ds="${DS}">` +
      `<asic:SigReference URI="${uriOf(signature)}" MimeType="${mediaType}"/>` +
      `${references.join("")}</asic:ASiCManifest>\n`,
  );
}
