/** Making a CMS SignedData with one signer: CAdES-B-B (EN 319 122-1), also for PAdES. */
import { constructedTag } from "../asn1/read.ts";
import {
  type CmsSigner,
  type PreparedCms,
  prepareSignerInfo,
  type SignerStatements,
} from "./signer_info.ts";
import { explicit, integer, octetString, oid, sequence, setOf } from "../asn1/der.ts";
import { digest } from "../digest.ts";
import { Oid } from "../asn1/oids.ts";
import { encodeHash } from "../keys/algorithm.ts";
import { sameBytes } from "../x509/certificate.ts";

/**
 * The content to sign: `content` is embedded in the signature (attached); for a detached signature the `digest`,
 * made with the signer's digest algorithm, is enough.
 */
export type CmsContent = { content: Uint8Array } | { digest: Uint8Array };

/**
 * Prepares a SignedData of version 1 with one SignerInfo (RFC 5652 §5).
 *
 * @example
 * ```ts ignore
 * const prepared = prepareSignedData({ digest }, signer, { signingTime: now });
 * const signature = await signer.sign({ message: prepared.toBeSigned });
 * const p7s = prepared.complete(signature);
 * ```
 * @throws {FormatError} `certificate_malformed`, `key_malformed`, `algorithm_unsupported`;
 *   `invalid_argument` if the digest has not the algorithm's length
 */
export function prepareSignedData(
  content: CmsContent,
  signer: CmsSigner,
  statements: SignerStatements = {},
): PreparedCms {
  const { hash } = signer.algorithm;
  const attached = "content" in content;
  const contentDigest = attached ? digest(hash, content.content) : content.digest;
  const signerInfo = prepareSignerInfo(signer, Oid.data, contentDigest, statements);
  const before = [
    integer(1),
    setOf([encodeHash(hash)]),
    sequence(
      oid(Oid.data),
      ...(attached ? [explicit(0, octetString(content.content))] : []),
    ),
    setOf(distinct([signer.certificate, ...signer.chain]), constructedTag(0)),
  ];
  const complete = (signature: Uint8Array, timestamp?: Uint8Array) =>
    sequence(
      oid(Oid.signedData),
      explicit(0, sequence(...before, setOf([signerInfo.complete(signature, timestamp)]))),
    );
  return {
    toBeSigned: signerInfo.toBeSigned,
    get maxLength() {
      return complete(new Uint8Array(signerInfo.maxSignatureLength)).length;
    },
    complete,
  };
}

/** Without repetitions; a SET OF has none. */
function distinct(certificates: readonly Uint8Array[]): Uint8Array[] {
  return certificates.filter((certificate, index) =>
    certificates.findIndex((other) => sameBytes(other, certificate)) === index
  );
}
