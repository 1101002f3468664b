/** A PKI that lives as long as one trial agent: a root, and two officers. Nobody can mistake it: {@linkcode TRIAL_ORGANISATION}. */
import { createHash } from "node:crypto";
import { ecdsaFromRaw } from "../formats/keys/ecdsa.ts";
import { type Certificate, readCertificate } from "../formats/x509/certificate.ts";
import { keyPurposes } from "../formats/x509/extensions.ts";
import { encodeName } from "../formats/x509/name.ts";
import { TRIAL_ORGANISATION } from "../formats/x509/trial.ts";
import {
  authorityKeyIdentifier,
  basicConstraints,
  certificatePolicies,
  extKeyUsage,
  keyUsage,
  prepareCertificate,
  subjectKeyIdentifier,
} from "../formats/x509/write.ts";

const DAY = 24 * 3600 * 1000;
const VALID_DAYS = 7;

/** India's policy of class 3. */
const CLASS_3 = "2.16.356.100.2.3";

/** People who do not exist; their PANs are in the form of real ones. */
const OFFICERS = [
  { name: "Anita Das (TRIAL)", pan: "AAAPD0001A" },
  { name: "Bimal Roy (TRIAL)", pan: "AAAPR0002B" },
];

export interface TrialOfficer {
  name: string;
  pan: string;
  certificate: Uint8Array;
  /** The root, DER. */
  chain: readonly Uint8Array[];
  /** PKCS #8, DER. */
  key: Uint8Array;
}

export interface TrialPki {
  root: Certificate;
  officers: readonly TrialOfficer[];
}

/** Makes everything anew; the root's key is forgotten. */
export async function makeTrialPki(now: Date): Promise<TrialPki> {
  const generate = () =>
    crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const spkiOf = async ({ publicKey }: CryptoKeyPair) =>
    new Uint8Array(await crypto.subtle.exportKey("spki", publicKey));
  const rootKey = await generate();
  const rootSpki = await spkiOf(rootKey);
  const country: ["C", string] = ["C", "IN"];
  const issuer = encodeName([
    country,
    ["O", TRIAL_ORGANISATION],
    ["CN", `TRIAL root ${crypto.getRandomValues(new Uint8Array(4)).toHex()}`],
  ]);
  const issue = async (
    subject: Uint8Array,
    publicKey: Uint8Array,
    extensions: readonly Uint8Array[],
  ) => {
    const serialNumber = crypto.getRandomValues(new Uint8Array(16));
    serialNumber[0] = 0x40 | serialNumber[0] & 0x3f; // positive, and of full length
    const prepared = prepareCertificate({
      serialNumber,
      issuer,
      subject,
      notBefore: new Date(now.getTime() - DAY), // clocks differ
      notAfter: new Date(now.getTime() + VALID_DAYS * DAY),
      publicKey,
      algorithm: { scheme: "ECDSA", hash: "SHA-256" },
      extensions: [...extensions, subjectKeyIdentifier(publicKey)],
    });
    const raw = await crypto.subtle.sign(
      { name: "ECDSA", hash: "SHA-256" },
      rootKey.privateKey,
      Uint8Array.from(prepared.toBeSigned),
    );
    return prepared.complete(ecdsaFromRaw(new Uint8Array(raw)));
  };
  const root = await issue(issuer, rootSpki, [
    basicConstraints(true, 0),
    keyUsage("keyCertSign", "cRLSign"),
  ]);
  const officers = await Promise.all(OFFICERS.map(async ({ name, pan }) => {
    const key = await generate();
    const subject = encodeName([
      country,
      ["O", TRIAL_ORGANISATION],
      ["serialNumber", createHash("sha256").update(pan).digest("hex")],
      ["CN", name],
    ]);
    return {
      name,
      pan,
      certificate: await issue(subject, await spkiOf(key), [
        basicConstraints(false),
        keyUsage("digitalSignature", "nonRepudiation"),
        extKeyUsage([keyPurposes.clientAuth, keyPurposes.emailProtection]),
        certificatePolicies(CLASS_3),
        authorityKeyIdentifier(rootSpki),
      ]),
      chain: [root],
      key: new Uint8Array(await crypto.subtle.exportKey("pkcs8", key.privateKey)),
    };
  }));
  return { root: readCertificate(root), officers };
}
