/** GeneralName (RFC 5280 §4.2.1.6): the forms in which certificates name people, hosts and places. */
import { type Asn1Node, only, readOid } from "../asn1/read.ts";
import { FormatError } from "../error.ts";
import { type Name, readName } from "./name.ts";

export type GeneralName =
  | { readonly kind: "rfc822" | "dns" | "uri"; readonly text: string }
  | { readonly kind: "directory"; readonly name: Name }
  /** 4 or 16 bytes; twice as many (address and mask) in name constraints. */
  | { readonly kind: "ip"; readonly bytes: Uint8Array }
  | { readonly kind: "registeredId"; readonly oid: string }
  /** otherName, x400Address, ediPartyName: kept, not interpreted. */
  | { readonly kind: "other"; readonly tag: number; readonly der: Uint8Array };

export type GeneralNameKind = GeneralName["kind"];

const ascii = new TextDecoder("latin1");

/** @throws {FormatError} `asn1_malformed` */
export function readGeneralName(node: Asn1Node): GeneralName {
  switch (node.tag) {
    case 0x81:
      return { kind: "rfc822", text: ia5(node) };
    case 0x82:
      return { kind: "dns", text: ia5(node) };
    case 0x86:
      return { kind: "uri", text: ia5(node) };
    case 0xa4:
      return { kind: "directory", name: readName(only(node, "A directory name")) };
    case 0x87:
      return { kind: "ip", bytes: node.content };
    case 0x88:
      return { kind: "registeredId", oid: readOid(node) };
    case 0xa0:
    case 0xa3:
    case 0xa5:
      return { kind: "other", tag: node.tag, der: node.bytes };
    default:
      throw new FormatError("asn1_malformed", "A general name has an unknown form.");
  }
}

const isAscii = ({ content }: Asn1Node) => content.every((byte) => byte >= 0x20 && byte < 0x7f);

/** IA5String: other bytes and NUL are refused, they have been used to pass for another name. */
function ia5(node: Asn1Node): string {
  if (!isAscii(node)) {
    throw new FormatError("asn1_malformed", "A name has characters outside ASCII.");
  }
  return ascii.decode(node.content);
}

/**
 * GeneralNames, also under an IMPLICIT tag. A text that is not in ASCII (an e-mail address in UTF-8) is kept as a name
 * that cannot be interpreted: it is no reason to refuse a certificate, and it equals nothing.
 */
export const readGeneralNames = (node: Asn1Node): GeneralName[] =>
  node.children.map((each) =>
    TEXTS.has(each.tag) && !isAscii(each)
      ? { kind: "other", tag: each.tag, der: each.bytes }
      : readGeneralName(each)
  );

const TEXTS: ReadonlySet<number> = new Set([0x81, 0x82, 0x86]);

/** The form of a text that {@link readGeneralNames} could not interpret. */
export const unreadableKind = (tag: number): GeneralNameKind | undefined =>
  ({ 0x81: "rfc822", 0x82: "dns", 0x86: "uri" } as const)[tag];
