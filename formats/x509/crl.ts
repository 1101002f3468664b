/** Reading certificate revocation lists (RFC 5280 §5). */
import {
  type Asn1Node,
  expect,
  Fields,
  only,
  readAsn1,
  readBigInteger,
  readBitString,
  readInteger,
  readTime,
  Tag,
} from "../asn1/read.ts";
import { FormatError } from "../error.ts";
import { EntryIndex, readEntry } from "./crl_entries.ts";
import { type GeneralName, readGeneralNames } from "./general_name.ts";
import { type Name, readName, type RelativeName } from "./name.ts";
import {
  type CrlReason,
  crlReasonName,
  type DistributionPoint,
  type Extension,
  extensionIds,
  readDistributionPointName,
  readDistributionPoints,
  readExtensions,
  readFlags,
} from "./extensions.ts";

/** RFC 5280 §5.2.5: what a CRL covers. */
export interface IssuingDistributionPoint {
  readonly names?: readonly GeneralName[];
  readonly relativeName?: RelativeName;
  readonly onlyContainsUserCerts: boolean;
  readonly onlyContainsCaCerts: boolean;
  readonly onlyContainsAttributeCerts: boolean;
  /** Bits of ReasonFlags; absent: all reasons. */
  readonly onlySomeReasons?: number;
  readonly indirectCrl: boolean;
}

export interface RevokedEntry {
  readonly revokedAt: Date;
  /** `unspecified` if the list gives none. */
  readonly reason: CrlReason;
}

/** A CRL as {@link readCrl} returns it. */
export interface Crl {
  readonly der: Uint8Array;
  /** TBSCertList: the bytes under the signature. */
  readonly tbs: Uint8Array;
  readonly issuer: Name;
  readonly thisUpdate: Date;
  readonly nextUpdate?: Date;
  /** AlgorithmIdentifier, DER. */
  readonly signatureAlgorithm: Uint8Array;
  readonly signature: Uint8Array;
  readonly authorityKeyIdentifier?: Uint8Array;
  readonly number?: bigint;
  /** Number of the CRL that this delta CRL is to be added to; absent: a complete CRL. */
  readonly baseNumber?: bigint;
  readonly issuingDistributionPoint?: IssuingDistributionPoint;
  /** DER of the issuing distribution point, to find the delta CRLs of the same scope. */
  readonly scope?: Uint8Array;
  readonly freshestCrl?: readonly DistributionPoint[];
  /** Expired certificates stay on the list from this time on (X.509 expiredCertsOnCRL). */
  readonly expiredCertsSince?: Date;
  /**
   * Looks a certificate up by its issuer and the content octets of its serial number. The first
   * call reads the whole list.
   *
   * @throws {FormatError} `crl_malformed`; `extension_unsupported` if an entry has a critical
   *   extension that is not understood, so that the list must not be used (§5.3)
   */
  find(issuer: Name, serialNumber: Uint8Array): RevokedEntry | undefined;
}

const MAX_CRL_BYTES = 64 * 1024 * 1024;

/** Extensions of the CRL that are understood here. */
const processed: ReadonlySet<string> = new Set([
  extensionIds.authorityKeyIdentifier,
  extensionIds.cRLNumber,
  extensionIds.deltaCRLIndicator,
  extensionIds.issuingDistributionPoint,
  extensionIds.freshestCRL,
  extensionIds.expiredCertsOnCRL,
]);

const malformed = (message: string, cause?: unknown) =>
  new FormatError("crl_malformed", message, { cause });

/** Turns errors of the ASN.1 and certificate readers into those of CRLs. */
function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (
      error instanceof FormatError &&
      (error.code === "asn1_malformed" || error.code === "certificate_malformed")
    ) throw malformed(`The revocation list cannot be read: ${error.message}`, error);
    throw error;
  }
}

/**
 * Reads a CRL; its entries are read when first looked into.
 *
 * @param der a CertificateList in DER; it is kept, not copied
 * @throws {FormatError} `crl_malformed`; `limit_exceeded` beyond 64 MiB; `extension_unsupported` for
 *   a critical extension that is not understood, with which it must not be used (§5.2)
 */
export function readCrl(der: Uint8Array): Crl {
  if (der.length > MAX_CRL_BYTES) {
    throw new FormatError("limit_exceeded", "The revocation list is larger than 64 MiB.");
  }
  return reading(() => readFields(der));
}

function readFields(der: Uint8Array): Crl {
  const outer = new Fields(readAsn1(der), "a revocation list");
  const tbs = outer.take(Tag.SEQUENCE);
  const signatureAlgorithm = outer.take(Tag.SEQUENCE).bytes;
  const signature = readBitString(outer.take(Tag.BIT_STRING));
  outer.end();

  const fields = new Fields(tbs, "a revocation list");
  const version = fields.maybe(Tag.INTEGER);
  if (version && readInteger(version) !== 1) {
    throw malformed("The revocation list has an unknown version.");
  }
  const innerAlgorithm = fields.take(Tag.SEQUENCE).bytes;
  if (innerAlgorithm.toHex() !== signatureAlgorithm.toHex()) {
    throw malformed("The revocation list names two different signature algorithms.");
  }
  const issuer = readName(fields.take(Tag.SEQUENCE));
  const thisUpdate = readTime(fields.take());
  const nextUpdate = fields.maybe(Tag.UTC_TIME, Tag.GENERALIZED_TIME);
  const entries = fields.maybe(Tag.SEQUENCE);
  const extensionField = fields.maybe(0xa0);
  fields.end();
  if (extensionField && !version) {
    throw malformed("A revocation list with extensions must have version 2.");
  }
  const extensions = extensionField
    ? readExtensions(only(extensionField, "The extensions"))
    : new Map<string, Extension>();
  refuseUnknownCritical(extensions, processed);
  const read = <T>(id: string, reader: (node: Asn1Node) => T): T | undefined => {
    const extension = extensions.get(id);
    return extension && reader(readAsn1(extension.value));
  };
  const scope = extensions.get(extensionIds.issuingDistributionPoint)?.value;
  const content = entries?.content ?? new Uint8Array();
  let index: EntryIndex | undefined;
  return {
    der,
    tbs: tbs.bytes,
    issuer,
    thisUpdate,
    nextUpdate: nextUpdate && readTime(nextUpdate),
    signatureAlgorithm,
    signature: signature.bytes,
    authorityKeyIdentifier: read(extensionIds.authorityKeyIdentifier, (node) => {
      return new Fields(node, "an authority key identifier").maybe(0x80)?.content;
    }),
    number: read(extensionIds.cRLNumber, readBigInteger),
    baseNumber: read(extensionIds.deltaCRLIndicator, readBigInteger),
    issuingDistributionPoint: scope && readIssuingDistributionPoint(readAsn1(scope)),
    scope,
    freshestCrl: read(extensionIds.freshestCRL, readDistributionPoints),
    expiredCertsSince: read(extensionIds.expiredCertsOnCRL, readTime),
    find(issuerName, serialNumber) {
      return reading(() => {
        index ??= new EntryIndex(content, issuer.key, (list) => {
          const extensions = readExtensions(list);
          refuseUnknownCritical(extensions, processedInEntries);
          return readCertificateIssuer(extensions)?.key;
        });
        const at = index.find(issuerName.key, serialNumber);
        if (at === undefined) return undefined;
        const { time, extensionList } = readEntry(content, at);
        const reason = extensionList && readReason(readExtensions(extensionList));
        return { revokedAt: readTime(time), reason: reason ?? "unspecified" };
      });
    },
  };
}

function refuseUnknownCritical(
  extensions: ReadonlyMap<string, Extension>,
  known: ReadonlySet<string>,
): void {
  for (const [id, { critical }] of extensions) {
    if (critical && !known.has(id)) {
      throw new FormatError(
        "extension_unsupported",
        `The revocation list has a critical extension (${id}) that D-Sign does not support.`,
      );
    }
  }
}

function readIssuingDistributionPoint(node: Asn1Node): IssuingDistributionPoint {
  const fields = new Fields(node, "an issuing distribution point");
  const name = fields.maybe(0xa0);
  const flag = (tag: number) => {
    const field = fields.maybe(tag);
    // The BOOLEAN stands under an IMPLICIT tag.
    return field !== undefined && field.content.length === 1 && field.content[0] !== 0;
  };
  const onlyContainsUserCerts = flag(0x81);
  const onlyContainsCaCerts = flag(0x82);
  const someReasons = fields.maybe(0x83);
  const indirectCrl = flag(0x84);
  const onlyContainsAttributeCerts = flag(0x85);
  fields.end();
  return {
    ...(name && readDistributionPointName(only(name, "A distribution point"))),
    onlyContainsUserCerts,
    onlyContainsCaCerts,
    onlyContainsAttributeCerts,
    onlySomeReasons: someReasons && readFlags(someReasons),
    indirectCrl,
  };
}

/** The entry extensions that are understood (§5.3). */
const processedInEntries: ReadonlySet<string> = new Set([
  extensionIds.reasonCode,
  extensionIds.certificateIssuer,
]);

function readReason(extensions: ReadonlyMap<string, Extension>): CrlReason | undefined {
  const extension = extensions.get(extensionIds.reasonCode);
  if (!extension) return undefined;
  return crlReasonName(readInteger(expect(readAsn1(extension.value), 0x0a, "A reason")));
}

function readCertificateIssuer(extensions: ReadonlyMap<string, Extension>): Name | undefined {
  const extension = extensions.get(extensionIds.certificateIssuer);
  if (!extension) return undefined;
  const node = expect(readAsn1(extension.value), Tag.SEQUENCE, "A certificate issuer");
  const name = readGeneralNames(node).find(({ kind }) => kind === "directory");
  if (name?.kind !== "directory") throw malformed("An entry's issuer is not a directory name.");
  return name.name;
}
