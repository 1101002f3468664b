/**
 * What signatures of the higher levels need from the network: timestamps, and what a later validation will ask for:
 * certificates up to the root, and for each below it an OCSP answer or a CRL.
 */
import { attributeValues, readSignedData } from "../formats/cms/read.ts";
import { verifyCms } from "../formats/cms/verify.ts";
import { Oid } from "../formats/asn1/oids.ts";
import type { ValidationData } from "../formats/pades/dss.ts";
import { validateCertificate } from "../formats/x509/path.ts";
import { isSignedWith } from "../formats/x509/signed.ts";
import type { HashName } from "../formats/signer.ts";
import { verifyTimestamp } from "../formats/cms/timestamp.ts";
import { type Certificate, readCertificate } from "../formats/x509/certificate.ts";
import { OnlineError } from "./error.ts";
import { collectEvidence, type Evidence } from "./evidence.ts";
import { type PkiFetch, PkiHttp, publicFetch } from "./pki_http.ts";
import { requestTimestamp } from "./timestamp.ts";

/** How long what was collected serves further signatures, in milliseconds; and for how many signers. */
const REMEMBERED = 10 * 60_000;
const MAX_REMEMBERED = 16;

export interface OnlineOptions {
  /** RFC 3161 service, from the configuration and from nowhere else: a page cannot name one. */
  timestampAuthority?: string;
  /** How addresses that stand in certificates are fetched; by default, those of the public network. */
  pkiFetch?: PkiFetch;
  now: () => Date;
}

export class Online {
  readonly #evidence = new Map<string, { evidence: Evidence; until: number }>();

  constructor(readonly options: OnlineOptions) {}

  /**
   * Has a digest timestamped.
   *
   * @returns the TimeStampToken, checked against the request
   * @throws {OnlineError} `timestamp_unavailable`
   */
  async timestamp(
    hash: HashName,
    digest: Uint8Array,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const { timestampAuthority: url } = this.options;
    if (!url) {
      throw new OnlineError(
        "timestamp_unavailable",
        'No time-stamping service is known. Set "timestampAuthority" in the configuration, or sign at level B-B.',
      );
    }
    return await requestTimestamp(url, hash, digest, { signal });
  }

  /**
   * Collects what the validation of a signature and of its timestamp will need (EN 319 142-1 §5.4), and checks that it
   * suffices today.
   *
   * @param cms SignedData
   * @throws {OnlineError} `validation_data_unavailable`, `certificate_revoked`
   */
  validationData(cms: Uint8Array, signal: AbortSignal): Promise<ValidationData> {
    return this.validationDataFor(certificatesOf(cms), signal);
  }

  /** As {@linkcode validationData}, for certificates of signers and timestamp authorities. */
  async validationDataFor(
    { ends, known }: EndsAndKnown,
    signal: AbortSignal,
  ): Promise<ValidationData> {
    const evidence = await this.#collect(ends, known, signal);
    const all = [...known, ...evidence.certificates];
    for (const end of ends) {
      const anchors = all.filter(isSelfSigned);
      const result = validateCertificate(end, {
        ...evidence,
        anchors,
        intermediates: all,
        revocation: "require",
        at: this.options.now(),
      });
      if (result.trusted) continue;
      const { code, message } = result.failure;
      if (code === "certificate_revoked" || code === "certificate_on_hold") {
        throw new OnlineError("certificate_revoked", message);
      }
      const detail = evidence.problems.join(" ") || undefined;
      throw new OnlineError("validation_data_unavailable", message, detail);
    }
    return {
      certificates: all.map(({ der }) => der),
      crls: evidence.crls.map(({ der }) => der),
      ocsps: evidence.ocspResponses.map(({ der }) => der),
    };
  }

  async #collect(
    ends: readonly Certificate[],
    known: readonly Certificate[],
    signal: AbortSignal,
  ): Promise<Evidence> {
    const key = ends.map(({ fingerprint }) => fingerprint).join();
    const remembered = this.#evidence.get(key);
    const now = this.options.now().getTime();
    if (remembered && now < remembered.until) return remembered.evidence;
    const http = new PkiHttp(this.options.pkiFetch ?? publicFetch(), signal);
    const evidence = await collectEvidence(ends, known, known.filter(isSelfSigned), http);
    signal.throwIfAborted();
    this.#evidence.delete(key);
    if (this.#evidence.size >= MAX_REMEMBERED) {
      this.#evidence.delete(this.#evidence.keys().next().value!);
    }
    // What was not complete is asked for again.
    if (evidence.problems.length === 0) {
      this.#evidence.set(key, { evidence, until: now + REMEMBERED });
    }
    return evidence;
  }
}

interface EndsAndKnown {
  /** Certificates of signers and timestamp authorities. */
  ends: Certificate[];
  /** Others at hand. */
  known: Certificate[];
}

/** The certificates of signers and of their timestamp authorities, and all that the signature holds. */
function certificatesOf(cms: Uint8Array): EndsAndKnown {
  const { certificates, content, signers } = readSignedData(cms);
  const verified = verifyCms(cms, content ? {} : { detached: { digests: {} } });
  const ends = verified.signers.flatMap(({ certificate }) => certificate ?? []);
  const ders = [...certificates];
  for (const { unsignedAttributes } of signers) {
    for (const { bytes } of attributeValues(unsignedAttributes, Oid.signatureTimestamp)) {
      const token = tokenCertificates(bytes);
      ends.push(...token.ends);
      ders.push(...token.known.map(({ der }) => der));
    }
  }
  const known = new Map(
    ders.map((der) => readCertificate(der)).map((each) => [each.fingerprint, each]),
  );
  return { ends, known: [...known.values()] };
}

/** The certificate of a timestamp's authority, and all that the token holds. */
export function tokenCertificates(token: Uint8Array): EndsAndKnown {
  const { certificate, certificates } = verifyTimestamp(token, { digestOf: () => undefined });
  return {
    ends: certificate ? [certificate] : [],
    known: certificates.map((der) => readCertificate(der)),
  };
}

const isSelfSigned = (certificate: Certificate): boolean =>
  certificate.subject.equals(certificate.issuer) &&
  isSignedWith(certificate, certificate.publicKey);
