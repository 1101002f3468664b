/** Timestamps (RFC 3161, RFC 5816): requests, answers, and what a token proves. */
import {
  type Asn1Node,
  Fields,
  readAsn1,
  readInteger,
  readOctetString,
  readOid,
  readText,
  readTime,
  Tag,
} from "../asn1/read.ts";
import { verifyCms } from "./verify.ts";
import { concat, unsignedInteger } from "../asn1/der.ts";
import { FormatError } from "../error.ts";
import { Oid } from "../asn1/oids.ts";
import { readHash } from "../keys/algorithm.ts";
import type { DigestName } from "../signer.ts";
import { type Certificate, sameBytes } from "../x509/certificate.ts";
import { extensionIds, keyPurposes } from "../x509/extensions.ts";

const failures: readonly [bit: number, name: string][] = [
  [0, "badAlg"],
  [2, "badRequest"],
  [5, "badDataFormat"],
  [14, "timeNotAvailable"],
  [15, "unacceptedPolicy"],
  [16, "unacceptedExtension"],
  [17, "addInfoNotAvailable"],
  [25, "systemFailure"],
];

const malformed = (message: string, cause?: unknown) =>
  new FormatError("timestamp_malformed", message, { cause });

function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof FormatError && error.code === "asn1_malformed") {
      throw malformed(`The timestamp cannot be read: ${error.message}`, error);
    }
    throw error;
  }
}

/**
 * Takes the token out of a TimeStampResp (§2.4.2).
 *
 * @returns the TimeStampToken (ContentInfo) as received; {@link verifyTimestamp} checks it
 * @throws {FormatError} `timestamp_malformed`, also if the authority refused, with its reason
 */
export function readTimestampResponse(der: Uint8Array): Uint8Array {
  return reading(() => {
    const fields = new Fields(readAsn1(der, { ber: true }), "a timestamp answer");
    const statusInfo = new Fields(fields.take(Tag.SEQUENCE), "a timestamp status");
    const status = readInteger(statusInfo.take(Tag.INTEGER));
    const texts = statusInfo.maybe(Tag.SEQUENCE)?.children.map(readText) ?? [];
    const failInfo = statusInfo.maybe(Tag.BIT_STRING);
    if (status !== 0 && status !== 1) { // granted, grantedWithMods
      const reasons = [...failInfo ? readFailures(failInfo) : [], ...texts].join(", ");
      throw malformed(`The timestamp authority refused${reasons && `: ${reasons}`}.`);
    }
    const token = fields.take(Tag.SEQUENCE).bytes;
    fields.end();
    return token;
  });
}

function readFailures({ content }: Asn1Node): string[] {
  return failures
    .filter(([bit]) => (content[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7)))
    .map(([, name]) => name);
}

/** TSTInfo: what the authority states (§2.4.2). */
export interface TimestampInfo {
  readonly policy: string;
  readonly hash: DigestName;
  /** Digest of what was timestamped. */
  readonly imprint: Uint8Array;
  /** Content octets of the token's number. */
  readonly serialNumber: Uint8Array;
  readonly time: Date;
  /** How far the real time may be from {@link time}, in milliseconds, rounded up. */
  readonly accuracy?: number;
  /** Content octets of the nonce. */
  readonly nonce?: Uint8Array;
}

/** EN 319 421 §7.7.1 asks for a second. */
const MAX_ACCURACY = 60 * 60 * 1000;

/**
 * The time by which something existed if its timestamp counts: RFC 3161 §2.4.2, made within the accuracy of the time
 * stated, so that a proof counts from the end of it.
 *
 * @returns undefined where the accuracy is over an hour, which proves nothing of use
 */
export function provenBy({ time, accuracy = 0 }: TimestampInfo): Date | undefined {
  return accuracy > MAX_ACCURACY ? undefined : new Date(time.getTime() + Math.max(accuracy, 0));
}

/**
 * Reads a TSTInfo.
 *
 * @throws {FormatError} `timestamp_malformed`, `algorithm_unsupported`, `extension_unsupported`
 */
export function readTimestampInfo(der: Uint8Array): TimestampInfo {
  return reading(() => {
    const fields = new Fields(readAsn1(der, { ber: true }), "a timestamp");
    if (readInteger(fields.take(Tag.INTEGER)) !== 1) {
      throw malformed("The timestamp has an unknown version.");
    }
    const policy = readOid(fields.take(Tag.OID));
    const imprintFields = new Fields(fields.take(Tag.SEQUENCE), "a message imprint");
    const hash = readHash(imprintFields.take(Tag.SEQUENCE));
    const imprint = readOctetString(imprintFields.take());
    imprintFields.end();
    const serialNumber = fields.take(Tag.INTEGER).content;
    const time = readTime(fields.take(Tag.GENERALIZED_TIME));
    const accuracy = fields.maybe(Tag.SEQUENCE);
    fields.maybe(Tag.BOOLEAN); // ordering
    const nonce = fields.maybe(Tag.INTEGER)?.content;
    fields.maybe(0xa0); // tsa: a hint only, the signing-certificate attribute says who it was
    const extensions = fields.maybe(0xa1);
    fields.end();
    if (extensions) refuseCritical(extensions);
    return {
      policy,
      hash,
      imprint,
      serialNumber,
      time,
      accuracy: accuracy && readAccuracy(accuracy),
      nonce,
    };
  });
}

/** No extension of a timestamp is understood here, so that none may be critical. */
function refuseCritical({ children }: Asn1Node): void {
  for (const extension of children) {
    const fields = new Fields(extension, "an extension");
    const id = readOid(fields.take(Tag.OID));
    if (fields.maybe(Tag.BOOLEAN)?.content[0]) {
      throw new FormatError(
        "extension_unsupported",
        `The timestamp has a critical extension (${id}) that D-Sign does not support.`,
      );
    }
  }
}

function readAccuracy(node: Asn1Node): number {
  const fields = new Fields(node, "an accuracy");
  const seconds = fields.maybe(Tag.INTEGER);
  const millis = fields.maybe(0x80);
  const micros = fields.maybe(0x81);
  fields.end();
  const value = (field: Asn1Node | undefined) => field ? readInteger(field) : 0;
  return Math.ceil(1000 * value(seconds) + value(millis) + value(micros) / 1000);
}

/** Faults of a timestamp. */
export type TimestampProblemCode =
  /** The token's signature is wrong; or it has not exactly one signer. */
  | "signature_invalid"
  /** The authority's certificate is neither in the token nor given, or cannot be read. */
  | "certificate_missing"
  /** Its signature cannot be checked. */
  | "algorithm_unsupported"
  /** The authority did not sign which certificate it used (§2.4.2). */
  | "signing_certificate_absent"
  /** The certificate is not for timestamps alone, in a critical extension (§2.3). */
  | "not_a_timestamp_authority"
  /** It is a timestamp of something else. */
  | "imprint_mismatch"
  /** It answers another request. */
  | "nonce_mismatch"
  | "policy_mismatch"
  /** SHA-1, or a short RSA key. */
  | "algorithm_weak";

export interface TimestampProblem {
  readonly code: TimestampProblemCode;
  /** A sentence for people. */
  readonly message: string;
}

/**
 * The result of {@link verifyTimestamp}. The time counts only if there are no problems and the certificate is
 * trusted; path validation at the time in question decides that.
 */
export interface TimestampResult {
  readonly info: TimestampInfo;
  readonly problems: readonly TimestampProblem[];
  /** The authority's certificate, if it is in the token or given. */
  readonly certificate?: Certificate;
  /** Certificates in the token, DER. */
  readonly certificates: readonly Uint8Array[];
}

export interface TimestampExpectations {
  /** Digest of what must have been timestamped, by the token's own algorithm. */
  readonly digestOf: (hash: DigestName) => Uint8Array | undefined;
  /** Of the request, as it was encoded; absent for tokens found in signatures. */
  readonly nonce?: Uint8Array;
  readonly policy?: string;
  /** Further certificates (DER) among which the authority's may be. */
  readonly certificates?: readonly Uint8Array[];
}

/**
 * Checks a TimeStampToken in all but the trust in its certificate (§2.2, §2.3, §2.4.2).
 *
 * @param token ContentInfo as received, DER or BER; zero bytes may follow, as in a PDF
 * @throws {FormatError} `timestamp_malformed`, `cms_malformed`, `limit_exceeded`
 */
export function verifyTimestamp(
  token: Uint8Array,
  expected: TimestampExpectations,
): TimestampResult {
  const problems: TimestampProblem[] = [];
  const problem = (code: TimestampProblemCode, message: string) => problems.push({ code, message });
  const { cms, signers } = verifyCms(token, {
    zeroPadded: true,
    certificates: expected.certificates,
  });
  if (cms.contentType !== Oid.tstInfo || !cms.content) {
    throw malformed("The data is not a timestamp.");
  }
  const info = readTimestampInfo(concat(...cms.content));
  const [signer] = signers;
  if (signers.length !== 1) {
    problem("signature_invalid", "The timestamp must have exactly one signer.");
  } else {
    for (const { code, severity, message } of signer.findings) {
      if (code === "certificate_missing" || code === "certificate_malformed") {
        problem("certificate_missing", message);
      } else if (code === "algorithm_unsupported") problem(code, message);
      else if (severity !== "policy") problem("signature_invalid", message);
      else if (code === "signing_certificate_absent" || code === "signed_attributes_absent") {
        problem("signing_certificate_absent", message);
      } else if (code === "weak_digest" || code === "weak_key") problem("algorithm_weak", message);
    }
    if (signer.certificate && !isTimestampAuthority(signer.certificate)) {
      problem(
        "not_a_timestamp_authority",
        "The timestamp was signed with a certificate that is not for timestamps alone.",
      );
    }
  }
  if (info.hash === "SHA-1") {
    problem("algorithm_weak", "The timestamp is of a SHA-1 digest, which proves nothing.");
  }
  const digest = expected.digestOf(info.hash);
  if (!digest || !sameBytes(digest, info.imprint)) {
    problem("imprint_mismatch", "The timestamp is of other data.");
  }
  if (expected.nonce) {
    const sent = readAsn1(unsignedInteger(expected.nonce)).content;
    if (!info.nonce || !sameBytes(sent, info.nonce)) {
      problem("nonce_mismatch", "The timestamp answers another request.");
    }
  }
  if (expected.policy && expected.policy !== info.policy) {
    problem("policy_mismatch", "The timestamp was made under another policy than was asked for.");
  }
  return { info, problems, certificate: signer?.certificate, certificates: cms.certificates };
}

/** §2.3: extKeyUsage is there, critical, and timeStamping is all that it has. */
function isTimestampAuthority({ extensions, extKeyUsage, keyUsage }: Certificate): boolean {
  return extensions.get(extensionIds.extKeyUsage)?.critical === true &&
    extKeyUsage?.length === 1 && extKeyUsage[0] === keyPurposes.timeStamping &&
    (!keyUsage || keyUsage.has("digitalSignature") || keyUsage.has("nonRepudiation"));
}
