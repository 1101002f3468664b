/** The key of an authorization: made or opened for it, every signature checked, closed before anything goes out. */
import { digest } from "../formats/digest.ts";
import { FormatError } from "../formats/error.ts";
import type { SignatureAlgorithm } from "../formats/signer.ts";
import { verifySignature } from "../formats/x509/signature.ts";
import type { Authority } from "./authority.ts";
import { CscError, toCscError } from "./error.ts";
import { type KeyStore, type OpenKey, schemeOf } from "./keys.ts";
import type { Authorized } from "./redeem.ts";
import type { Receipted } from "./log.ts";
import type { Store } from "./store.ts";

export interface KeyOptions {
  store: Store;
  keys: KeyStore;
  authority: Authority;
}

/** A key with its certificate; every signature was checked against it. */
export interface Ready {
  certificate: Uint8Array;
  chain: readonly Uint8Array[];
  algorithm: SignatureAlgorithm;
  sign(input: { digest: Uint8Array }): Promise<Uint8Array>;
}

/**
 * Does something with the key of an authorization.
 *
 * @returns what came of it, with the receipt of its line in the audit
 */
export async function withKey<T extends object>(
  options: KeyOptions,
  authorized: Authorized,
  work: (key: Ready) => Promise<T>,
): Promise<T & Receipted> {
  const { store, authority } = options;
  const { transaction, client, credential, person, hash, hashes, facts } = authorized;
  let serial: string | undefined;
  const settle = (type: "signed" | "failed", more: Record<string, unknown>) =>
    store.runWithLines(async (tx) => {
      const found = (await tx.apply({ id: transaction }, { type }))!;
      if (!found.outcome.ok) {
        if (type === "signed") throw new CscError("sad_expired", "it was ended meanwhile");
        // Given up by the sweep, or kept before the database's answer was lost: the audit has its end.
        const { phase, end } = found.transaction;
        if (phase === "done" || end === "failed") return;
      }
      tx.audit({
        event: type === "signed" ? "signature.made" : "signature.failed",
        transaction,
        client,
        person: person.id,
        credential: credential.id,
        serial,
        ...more,
      });
    });
  let result: T;
  let line: string;
  const signatures: string[] = [];
  try {
    const { key, certificate, ...opened } = await openKey(options, authorized);
    serial = opened.serial;
    const algorithm = { scheme: schemeOf(credential.keyType), hash };
    try {
      result = await work({
        certificate,
        chain: authority.issuerOf(certificate).chain,
        algorithm,
        sign: async (input) => {
          const signature = await key.sign(algorithm, input.digest);
          if (!verifySignature(certificate, algorithm, input, signature)) {
            throw new CscError("server_error", "the key made a signature that is not valid");
          }
          signatures.push(new Uint8Array(digest("SHA-256", signature)).toHex());
          return signature;
        },
      });
    } finally {
      await key.close();
    }
    const kind = "departmental PIN/OTP";
    const settled = await settle("signed", { hashes, signatures, consent: facts.consent, kind });
    line = settled.lines.at(-1)!;
  } catch (error) {
    const known = error instanceof FormatError
      ? new CscError("document_malformed", error.message)
      : toCscError(error);
    await settle("failed", { reason: known.reason ?? known.message });
    throw known;
  }
  return { ...result, ...await store.log.receiptFor(line) };
}

async function openKey(
  { store, keys, authority }: KeyOptions,
  { credential, person, transaction }: Authorized,
): Promise<{ key: OpenKey; certificate: Uint8Array; serial: string }> {
  if (credential.kind === "one-time") {
    const { key, publicKey } = await keys.oneTime(credential.keyType);
    try {
      const applicant = { key, type: credential.keyType, publicKey };
      const { der, serial } = await authority.issue(person, applicant, {
        kind: "one-time",
        transaction,
      });
      return { key, certificate: der, serial };
    } catch (error) {
      await key.close();
      throw error;
    }
  }
  const row = await store.read((tx) => tx.certificate(credential.serial!));
  if (!row || row.revokedAt !== null) throw new CscError("credential_disabled", "revoked");
  if (row.notAfter <= store.now()) throw new CscError("certificate_expired");
  return { key: await keys.open(credential.key!), certificate: row.der, serial: row.serial };
}
