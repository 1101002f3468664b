/** What the key signs for a PDF: made from the bytes at hand and from what a reader prepared to append to them. */
import type { Hash } from "node:crypto";
import { prepareSignedData } from "../formats/cms/write.ts";
import type { Signer } from "../formats/signer.ts";
import type { PadesOptions, PreparedPades } from "./pades.ts";

/** The CMS of a signature in a PDF, over the digest of what it covers. */
export function padesCms(
  digest: Uint8Array,
  signer: Pick<Signer, "certificate" | "chain" | "algorithm">,
  { subFilter, time }: Pick<PadesOptions, "subFilter" | "time">,
): ReturnType<typeof prepareSignedData> {
  // EN 319 142-1 §6.3: in PAdES the time stands in the dictionary, not in the CMS.
  const signingTime = subFilter === "adbe.pkcs7.detached" ? time : undefined;
  return prepareSignedData({ digest }, signer, { signingTime });
}

/**
 * The digest that a prepared signature signs, of a document that has been hashed already.
 *
 * @param hashed a hash of the whole document, which goes on with what is appended
 * @param size the document's, in bytes
 */
export function preparedDigest(
  hashed: Hash,
  size: number,
  { appended, ranges: [[, before], [after]] }: Pick<PreparedPades, "appended" | "ranges">,
): Uint8Array {
  hashed.update(appended.subarray(0, before - size)).update(appended.subarray(after - size));
  return new Uint8Array(hashed.digest());
}
