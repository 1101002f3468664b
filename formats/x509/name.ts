/**
 * Distinguished names: reading, showing them (RFC 4514) and comparing them as RFC 5280 §7.1 asks:
 * without regard to case, spacing and string type.
 */
import { type Asn1Node, expect, Fields, readAsn1, readOid, readText, Tag } from "../asn1/read.ts";
import { directoryString, ia5String, oid, sequence, setOf } from "../asn1/der.ts";
import { FormatError } from "../error.ts";

export interface NameAttribute {
  /** Attribute type, dotted. */
  readonly type: string;
  /** The text of the value; `undefined` if the value is no character string. */
  readonly text?: string;
  /** The value as received, identifier and length included. */
  readonly value: Uint8Array;
}

/** Attributes of one level of the name; mostly one. */
export type RelativeName = readonly NameAttribute[];

const EMAIL = "1.2.840.113549.1.9.1";
const DOMAIN_COMPONENT = "0.9.2342.19200300.100.1.25";

/** Attribute types by their short names, as they are shown and as certificates are written. */
export const attributeTypes = {
  CN: "2.5.4.3",
  SN: "2.5.4.4",
  serialNumber: "2.5.4.5",
  C: "2.5.4.6",
  L: "2.5.4.7",
  ST: "2.5.4.8",
  street: "2.5.4.9",
  O: "2.5.4.10",
  OU: "2.5.4.11",
  title: "2.5.4.12",
  postalCode: "2.5.4.17",
  telephoneNumber: "2.5.4.20",
  givenName: "2.5.4.42",
  pseudonym: "2.5.4.65",
  organizationIdentifier: "2.5.4.97",
  DC: DOMAIN_COMPONENT,
  UID: "0.9.2342.19200300.100.1.1",
  emailAddress: EMAIL,
} as const;

export type AttributeTypeName = keyof typeof attributeTypes;

const shortNames = new Map<string, string>(
  Object.entries(attributeTypes).map(([name, type]) => [type, name]),
);

const MAX_ATTRIBUTES = 256;

/** A distinguished name, with the bytes it was received in. */
export class Name {
  #key?: string;

  constructor(
    /** The RDNSequence, DER as received. */
    readonly der: Uint8Array,
    /** From the root (country) down, in the order of the encoding. */
    readonly rdns: readonly RelativeName[],
  ) {}

  get isEmpty(): boolean {
    return this.rdns.length === 0;
  }

  /** The text of the last (most specific) attribute of this type. */
  text(type: AttributeTypeName): string | undefined {
    const wanted = attributeTypes[type];
    return this.rdns.flat().findLast((attribute) => attribute.type === wanted)?.text;
  }

  get commonName(): string | undefined {
    return this.text("CN");
  }

  /** RFC 4514: most specific first, special characters escaped. */
  toString(): string {
    return this.rdns.toReversed().map((rdn) => rdn.map(showAttribute).join("+")).join(",");
  }

  /** Equal for exactly those names that are the same by RFC 5280 §7.1. */
  get key(): string {
    return this.#key ??= this.rdns.map(relativeKey).join("/");
  }

  equals(other: Name): boolean {
    return this.key === other.key;
  }

  /** Whether this name is `base` or lies below it (RFC 5280 §7.1, §4.2.1.10). */
  isWithin(base: Name): boolean {
    return base.rdns.length <= this.rdns.length &&
      base.rdns.every((rdn, level) => relativeKey(rdn) === relativeKey(this.rdns[level]));
  }
}

/** The name one level below `base`, for names given relative to another (RFC 5280 §4.2.1.13). */
export function nameBelow(base: Name, rdn: RelativeName): Name {
  const attributes = rdn.map(({ type, value }) => sequence(oid(type), value));
  const der = sequence(readAsn1(base.der).content, setOf(attributes));
  return new Name(der, [...base.rdns, rdn]);
}

/**
 * Reads a Name (RFC 5280 §4.1.2.4).
 *
 * @throws {FormatError} `asn1_malformed`; `limit_exceeded` beyond 256 attributes
 */
export function readName(node: Asn1Node | Uint8Array): Name {
  const sequenceNode = node instanceof Uint8Array ? readAsn1(node) : node;
  let count = 0;
  const rdns = expect(sequenceNode, Tag.SEQUENCE, "A name").children.map((set) => {
    const rdn = readRelativeName(expect(set, Tag.SET, "A part of a name"));
    if ((count += rdn.length) > MAX_ATTRIBUTES) {
      throw new FormatError("limit_exceeded", `A name has more than ${MAX_ATTRIBUTES} parts.`);
    }
    return rdn;
  });
  return new Name(sequenceNode.bytes, rdns);
}

/** Reads the attributes of a RelativeDistinguishedName, also under an IMPLICIT tag. */
export function readRelativeName(node: Asn1Node): RelativeName {
  if (node.children.length === 0) {
    throw new FormatError("asn1_malformed", "A part of a name is empty.");
  }
  return node.children.map((attribute) => {
    const fields = new Fields(attribute, "a part of a name");
    const type = readOid(fields.take(Tag.OID));
    const value = fields.take();
    fields.end();
    return { type, text: readText(value), value: value.bytes };
  });
}

function showAttribute({ type, text, value }: NameAttribute): string {
  const shown = text === undefined ? `#${value.toHex()}` : text
    .replace(/["+,;<>\\]|^[ #]| $/g, "\\$&")
    // deno-lint-ignore no-control-regex -- control characters must not reach a terminal or page
    .replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, escapeBytes);
  return `${shortNames.get(type) ?? type}=${shown}`;
}

function escapeBytes(character: string): string {
  return new TextEncoder().encode(character).toHex().replace(/../g, "\\$&");
}

/** Prepared as RFC 4518 §2 says, as far as it changes what compares as equal. */
function prepareText(text: string): string {
  return text
    .replace(/[\u00ad\u1806\u034f\u180b-\u180d\ufe00-\ufe0f\ufffc\u200b]/g, "") // mapped to nothing
    .normalize("NFKC").toLowerCase().normalize("NFKC")
    .replace(/\s+/g, " ").trim();
}

function relativeKey(rdn: RelativeName): string {
  const keys = rdn.map(({ type, text, value }) => {
    const comparable = text === undefined ? `#${value.toHex()}` : `=${prepareText(text)}`;
    return `${type}${comparable.length}${comparable}`;
  });
  return keys.length === 1 ? keys[0] : keys.sort().join("+");
}

/**
 * Encodes a name of one attribute a level, from the country down.
 *
 * @returns DER of the RDNSequence
 */
export function encodeName(attributes: readonly [AttributeTypeName, string][]): Uint8Array {
  return sequence(
    ...attributes.map(([type, text]) =>
      setOf([sequence(oid(attributeTypes[type]), encodeValue(type, text))])
    ),
  );
}

function encodeValue(type: AttributeTypeName, text: string): Uint8Array {
  return type === "emailAddress" || type === "DC" ? ia5String(text) : directoryString(text);
}
