/** How the answer of an eSign service provider ends a transaction, or why it does not. */
import type { Certificate } from "../formats/x509/certificate.ts";

/** Why an answer does not count. */
export type EspRefusalCode = "malformed" | "unknown" | "origin" | "over" | "not_accepted";

/** An answer that does not count; nothing was changed by it. */
export class EspRefusal extends Error {
  override readonly name = "EspRefusal";

  /** @param language of the person, where the transaction is known */
  constructor(readonly code: EspRefusalCode, reason: string, readonly language?: string) {
    super(reason);
  }
}

/** How a transaction ends. */
export type Outcome = {
  certificate: Certificate;
  cms: Uint8Array;
  /** SHA-256 of the signature as the key made it, hex. */
  signature: string;
} | {
  code: string;
  message: string;
};

/** Whether a certificate is valid now, within a tolerance in milliseconds. */
export function isCurrent(
  { notBefore, notAfter }: Certificate,
  now: number,
  tolerance = 0,
): boolean {
  return notBefore.getTime() <= now + tolerance && now - tolerance <= notAfter.getTime();
}

/**
 * The transaction that an answer says it belongs to; nothing else about it is known yet. A reader, which is not bothered
 * with answers to nothing, looks whether it is so.
 *
 * @throws {EspRefusal} `malformed`
 */
export function transactionIn(response: string): string {
  const found = /<(?:[\w.-]+:)?EsignResp\s[^<>]*?\btxn\s*=\s*["']([A-Za-z0-9:_-]{1,50})["']/.exec(
    response,
  );
  if (!found) throw new EspRefusal("malformed", "no answer that names its transaction");
  return found[1];
}
