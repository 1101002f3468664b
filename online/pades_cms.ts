/** What the key signs for a PDF: made from the bytes at hand and from what a reader prepared to append to them. */
import { Buffer } from "node:buffer";
import type { Hash } from "node:crypto";
import type { PreparedCms } from "../formats/cms/signer_info.ts";
import { prepareSignedData } from "../formats/cms/write.ts";
import { digest } from "../formats/digest.ts";
import type { HashName, Signer } from "../formats/signer.ts";
import { OnlineError } from "./error.ts";
import type { PadesOptions, PreparedPades } from "./pades.ts";

/** The CMS of a signature in a PDF, over the digest of what it covers. */
export function padesCms(
  digest: Uint8Array,
  signer: Pick<Signer, "certificate" | "chain" | "algorithm">,
  { subFilter, time }: Pick<PadesOptions, "subFilter" | "time">,
): PreparedCms {
  // EN 319 142-1 §6.3: in PAdES the time stands in the dictionary, not in the CMS.
  const signingTime = subFilter === "adbe.pkcs7.detached" ? time : undefined;
  return prepareSignedData({ digest }, signer, { signingTime });
}

/**
 * A CMS with its signature, timestamped where the level asks for it.
 *
 * @param stamp gives a TimeStampToken over a digest
 */
export async function completeCms(
  prepared: PreparedCms,
  signature: Uint8Array,
  hash: HashName,
  stamp: ((hash: HashName, digest: Uint8Array) => Promise<Uint8Array>) | null,
): Promise<Uint8Array> {
  return prepared.complete(signature, await stamp?.(hash, digest(hash, signature)));
}

type Prepared = Pick<PreparedPades, "appended" | "ranges">;

/**
 * The digest that a prepared signature signs, of a document that has been hashed already.
 *
 * @param hashed a hash of the whole document, which goes on with what is appended
 * @param size the document's, in bytes
 * @throws {OnlineError} as {@linkcode holeIn}
 */
export function preparedDigest(hashed: Hash, size: number, prepared: Prepared): Uint8Array {
  const [from, to] = holeIn(prepared, size);
  const { appended } = prepared;
  hashed.update(appended.subarray(0, from)).update(appended.subarray(to));
  return new Uint8Array(hashed.digest());
}

/**
 * The place within `appended` that waits for the signature's value: the one thing in the whole file that is not signed.
 *
 * @param size the document's, in bytes
 * @throws {OnlineError} `signature_invalid` where the reader, which has read a stranger's document, says otherwise
 */
export function holeIn({ appended, ranges }: Prepared, size: number): [from: number, to: number] {
  const [[start, before], [after, rest], ...more] = ranges;
  const hole = appended.subarray(before - size, after - size);
  const isWhole = start === 0 && before > size && after + rest === size + appended.length &&
    more.length === 0 && isEmptyHex(hole);
  if (!isWhole) throw new OnlineError("signature_invalid");
  return [before - size, after - size];
}

/** Whether bytes are `<00…00>`. */
function isEmptyHex(bytes: Uint8Array): boolean {
  const end = bytes.length - 1;
  if (end < 3 || end % 2 === 0 || bytes[0] !== 0x3c || bytes[end] !== 0x3e) return false;
  // Each digit is 0 and the same as the next: one call instead of a loop over thousands.
  const equal = Buffer.compare(bytes.subarray(1, end - 1), bytes.subarray(2, end)) === 0;
  return bytes[1] === 0x30 && equal;
}
