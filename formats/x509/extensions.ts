/** Certificate and CRL extensions (RFC 5280 §4.2, §5.2). */
import {
  type Asn1Node,
  expect,
  Fields,
  only,
  readAsn1,
  readBitString,
  readBoolean,
  readInteger,
  readOid,
  Tag,
} from "../asn1/read.ts";
import { FormatError } from "../error.ts";
import { type GeneralName, readGeneralName, readGeneralNames } from "./general_name.ts";
import { type Name, readRelativeName, type RelativeName } from "./name.ts";

/** In the order of the bits (RFC 5280 §4.2.1.3). */
export const keyUsages = [
  "digitalSignature",
  "nonRepudiation",
  "keyEncipherment",
  "dataEncipherment",
  "keyAgreement",
  "keyCertSign",
  "cRLSign",
  "encipherOnly",
  "decipherOnly",
] as const;

export type KeyUsage = typeof keyUsages[number];

/** Object identifiers of certificate and CRL extensions. */
export const extensionIds = {
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  cRLNumber: "2.5.29.20",
  reasonCode: "2.5.29.21",
  deltaCRLIndicator: "2.5.29.27",
  issuingDistributionPoint: "2.5.29.28",
  certificateIssuer: "2.5.29.29",
  nameConstraints: "2.5.29.30",
  cRLDistributionPoints: "2.5.29.31",
  certificatePolicies: "2.5.29.32",
  policyMappings: "2.5.29.33",
  authorityKeyIdentifier: "2.5.29.35",
  policyConstraints: "2.5.29.36",
  extKeyUsage: "2.5.29.37",
  freshestCRL: "2.5.29.46",
  inhibitAnyPolicy: "2.5.29.54",
  expiredCertsOnCRL: "2.5.29.60",
  authorityInfoAccess: "1.3.6.1.5.5.7.1.1",
} as const;

/** Extended key purposes (RFC 5280 §4.2.1.12). */
export const keyPurposes = {
  any: "2.5.29.37.0",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
  codeSigning: "1.3.6.1.5.5.7.3.3",
  emailProtection: "1.3.6.1.5.5.7.3.4",
  timeStamping: "1.3.6.1.5.5.7.3.8",
  ocspSigning: "1.3.6.1.5.5.7.3.9",
  documentSigning: "1.3.6.1.5.5.7.3.36",
} as const;

/** CRLReason values (RFC 5280 §5.3.1). */
export const crlReasons = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  removeFromCRL: 8,
  privilegeWithdrawn: 9,
  aACompromise: 10,
} as const;

export type CrlReason = keyof typeof crlReasons;

const reasonNames = new Map<number, CrlReason>(
  Object.entries(crlReasons).map(([name, value]) => [value, name as CrlReason]),
);

/** Name of a CRLReason value; `undefined` if it is not defined. */
export const crlReasonName = (value: number): CrlReason | undefined => reasonNames.get(value);

export interface Extension {
  readonly critical: boolean;
  /** Content of extnValue: the DER of the extension's own type. */
  readonly value: Uint8Array;
}

/** RFC 5280 §4.2.1.10. */
export interface NameConstraints {
  readonly permitted: readonly GeneralName[];
  readonly excluded: readonly GeneralName[];
}

/** RFC 5280 §4.2.1.13. */
export interface DistributionPoint {
  /** Full names of the point; absent where it is named by its issuer alone. */
  readonly names?: readonly GeneralName[];
  /** Name of the point below that of the CRL's issuer. */
  readonly relativeName?: RelativeName;
  /** Bits of ReasonFlags covered (bit 1 = keyCompromise …); absent: all. */
  readonly reasons?: number;
  readonly crlIssuer?: readonly Name[];
}

export interface PolicyConstraints {
  readonly requireExplicitPolicy?: number;
  readonly inhibitPolicyMapping?: number;
}

const MAX_LIST = 1024;
/** Points, and names of one point: all are compared with all. */
const MAX_POINTS = 32;

const malformed = (message: string) => new FormatError("certificate_malformed", message);

/**
 * Reads Extensions (RFC 5280 §4.2). An extension that occurs twice is refused: two readers could
 * choose different ones.
 */
export function readExtensions(node: Asn1Node): Map<string, Extension> {
  const extensions = new Map<string, Extension>();
  for (const child of list(node, "extensions")) {
    const fields = new Fields(child, "an extension");
    const id = readOid(fields.take(Tag.OID));
    const critical = fields.maybe(Tag.BOOLEAN);
    const value = fields.take(Tag.OCTET_STRING).content;
    fields.end();
    if (extensions.has(id)) throw malformed(`The extension ${id} occurs twice.`);
    extensions.set(id, { critical: critical !== undefined && readBoolean(critical), value });
  }
  return extensions;
}

export type Extensions = ReadonlyMap<string, Extension>;

/** Reads an extension with `read`, if it is there. */
function read<T>(extensions: Extensions, id: string, reader: (node: Asn1Node) => T) {
  const extension = extensions.get(id);
  return extension && reader(readAsn1(extension.value));
}

/** As {@link read}, but a malformed extension counts as absent. */
function tryRead<T>(extensions: Extensions, id: string, reader: (node: Asn1Node) => T) {
  try {
    return read(extensions, id, reader);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** The extensions that decide about trust: malformed ones are refused. */
export function readTrustExtensions(extensions: Extensions) {
  const distributionPoints = read(
    extensions,
    extensionIds.cRLDistributionPoints,
    readDistributionPoints,
  );
  return {
    keyUsage: read(extensions, extensionIds.keyUsage, readKeyUsage),
    extKeyUsage: read(
      extensions,
      extensionIds.extKeyUsage,
      (node) => list(node, "key purposes").map(readOid),
    ),
    basicConstraints: read(extensions, extensionIds.basicConstraints, readBasicConstraints),
    policies: read(extensions, extensionIds.certificatePolicies, readPolicies),
    policyMappings: read(extensions, extensionIds.policyMappings, readPolicyMappings),
    policyConstraints: read(extensions, extensionIds.policyConstraints, readPolicyConstraints),
    inhibitAnyPolicy: read(extensions, extensionIds.inhibitAnyPolicy, (node) => {
      return readSkip(expect(node, Tag.INTEGER, "InhibitAnyPolicy"));
    }),
    nameConstraints: read(extensions, extensionIds.nameConstraints, readNameConstraints),
    subjectAltNames: read(
      extensions,
      extensionIds.subjectAltName,
      (node) => readGeneralNames(listOrNone(node, "alternative names")),
    ) ?? [],
    distributionPoints,
    crlUrls: (distributionPoints ?? []).flatMap((point) => point.names ?? []).flatMap((name) => {
      return name.kind === "uri" ? [name.text] : [];
    }),
    freshestCrl: read(extensions, extensionIds.freshestCRL, readDistributionPoints),
  };
}

/** The extensions that only help: malformed ones count as absent. */
export function readHelpfulExtensions(extensions: Extensions) {
  const access = tryRead(extensions, extensionIds.authorityInfoAccess, readAuthorityAccess) ?? [];
  const urls = (method: string) =>
    access.filter((each) => each.method === method).map((a) => a.url);
  return {
    subjectKeyIdentifier: tryRead(extensions, extensionIds.subjectKeyIdentifier, (node) => {
      return expect(node, Tag.OCTET_STRING, "A key identifier").content;
    }),
    authorityKeyIdentifier: tryRead(extensions, extensionIds.authorityKeyIdentifier, (node) => {
      return new Fields(node, "an authority key identifier").maybe(0x80)?.content;
    }),
    ocspUrls: urls("1.3.6.1.5.5.7.48.1"),
    caIssuerUrls: urls("1.3.6.1.5.5.7.48.2"),
  };
}

/** Children of a SEQUENCE OF that must not be empty nor endless. */
function list(node: Asn1Node, what: string): readonly Asn1Node[] {
  const { children } = listOrNone(node, what);
  if (children.length === 0) throw malformed(`The list of ${what} is empty.`);
  return children;
}

/** A SEQUENCE OF that authorities have left empty, against RFC 5280, where nothing follows from it. */
function listOrNone(node: Asn1Node, what: string, most = MAX_LIST): Asn1Node {
  if (expect(node, Tag.SEQUENCE, `The list of ${what}`).children.length > most) {
    throw new FormatError("limit_exceeded", `There are more than ${most} ${what}.`);
  }
  return node;
}

/** The set bits of a named bit list, bit 0 (the first) as 1. */
export function readFlags(node: Asn1Node): number {
  const { bytes } = readBitString(node);
  if (bytes.length > 3) throw malformed("A list of flags is too long.");
  let flags = 0;
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    if (bytes[bit >> 3] & (0x80 >> (bit & 7))) flags |= 1 << bit;
  }
  return flags;
}

function readKeyUsage(node: Asn1Node): ReadonlySet<KeyUsage> {
  const flags = readFlags(expect(node, Tag.BIT_STRING, "The key usage"));
  return new Set(keyUsages.filter((_, bit) => flags & (1 << bit)));
}

function readBasicConstraints(node: Asn1Node) {
  const fields = new Fields(node, "basic constraints");
  const ca = fields.maybe(Tag.BOOLEAN);
  const pathLength = fields.maybe(Tag.INTEGER);
  fields.end();
  return {
    ca: ca !== undefined && readBoolean(ca),
    pathLength: pathLength && readSkip(pathLength),
  };
}

/** A count of certificates; those too large to matter are all the same. */
function readSkip(node: Asn1Node): number {
  if (node.content.length > 6 && node.content[0] < 0x80) return Number.MAX_SAFE_INTEGER;
  const count = readInteger(node);
  if (count < 0) throw malformed("A count of certificates is negative.");
  return count;
}

function readPolicies(node: Asn1Node): string[] {
  const policies = list(node, "policies").map((each) => {
    return readOid(new Fields(each, "a certificate policy").take(Tag.OID));
  });
  if (new Set(policies).size !== policies.length) throw malformed("A policy occurs twice.");
  return policies;
}

function readPolicyMappings(node: Asn1Node) {
  return list(node, "policy mappings").map((each) => {
    const fields = new Fields(each, "a policy mapping");
    const mapping = {
      issuer: readOid(fields.take(Tag.OID)),
      subject: readOid(fields.take(Tag.OID)),
    };
    fields.end();
    return mapping;
  });
}

function readPolicyConstraints(node: Asn1Node): PolicyConstraints {
  const fields = new Fields(node, "policy constraints");
  const explicit = fields.maybe(0x80);
  const mapping = fields.maybe(0x81);
  fields.end();
  return {
    requireExplicitPolicy: explicit && readSkip(explicit),
    inhibitPolicyMapping: mapping && readSkip(mapping),
  };
}

function readNameConstraints(node: Asn1Node): NameConstraints {
  const fields = new Fields(node, "name constraints");
  const permitted = fields.maybe(0xa0);
  const excluded = fields.maybe(0xa1);
  fields.end();
  return { permitted: readSubtrees(permitted), excluded: readSubtrees(excluded) };
}

function readSubtrees(node: Asn1Node | undefined): GeneralName[] {
  if ((node?.children.length ?? 0) > MAX_LIST) {
    throw new FormatError("limit_exceeded", `There are more than ${MAX_LIST} name constraints.`);
  }
  return (node?.children ?? []).map((subtree) => {
    const fields = new Fields(subtree, "a name constraint");
    const base = readGeneralName(fields.take());
    const minimum = fields.maybe(0x80);
    // RFC 5280 §4.2.1.10: minimum is 0 and maximum absent for every form of name.
    if ((minimum && readInteger(minimum) !== 0) || !fields.done) {
      throw malformed("A name constraint has bounds that are not allowed.");
    }
    return base;
  });
}

/** Reads CRLDistributionPoints (RFC 5280 §4.2.1.13); FreshestCRL has the same form. */
export function readDistributionPoints(node: Asn1Node): DistributionPoint[] {
  return listOrNone(node, "distribution points", MAX_POINTS).children.map((each) => {
    const fields = new Fields(each, "a distribution point");
    const name = fields.maybe(0xa0);
    const reasons = fields.maybe(0x81);
    const issuer = fields.maybe(0xa2);
    fields.end();
    return {
      ...(name && readDistributionPointName(only(name, "A distribution point"))),
      reasons: reasons && readFlags(reasons),
      crlIssuer: issuer && readGeneralNames(issuer).flatMap((general) => {
        return general.kind === "directory" ? [general.name] : [];
      }),
    };
  });
}

/** Reads a DistributionPointName, which also an IssuingDistributionPoint has. */
export function readDistributionPointName(node: Asn1Node) {
  if (node.tag === 0xa0) {
    if (node.children.length > MAX_POINTS) {
      throw new FormatError(
        "limit_exceeded",
        `A distribution point has more than ${MAX_POINTS} names.`,
      );
    }
    return { names: readGeneralNames(node) };
  }
  if (node.tag === 0xa1) return { relativeName: readRelativeName(node) };
  throw malformed("A distribution point has an unknown form of name.");
}

function readAuthorityAccess(node: Asn1Node) {
  return list(node, "access descriptions").flatMap((each) => {
    const fields = new Fields(each, "an access description");
    const method = readOid(fields.take(Tag.OID));
    const location = readGeneralName(fields.take());
    return location.kind === "uri" ? [{ method, url: location.text }] : [];
  });
}
