/**
 * The department's issuing authority: certificates for one authorization (30 minutes) and for stored keys, its CRL and its OCSP
 * answers. Every certificate carries the department's own policy, by which verifiers label its signatures as departmental PIN/OTP
 * signatures; the authority stands in no national hierarchy and claims nothing about law.
 */
import { randomBytes } from "node:crypto";
import { Fields, readAsn1, readOctetString, readOid, Tag } from "../formats/asn1.ts";
import {
  authorityInfoAccess,
  authorityKeyIdentifier,
  basicConstraints,
  certificatePolicies,
  crlDistributionPoints,
  crlNumber,
  keyUsage,
  type OcspStatus,
  prepareCertificate,
  prepareCrl,
  type Prepared,
  prepareOcspResponse,
  subjectAltEmails,
  subjectKeyIdentifier,
} from "../formats/certificate_write.ts";
import { integer, sequence } from "../formats/der.ts";
import { encodeName } from "../formats/name.ts";
import { encodeCertId, ocspIds } from "../formats/ocsp.ts";
import type { Signer } from "../formats/signer.ts";
import { type Certificate, readCertificate } from "../formats/x509.ts";
import type { CrlReason } from "../formats/x509_extensions.ts";
import { SetupError } from "./error.ts";
import type { Person, Store } from "./store.ts";

/** Validity of a one-time certificate, as that of the CCA's eSign certificates. */
const ONE_TIME = 30 * 60_000;
/** And of a stored key's. */
const STORED = 2 * 365 * 24 * 3_600_000;
/** Verifiers' clocks may be a little behind. */
const BACKDATED = 60_000;
const CRL_VALIDITY = 24 * 3_600_000;
/** A CRL is made anew after this, so that revocations of other instances are in it. */
const CRL_AGE = 60_000;
const OCSP_VALIDITY = 3_600_000;
const MAX_OCSP_REQUEST = 8 * 1024;
const MAX_OCSP_ITEMS = 20;

export interface AuthorityOptions {
  /** The authority's key, with its certificate and those above it. */
  signer: Signer;
  /** The department's policy for its PIN/OTP signatures, dotted. */
  policy: string;
  /** Subject of the certificates. */
  country: string;
  organization: string;
  /** Where CRL, OCSP and the authority's certificate are served; ends in no slash. */
  publicUrl: string;
}

export class Authority {
  readonly #options: AuthorityOptions;
  readonly #store: Store;
  readonly certificate: Certificate;
  #crl: { der: Uint8Array; madeAt: number } | undefined;

  /** @throws {SetupError} where the certificate is not an authority's or the key may not sign */
  constructor(options: AuthorityOptions, store: Store) {
    this.#options = options;
    this.#store = store;
    this.certificate = readCertificate(options.signer.certificate);
    const { basicConstraints, keyUsage } = this.certificate;
    if (!basicConstraints?.ca || (keyUsage && !keyUsage.has("keyCertSign"))) {
      throw new SetupError("The issuing authority's certificate is not one of an authority.");
    }
  }

  /** The authority's certificate and those above it, DER, nearest first. */
  get chain(): readonly Uint8Array[] {
    return [this.#options.signer.certificate, ...this.#options.signer.chain];
  }

  get policy(): string {
    return this.#options.policy;
  }

  /** Makes a certificate and remembers it. The audit line stands in the same transaction. */
  async issue(
    person: Person,
    publicKey: Uint8Array,
    { kind, transaction }: { kind: "one-time" | "stored"; transaction?: string },
  ): Promise<{ der: Uint8Array; serial: string }> {
    const { signer, policy, country, organization, publicUrl } = this.#options;
    const now = this.#store.now();
    const notAfter = now + (kind === "one-time" ? ONE_TIME : STORED);
    const serialNumber = Uint8Array.of(0x40 | randomBytes(1)[0] & 0x3f, ...randomBytes(15));
    const prepared = prepareCertificate({
      serialNumber,
      issuer: this.certificate.subject.der,
      subject: encodeName([
        ["C", country],
        ["O", organization],
        ...person.role ? [["title", person.role.slice(0, 64)]] as ["title", string][] : [],
        ["CN", person.name.slice(0, 64)],
        ["UID", person.id],
      ]),
      notBefore: new Date(now - BACKDATED),
      notAfter: new Date(notAfter),
      publicKey,
      algorithm: signer.algorithm,
      extensions: [
        basicConstraints(false),
        keyUsage("digitalSignature", "nonRepudiation"),
        certificatePolicies(policy),
        subjectKeyIdentifier(publicKey),
        authorityKeyIdentifier(this.certificate.publicKey.spki),
        crlDistributionPoints(`${publicUrl}/ca/crl`),
        authorityInfoAccess({
          ocsp: `${publicUrl}/ca/ocsp`,
          caIssuers: `${publicUrl}/ca/certificate`,
        }),
        ...person.email ? [subjectAltEmails(person.email)] : [],
      ],
    });
    const der = await this.#complete(prepared);
    const serial = serialNumber.toHex();
    await this.#store.run(async (tx) => {
      await tx.addCertificate({
        serial,
        person: person.id,
        transaction: transaction ?? null,
        der,
        notAfter,
      });
      tx.audit({ event: "certificate.issued", serial, person: person.id, kind, transaction });
    });
    return { der, serial };
  }

  /** The CRL (RFC 5280 §5), DER. */
  async crl(): Promise<Uint8Array> {
    const now = this.#store.now();
    if (this.#crl && now >= this.#crl.madeAt && now < this.#crl.madeAt + CRL_AGE) {
      return this.#crl.der;
    }
    const { number, revoked } = await this.#store.run(async (tx) => ({
      number: await tx.count("crl"),
      revoked: await tx.revokedCertificates(),
    }));
    const prepared = prepareCrl({
      issuer: this.certificate.subject.der,
      thisUpdate: new Date(now - BACKDATED),
      nextUpdate: new Date(now + CRL_VALIDITY),
      revoked: revoked.map(({ serial, revokedAt, reason }) => ({
        serialNumber: Uint8Array.fromHex(serial),
        revokedAt: new Date(revokedAt!),
        reason: reason as CrlReason,
      })),
      algorithm: this.#options.signer.algorithm,
      extensions: [
        authorityKeyIdentifier(this.certificate.publicKey.spki),
        crlNumber(number),
      ],
    });
    const der = await this.#complete(prepared);
    this.#crl = { der, madeAt: now };
    return der;
  }

  /** Revokes a certificate; false where it is unknown or revoked already. */
  async revoke(serial: string, reason: CrlReason, by: string): Promise<boolean> {
    const done = await this.#store.run(async (tx) => {
      const revoked = await tx.revokeCertificate(serial, reason);
      if (revoked) tx.audit({ event: "certificate.revoked", serial, reason, by });
      return revoked;
    });
    this.#crl = undefined;
    return done;
  }

  /**
   * Answers an OCSP request (RFC 6960), signed by the authority itself. What cannot be answered gets one of the unsigned answers:
   * `malformedRequest`, or `unauthorized` for certificates that are not this authority's (RFC 5019 §2.2.3).
   */
  async ocsp(request: Uint8Array): Promise<Uint8Array> {
    let asked;
    try {
      asked = readOcspRequest(request);
    } catch {
      return ocspError(1);
    }
    const answers: (OcspStatus & { certificate: Certificate })[] = [];
    for (const { certId, serial } of asked.items) {
      const row = await this.#store.read((tx) => tx.certificate(serial));
      const certificate = row && readCertificate(row.der);
      // the same bytes: it is asked about this issuer, in the one way of naming it that is answered
      if (!certificate || !equal(encodeCertId(certificate, this.certificate), certId)) {
        return ocspError(6);
      }
      answers.push(
        row.revokedAt === null ? { status: "good", certificate } : {
          status: "revoked",
          revokedAt: new Date(row.revokedAt),
          reason: row.reason as CrlReason,
          certificate,
        },
      );
    }
    const now = this.#store.now();
    const prepared = prepareOcspResponse({
      answers,
      issuer: this.certificate,
      responder: this.certificate,
      producedAt: new Date(now),
      nextUpdate: new Date(now + OCSP_VALIDITY),
      nonce: asked.nonce,
      algorithm: this.#options.signer.algorithm,
      certificates: [],
    });
    return await this.#complete(prepared);
  }

  async #complete(prepared: Prepared): Promise<Uint8Array> {
    const { signer } = this.#options;
    return prepared.complete(await signer.sign({ message: prepared.toBeSigned }));
  }
}

const equal = (a: Uint8Array, b: Uint8Array) => a.toHex() === b.toHex();
const ocspError = (status: number) => sequence(integer(status, 0x0a));

/** OCSPRequest (RFC 6960 §4.1.1): the certificates asked about and the nonce. */
function readOcspRequest(der: Uint8Array): {
  items: { certId: Uint8Array; serial: string }[];
  nonce?: Uint8Array;
} {
  if (der.length > MAX_OCSP_REQUEST) throw new RangeError("a long request");
  const tbs = new Fields(new Fields(readAsn1(der), "a request").take(Tag.SEQUENCE), "a request");
  tbs.maybe(0xa0); // version
  tbs.maybe(0xa1); // requestorName
  const list = tbs.take(Tag.SEQUENCE).children;
  if (list.length < 1 || list.length > MAX_OCSP_ITEMS) throw new RangeError("a wrong count");
  const items = list.map((request) => {
    const id = new Fields(request, "a request").take(Tag.SEQUENCE);
    const fields = new Fields(id, "a certificate's id");
    fields.take(Tag.SEQUENCE);
    fields.take(Tag.OCTET_STRING);
    fields.take(Tag.OCTET_STRING);
    return { certId: id.bytes, serial: fields.take(Tag.INTEGER).content.toHex() };
  });
  for (const extension of tbs.maybe(0xa2)?.children[0]?.children ?? []) {
    const fields = new Fields(extension, "an extension");
    if (readOid(fields.take(Tag.OID)) !== ocspIds.nonce) continue;
    fields.maybe(Tag.BOOLEAN);
    return { items, nonce: readOctetString(fields.take(Tag.OCTET_STRING)) };
  }
  return { items };
}
