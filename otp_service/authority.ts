/**
 * The department's issuing authority: certificates for one authorization (30 minutes) and for stored keys, its CRL and its OCSP
 * answers; or one elsewhere that is asked for the certificates, and has lists and answers of its own. Every certificate carries the department's own policy, by which verifiers label its signatures as departmental PIN/OTP
 * signatures; the authority stands in no national hierarchy and claims nothing about law.
 */
import { randomBytes } from "node:crypto";
import { Fields, readAsn1, readOctetString, readOid, Tag } from "../formats/asn1/read.ts";
import { prepareRequest } from "../formats/x509/request.ts";
import {
  authorityInfoAccess,
  authorityKeyIdentifier,
  basicConstraints,
  crlDistributionPoints,
  crlNumber,
  keyUsage,
  type OcspStatus,
  policyWithNotice,
  prepareCertificate,
  prepareCrl,
  prepareOcspResponse,
  subjectAltEmails,
  subjectKeyIdentifier,
} from "../formats/x509/write.ts";
import { integer, sequence } from "../formats/asn1/der.ts";
import { digest } from "../formats/digest.ts";
import { FormatError } from "../formats/error.ts";
import { withMlDsa } from "../formats/keys/ml_dsa.ts";
import { encodeName, readName } from "../formats/x509/name.ts";
import { encodeCertId, ocspIds } from "../formats/x509/ocsp_ids.ts";
import { validateCertificate } from "../formats/x509/path.ts";
import type { Signer } from "../formats/signer.ts";
import {
  type Certificate,
  readCertificate,
  readKnownCertificate,
  sameBytes,
} from "../formats/x509/certificate.ts";
import type { CrlReason } from "../formats/x509/extensions.ts";
import { DatabaseError } from "./database.ts";
import { CscError, SetupError } from "./error.ts";
import { type OpenKey, schemeOf } from "./keys.ts";
import type { KeyType, Person } from "./rows.ts";
import type { Store } from "./store.ts";

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
/** OCSP requests that are answered at the same time: anybody may ask, and the same key signs certificates. */
const OCSP_AT_ONCE = 8;

/** An authority elsewhere. */
export interface ExternalIssuer {
  /** Its certificate and those above it, DER, nearest first. */
  certificates: readonly Uint8Array[];
  /** Gives the certificates of its answer to a PKCS #10 request (DER); {@linkcode CscError} where there is none. */
  enrol(request: Uint8Array): Promise<readonly Uint8Array[]>;
  /** Longest validity that is accepted, from now on, in milliseconds. */
  validity: { "one-time": number; stored: number };
}

/** A key that wants a certificate. */
export interface Applicant {
  key: OpenKey;
  type: KeyType;
  /** SubjectPublicKeyInfo, DER. */
  publicKey: Uint8Array;
}

export interface AuthorityOptions {
  /** The authority's key, with its certificate and those above it; or who has it. */
  issuer: Signer | ExternalIssuer;
  /** Keys that were the authority's before: their CRLs and OCSP answers are made on, and nothing else. */
  earlier?: readonly Signer[];
  /** The department's policy for its PIN/OTP signatures, dotted. */
  policy: string;
  /** Subject of the certificates. */
  country: string;
  organization: string;
  /** Where CRL, OCSP and the authority's certificate are served; ends in no slash. */
  publicUrl: string;
}

/** Content of a certificate, for any issuer. */
interface Wanted {
  subject: Uint8Array;
  publicKey: Uint8Array;
  extensions: readonly Uint8Array[];
}

export class Authority {
  readonly #options: AuthorityOptions;
  readonly #store: Store;
  /** Absent: the authority is elsewhere. */
  readonly #signer: Signer | undefined;
  readonly certificate: Certificate;
  /** The authority's certificate and those above it, DER, nearest first. */
  readonly chain: readonly Uint8Array[];
  /** Tells the authority's keys apart in addresses. */
  readonly name: string;
  /** Newest first. */
  readonly #earlier: readonly Authority[];
  #crl: { der: Uint8Array; madeAt: number } | undefined;
  #ocspUnderWay = 0;

  /** @throws {SetupError} where the certificate is not an authority's or the key may not sign */
  constructor(options: AuthorityOptions, store: Store) {
    this.#options = options;
    this.#store = store;
    const { issuer } = options;
    if ("sign" in issuer) this.#signer = issuer;
    this.chain = "sign" in issuer ? [issuer.certificate, ...issuer.chain] : issuer.certificates;
    this.certificate = readCertificate(this.chain[0]);
    const { basicConstraints, keyUsage } = this.certificate;
    if (!basicConstraints?.ca || (keyUsage && !keyUsage.has("keyCertSign"))) {
      throw new SetupError("The issuing authority's certificate is not one of an authority.");
    }
    this.name = digest("SHA-256", this.certificate.publicKey.spki).toHex().slice(0, 8);
    this.#earlier = (options.earlier ?? []).map((issuer) =>
      new Authority({ ...options, issuer, earlier: [] }, store)
    );
  }

  /** The authority with this key; without a name the oldest, whose certificates' addresses have none. */
  withKey(name?: string): Authority {
    const all = [this, ...this.#earlier];
    const found = name === undefined ? all.at(-1) : all.find((each) => each.name === name);
    if (!found) throw new CscError("not_found");
    return found;
  }

  /** The authority with the key that issued a certificate. */
  issuerOf(der: Uint8Array): Authority {
    const certificate = readKnownCertificate(der);
    return [this, ...this.#earlier].find((each) => each.#issued(certificate)) ?? this;
  }

  #issued({ issuer, authorityKeyIdentifier: key }: Certificate): boolean {
    const { subject, subjectKeyIdentifier: own } = this.certificate;
    return sameBytes(issuer.der, subject.der) && (!key || !own || sameBytes(key, own));
  }

  /** Whether this service makes its own CRL and OCSP answers. */
  get isOwn(): boolean {
    return this.#signer !== undefined;
  }

  get policy(): string {
    return this.#options.policy;
  }

  /**
   * Makes a certificate, or has it made, and remembers it. The audit line stands in the same transaction.
   *
   * @throws {CscError} `unavailable` where an authority elsewhere gives none, or another than was asked for
   */
  async issue(
    person: Person,
    applicant: Applicant,
    { kind, transaction }: { kind: "one-time" | "stored"; transaction?: string },
  ): Promise<{ der: Uint8Array; serial: string }> {
    const { policy, country, organization, issuer } = this.#options;
    const wanted = {
      subject: encodeName([
        ["C", country],
        ["O", organization],
        ...person.role ? [["title", person.role.slice(0, 64)]] as ["title", string][] : [],
        ["CN", person.name.slice(0, 64)],
        ["UID", person.id],
      ]),
      publicKey: applicant.publicKey,
      extensions: [
        basicConstraints(false),
        keyUsage("digitalSignature", "nonRepudiation"),
        policyWithNotice(
          policy,
          `Departmental PIN/OTP signature of ${organization}. Not a DSC on a token, not an eSign.`,
        ),
        ...person.email ? [subjectAltEmails(person.email)] : [],
      ],
    };
    const der = "sign" in issuer
      ? await this.#make(issuer, wanted, kind)
      : await this.#request(issuer, wanted, kind, applicant);
    const certificate = readCertificate(der);
    const serial = certificate.serialNumber.toHex();
    const notAfter = certificate.notAfter.getTime();
    await this.#store.run((tx) => {
      tx.addCertificate({
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

  async #make(signer: Signer, wanted: Wanted, kind: "one-time" | "stored"): Promise<Uint8Array> {
    const published = `${this.#options.publicUrl}/ca/${this.name}`;
    const now = this.#store.now();
    const prepared = prepareCertificate({
      serialNumber: Uint8Array.of(0x40 | randomBytes(1)[0] & 0x3f, ...randomBytes(15)),
      issuer: this.certificate.subject.der,
      subject: wanted.subject,
      notBefore: new Date(now - BACKDATED),
      notAfter: new Date(now + (kind === "one-time" ? ONE_TIME : STORED)),
      publicKey: wanted.publicKey,
      algorithm: signer.algorithm,
      extensions: [
        ...wanted.extensions,
        subjectKeyIdentifier(wanted.publicKey),
        authorityKeyIdentifier(this.certificate.publicKey.spki),
        crlDistributionPoints(`${published}/crl`),
        authorityInfoAccess({
          ocsp: `${published}/ocsp`,
          caIssuers: `${published}/certificate`,
        }),
      ],
    });
    return prepared.complete(await signer.sign({ message: prepared.toBeSigned }));
  }

  /** Asks the authority elsewhere. What it gives is looked at: a signature would go out with it. */
  async #request(
    { enrol, validity }: ExternalIssuer,
    wanted: Wanted,
    kind: "one-time" | "stored",
    { key, type }: Applicant,
  ): Promise<Uint8Array> {
    const algorithm = { scheme: schemeOf(type), hash: "SHA-256" } as const;
    const prepared = prepareRequest({ ...wanted, algorithm });
    const request = prepared.complete(
      await key.sign(algorithm, digest("SHA-256", prepared.toBeSigned)),
    );
    const answer = await enrol(request);
    const wrong = (why: string) =>
      new CscError("unavailable", `the issuing authority's certificate ${why}`);
    let certificates: Certificate[];
    try {
      certificates = answer.map((der) => readCertificate(der));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      throw wrong(`cannot be read: ${error.message}`);
    }
    const issued = certificates.find(({ publicKey }) =>
      sameBytes(publicKey.spki, wanted.publicKey)
    );
    if (!issued) throw wrong("is for another key");
    const now = this.#store.now();
    // its clock may be ahead of ours by what ours is backdated by
    const at = new Date(Math.max(now, Math.min(issued.notBefore.getTime(), now + BACKDATED)));
    const anchors = [this.certificate];
    const result = await withMlDsa(() =>
      validateCertificate(issued, { anchors, revocation: "none", at })
    );
    if (!result.trusted) throw wrong(`is not good: ${result.failure.message}`);
    if (issued.notAfter.getTime() > now + validity[kind] + BACKDATED) throw wrong("lives too long");
    if (issued.basicConstraints?.ca) throw wrong("is an authority's");
    if (issued.keyUsage && !issued.keyUsage.has("digitalSignature")) {
      throw wrong("is not for signatures");
    }
    // by it, readers know whose kind of signature this is
    if (!issued.policies?.includes(this.policy)) {
      throw wrong("does not name the department's policy");
    }
    // of the other attributes an authority makes what its profile says
    if (issued.subject.commonName !== readName(wanted.subject).commonName) {
      throw wrong("names somebody else");
    }
    return issued.der;
  }

  /**
   * The CRL (RFC 5280 §5), DER.
   *
   * @throws {CscError} `not_found` where the authority is elsewhere
   */
  async crl(): Promise<Uint8Array> {
    const signer = this.#own();
    const now = this.#store.now();
    if (this.#crl && now >= this.#crl.madeAt && now < this.#crl.madeAt + CRL_AGE) {
      return this.#crl.der;
    }
    let content;
    try {
      content = await this.#store.run(async (tx) => ({
        number: await tx.count("crl"),
        revoked: await tx.revokedCertificates(),
      }));
    } catch (error) {
      // while the database is out, the last one is still good
      if (error instanceof DatabaseError && this.#crl && now < this.#crl.madeAt + CRL_VALIDITY) {
        return this.#crl.der;
      }
      throw error;
    }
    const { number, revoked } = content;
    const prepared = prepareCrl({
      issuer: this.certificate.subject.der,
      thisUpdate: new Date(now - BACKDATED),
      nextUpdate: new Date(now + CRL_VALIDITY),
      revoked: revoked.filter(({ der }) => this.#issued(readCertificate(der))).map((
        { serial, revokedAt, reason },
      ) => ({
        serialNumber: Uint8Array.fromHex(serial),
        revokedAt: new Date(revokedAt!),
        reason: reason as CrlReason,
      })),
      algorithm: signer.algorithm,
      extensions: [
        authorityKeyIdentifier(this.certificate.publicKey.spki),
        crlNumber(number),
      ],
    });
    const der = prepared.complete(await signer.sign({ message: prepared.toBeSigned }));
    this.#crl = { der, madeAt: now };
    return der;
  }

  /**
   * Revokes a certificate; false where it is unknown or revoked already. One of an authority elsewhere is no longer used here;
   * to put it on its list is that authority's.
   */
  async revoke(serial: string, reason: CrlReason, by: string): Promise<boolean> {
    const done = await this.#store.run(async (tx) => {
      const revoked = await tx.revokeCertificate(serial, reason);
      if (revoked) tx.audit({ event: "certificate.revoked", serial, reason, by });
      return revoked;
    });
    for (const each of [this, ...this.#earlier]) each.#crl = undefined;
    return done;
  }

  /**
   * Answers an OCSP request (RFC 6960), signed by the authority itself. What cannot be answered gets one of the unsigned answers:
   * `malformedRequest`, `tryLater` where too many ask, or `unauthorized` for certificates that are not this authority's
   * (RFC 5019 §2.2.3).
   *
   * @throws {CscError} `not_found` where the authority is elsewhere
   */
  async ocsp(request: Uint8Array): Promise<Uint8Array> {
    const signer = this.#own();
    let asked;
    try {
      asked = readOcspRequest(request);
    } catch {
      return ocspError(1);
    }
    if (this.#ocspUnderWay >= OCSP_AT_ONCE) return ocspError(3);
    this.#ocspUnderWay++;
    try {
      return await this.#answer(asked, signer);
    } finally {
      this.#ocspUnderWay--;
    }
  }

  async #answer({ items, nonce }: OcspRequest, signer: Signer): Promise<Uint8Array> {
    const answers: (OcspStatus & { certificate: Certificate })[] = [];
    for (const { certId, serial } of items) {
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
      producedAt: new Date(now),
      nextUpdate: new Date(now + OCSP_VALIDITY),
      nonce,
      algorithm: signer.algorithm,
    });
    return prepared.complete(await signer.sign({ message: prepared.toBeSigned }));
  }

  #own(): Signer {
    if (!this.#signer) throw new CscError("not_found");
    return this.#signer;
  }
}

const equal = (a: Uint8Array, b: Uint8Array) => a.toHex() === b.toHex();
const ocspError = (status: number) => sequence(integer(status, 0x0a));

/** OCSPRequest (RFC 6960 §4.1.1): the certificates asked about and the nonce. */
interface OcspRequest {
  items: { certId: Uint8Array; serial: string }[];
  nonce?: Uint8Array;
}

function readOcspRequest(der: Uint8Array): OcspRequest {
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
