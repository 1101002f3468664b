import { Oid } from "../formats/asn1/oids.ts";
import { addUnsignedAttributes, encodeAttribute } from "../formats/cms/add.ts";
import { readSignedData } from "../formats/cms/read.ts";
import { digest } from "../formats/digest.ts";
import type { HashName } from "../formats/signer.ts";

/**
 * Has the first signature of a CMS timestamped (EN 319 122-1 §5.3): over the signature's value.
 *
 * @param stamp gives a token for a digest, as `requestTimestamp`
 * @returns the CMS with the token among its unsigned attributes
 */
export async function timestampSignature(
  cms: Uint8Array,
  hash: HashName,
  stamp: (hash: HashName, digest: Uint8Array) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const [{ signature }] = readSignedData(cms).signers;
  const token = await stamp(hash, digest(hash, signature));
  return addUnsignedAttributes(cms, [0], [encodeAttribute(Oid.signatureTimestamp, token)]);
}
