/** A PKI that lives as long as one trial agent: a root, and two officers. Nobody can mistake it: {@linkcode TRIAL_ORGANISATION}. */
import { createHash } from "node:crypto";
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
} from "../formats/x509/write.ts";
import { makeP256Key, makeThrowawayAuthority } from "../signers/throwaway_authority.ts";

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
  const country: ["C", string] = ["C", "IN"];
  const name = encodeName([
    country,
    ["O", TRIAL_ORGANISATION],
    ["CN", `TRIAL root ${crypto.getRandomValues(new Uint8Array(4)).toHex()}`],
  ]);
  const { publicKey: rootKey, issue } = await makeThrowawayAuthority(name, now, VALID_DAYS);
  const root = await issue(name, rootKey, [
    basicConstraints(true, 0),
    keyUsage("keyCertSign", "cRLSign"),
  ]);
  const officers = await Promise.all(OFFICERS.map(async ({ name, pan }) => {
    const { key, publicKey } = await makeP256Key();
    const subject = encodeName([
      country,
      ["O", TRIAL_ORGANISATION],
      ["serialNumber", createHash("sha256").update(pan).digest("hex")],
      ["CN", name],
    ]);
    const certificate = await issue(subject, publicKey, [
      basicConstraints(false),
      keyUsage("digitalSignature", "nonRepudiation"),
      extKeyUsage([keyPurposes.clientAuth, keyPurposes.emailProtection]),
      certificatePolicies(CLASS_3),
      authorityKeyIdentifier(rootKey),
    ]);
    return { name, pan, certificate, chain: [root], key };
  }));
  return { root: readCertificate(root), officers };
}
