/**
 * The certificate for wss://: for this computer's loopback names, issued by an authority made for it alone.
 * The authority may certify nothing but these names, and its key is forgotten once it has signed the one certificate:
 * whoever trusts it trusts nothing else, ever.
 */
import { join } from "node:path";
import { pem } from "../formats/asn1/pem.ts";
import {
  authorityKeyIdentifier,
  basicConstraints,
  extKeyUsage,
  keyUsage,
  permittedHosts,
  subjectAltHosts,
} from "../formats/x509/write.ts";
import { encodeName } from "../formats/x509/name.ts";
import { type Certificate, readCertificate } from "../formats/x509/certificate.ts";
import { keyPurposes } from "../formats/x509/extensions.ts";
import { DsignError } from "../protocol/errors.ts";
import { makeP256Key, makeThrowawayAuthority } from "../signers/throwaway_authority.ts";
import { makeStateFolder } from "../settings/config.ts";
import { writeAtomically } from "../settings/files.ts";

const HOSTS = { dns: ["localhost"], ip: ["127.0.0.1"] };
const ORGANISATION = "D-Sign on this computer";

const DAY = 24 * 3600 * 1000;
/** Apple's systems refuse server certificates that are valid longer than 825 days. */
const VALID_DAYS = 820;
/** A certificate with less than this left is replaced. */
const RENEW_DAYS = 60;

/** All PEM. */
export interface TlsIdentity {
  /** PKCS #8. */
  key: string;
  certificate: string;
  authority: string;
}

/** The DER of the first block of a PEM text; null if there is none. */
export function derOf(text: string): Uint8Array<ArrayBuffer> | null {
  const match = /-----BEGIN [A-Z ]+-----([A-Za-z0-9+/=\s]+)-----END/.exec(text);
  try {
    return match && Uint8Array.fromBase64(match[1]);
  } catch {
    return null;
  }
}

/** Makes a new authority and its one certificate; the authority's key does not outlive the call. */
export async function issueIdentity(now: Date): Promise<TlsIdentity> {
  const random = crypto.getRandomValues(new Uint8Array(4)).toHex();
  const name = encodeName([["O", ORGANISATION], ["CN", `D-Sign ${random}`]]);
  const { publicKey: authorityKey, issue } = await makeThrowawayAuthority(name, now, VALID_DAYS);
  const authority = await issue(name, authorityKey, [
    basicConstraints(true, 0),
    keyUsage("keyCertSign"),
    extKeyUsage([keyPurposes.serverAuth]),
    permittedHosts(HOSTS),
  ]);
  const { key, publicKey } = await makeP256Key();
  try {
    const subject = encodeName([["O", ORGANISATION], ["CN", "localhost"]]);
    const certificate = await issue(subject, publicKey, [
      basicConstraints(false),
      keyUsage("digitalSignature"),
      extKeyUsage([keyPurposes.serverAuth]),
      subjectAltHosts(HOSTS),
      authorityKeyIdentifier(authorityKey),
    ]);
    return {
      key: pem("PRIVATE KEY", key),
      certificate: pem("CERTIFICATE", certificate),
      authority: pem("CERTIFICATE", authority),
    };
  } finally {
    key.fill(0);
  }
}

/** File of the authority's certificate, below the folder of {@linkcode ensureIdentity}. */
export const authorityPath = (folder: string): string => join(folder, "authority.pem");

/**
 * The identity kept in a folder; a new one if there is none, or if the old one ends within two months.
 *
 * @returns with `replaced`, the authority (PEM) that browsers may still trust
 * @throws {DsignError} `storage_failed`
 */
export async function ensureIdentity(
  folder: string,
  now: Date,
): Promise<{ identity: TlsIdentity; replaced: string | null }> {
  const path = join(folder, "identity.json");
  const old = await readIdentity(path);
  if (
    old &&
    readCertificate(derOf(old.certificate)!).notAfter.getTime() - now.getTime() > RENEW_DAYS * DAY
  ) {
    return { identity: old, replaced: null };
  }
  await makeStateFolder(folder);
  const identity = await issueIdentity(now);
  await writeAtomically(path, JSON.stringify(identity, null, 2) + "\n");
  await writeAtomically(authorityPath(folder), identity.authority);
  return { identity, replaced: old?.authority ?? null };
}

/**
 * Keeps an identity from ending while it is in use: looks again and again whether there is a new one.
 *
 * @param ready returns the identity to use now, like {@linkcode ensureIdentity}
 * @param use called with a new one
 * @param failed called if `ready` fails; the next attempt still follows
 * @param every milliseconds; a day leaves many tries before the end
 * @returns ends it
 */
export function watchIdentity(
  first: TlsIdentity,
  ready: () => Promise<TlsIdentity>,
  use: (identity: TlsIdentity) => void,
  failed: (error: unknown) => void,
  every = DAY,
): () => void {
  let { certificate } = first;
  let ended = false;
  let timer: ReturnType<typeof setTimeout>;
  // One look after the other: two at a time would each make a new authority.
  const look = async () => {
    try {
      const identity = await ready();
      if (ended || identity.certificate === certificate) return;
      ({ certificate } = identity);
      use(identity);
    } catch (error) {
      failed(error);
    } finally {
      if (!ended) timer = setTimeout(look, every);
    }
  };
  timer = setTimeout(look, every);
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}

async function readIdentity(path: string): Promise<TlsIdentity | null> {
  try {
    const { key, certificate, authority } = JSON.parse(await Deno.readTextFile(path));
    return [key, certificate, authority].every((text) => typeof text === "string" && derOf(text))
      ? { key, certificate, authority }
      : null;
  } catch (error) {
    // Make an unusable one again.
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return null;
    throw new DsignError("storage_failed", `The file ${path} cannot be read.`, {
      cause: String(error),
    });
  }
}

/**
 * Whether a certificate is an authority of this kind: one that can certify this computer's loopback names alone. No
 * other is ever put among those that are trusted.
 */
export function isLoopbackAuthority(certificate: Certificate): boolean {
  const { basicConstraints, extKeyUsage, nameConstraints } = certificate;
  const { permitted = [], excluded = [] } = nameConstraints ?? {};
  return basicConstraints?.ca === true && basicConstraints.pathLength === 0 &&
    extKeyUsage?.length === 1 && extKeyUsage[0] === keyPurposes.serverAuth &&
    excluded.length === 0 && permitted.length === 2 &&
    permitted.some((base) => base.kind === "dns" && base.text === "localhost") &&
    permitted.some((base) => base.kind === "ip" && base.bytes.toHex() === "7f000001ffffffff");
}
