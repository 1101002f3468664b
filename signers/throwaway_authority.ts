/** An authority in memory: its key cannot be exported, and is gone with the object. */
import { ecdsaFromRaw } from "../formats/keys/ecdsa.ts";
import { prepareCertificate, subjectKeyIdentifier } from "../formats/x509/write.ts";

const DAY = 24 * 3600 * 1000;

export interface ThrowawayAuthority {
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /**
   * Issues a certificate; for itself, with its own name and key.
   *
   * @param subject name, DER
   * @param publicKey SubjectPublicKeyInfo, DER
   * @param extensions beside the subject key identifier
   * @returns DER
   */
  issue(
    subject: Uint8Array,
    publicKey: Uint8Array,
    extensions: readonly Uint8Array[],
  ): Promise<Uint8Array>;
}

/**
 * Makes an authority with a P-256 key.
 *
 * @param name DER
 * @param days for which its certificates are valid from `now` on
 */
export async function makeThrowawayAuthority(
  name: Uint8Array,
  now: Date,
  days: number,
): Promise<ThrowawayAuthority> {
  const key = await generateP256(false);
  return {
    publicKey: await spkiOf(key),
    async issue(subject, publicKey, extensions) {
      const serialNumber = crypto.getRandomValues(new Uint8Array(16));
      serialNumber[0] = 0x40 | serialNumber[0] & 0x3f; // positive, and of full length
      const prepared = prepareCertificate({
        serialNumber,
        issuer: name,
        subject,
        notBefore: new Date(now.getTime() - DAY), // clocks differ
        notAfter: new Date(now.getTime() + days * DAY),
        publicKey,
        algorithm: { scheme: "ECDSA", hash: "SHA-256" },
        extensions: [...extensions, subjectKeyIdentifier(publicKey)],
      });
      const raw = await crypto.subtle.sign(
        { name: "ECDSA", hash: "SHA-256" },
        key.privateKey,
        Uint8Array.from(prepared.toBeSigned),
      );
      return prepared.complete(ecdsaFromRaw(new Uint8Array(raw)));
    },
  };
}

/** A new P-256 key for one of its certificates: PKCS #8 and SubjectPublicKeyInfo, DER. */
export async function makeP256Key(): Promise<{ key: Uint8Array; publicKey: Uint8Array }> {
  const pair = await generateP256(true);
  const key = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  return { key, publicKey: await spkiOf(pair) };
}

const generateP256 = (isExtractable: boolean) =>
  crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, isExtractable, [
    "sign",
    "verify",
  ]);

const spkiOf = async ({ publicKey }: CryptoKeyPair) =>
  new Uint8Array(await crypto.subtle.exportKey("spki", publicKey));
