/** PKCS #10 (RFC 2986): asking an authority for a certificate. */
import type { Prepared } from "./write.ts";
import { bitString, explicit, integer, oid, sequence, setOf } from "../asn1/der.ts";
import { encodeSignatureAlgorithm } from "../keys/algorithm.ts";
import type { SignatureAlgorithm } from "../signer.ts";

const EXTENSION_REQUEST = "1.2.840.113549.1.9.14";

export interface RequestFields {
  /** Name as DER, from `encodeName`. */
  readonly subject: Uint8Array;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** How the key of {@linkcode publicKey} signs the request. */
  readonly algorithm: SignatureAlgorithm;
  /** Requested extensions (RFC 2985 §5.4.2), each a whole Extension; the authority decides. */
  readonly extensions: readonly Uint8Array[];
}

/** Prepares a CertificationRequest (RFC 2986 §4), signed by the key that wants the certificate. */
export function prepareRequest(fields: RequestFields): Prepared {
  const attribute = sequence(
    oid(EXTENSION_REQUEST),
    setOf([sequence(...fields.extensions)]),
  );
  const info = sequence(
    integer(0),
    fields.subject,
    fields.publicKey,
    explicit(0, attribute), // `[0] IMPLICIT SET OF` of one: the same bytes
  );
  const algorithm = encodeSignatureAlgorithm(fields.algorithm);
  return {
    toBeSigned: info,
    complete: (signature) => sequence(info, algorithm, bitString(signature)),
  };
}
