/** Why a part of an XML signature does not hold. */

export type XmlProblem =
  /** The signed content is not what was signed. */
  | "content_changed"
  /** The signature value does not fit the key and the signed information. */
  | "signature_wrong"
  /** A part of the signature is missing, doubled or not as the standard says. */
  | "malformed"
  /** An algorithm, transform or structure that is not supported: nothing is known of what it covers. */
  | "algorithm_unsupported"
  /** No certificate in the signature. */
  | "certificate_missing"
  /** The certificate is not the one that the signer signed for (EN 319 132-1 §5.2.2). */
  | "certificate_not_as_signed"
  /** Signed content, a file or an element, that is not there. */
  | "content_missing"
  /** The XAdES properties (time, certificate, role) are not among what is signed. */
  | "properties_unsigned";

/** Ends the check of one part of a signature; others go on. */
export class Problem extends Error {
  constructor(readonly problem: XmlProblem) {
    super(problem);
  }
}

/** A {@linkcode Problem} for which nobody did anything wrong. */
export class Unsupported extends Problem {
  /** @param what the URI of an algorithm, or what else it is */
  constructor(readonly what: string) {
    super("algorithm_unsupported");
  }
}
