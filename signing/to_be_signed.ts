/**
 * Checks the bytes to be signed for a file that a reader assembles. The reader has parsed a stranger's input, so before
 * the key signs, the bytes are made here once more, from the content that the person was shown; only a statement on a
 * route, a countersignature's digest and XML depend on what the reader has read.
 */
import {
  expect,
  Fields,
  only,
  readAsn1,
  readOctetString,
  readOid,
  Tag,
} from "../formats/asn1/read.ts";
import { Oid } from "../formats/asn1/oids.ts";
import { prepareSignerInfo } from "../formats/cms/signer_info.ts";
import { encodeBase64url, encodeHeader, type HeaderOptions } from "../formats/json/jws_header.ts";
import { sameBytes } from "../formats/x509/certificate.ts";
import { manifestFor, uriOf } from "../formats/asic/manifest.ts";
import { escapeAttribute } from "../formats/xml/escape.ts";
import { digest } from "../formats/digest.ts";
import type { HashName } from "../formats/signer.ts";
import type { ContainerHow } from "./container.ts";
import type { Content } from "./content.ts";
import type { DataHow } from "./data.ts";

/** Who signs, and the time that the signature will claim. */
export type SignedBy = Omit<HeaderOptions, "contentType">;

const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);
const utf8 = (value: string) => new TextEncoder().encode(value);

/** More than the attributes and the certificates of any signer take, in bytes. */
const MAX_ATTRIBUTES = 64 * 1024;

/** Whether these are the signed attributes, the SignedInfo or the JWS signing input of a signature over data. */
export function isOver(
  toBeSigned: Uint8Array,
  how: DataHow,
  content: Content,
  by: SignedBy,
): boolean {
  switch (how.format) {
    case "cades":
      return isSignedAttributes(
        toBeSigned,
        // RFC 5652 §11.4: a countersignature is over a signature
        "countersign" in how ? undefined : content.digest(by.algorithm.hash),
        by,
      );
    case "jws":
      return isJwsOver(
        toBeSigned,
        content.bytes,
        by,
        content.mediaType === "application/json" ? "json" : undefined,
      );
    default: {
      const info = text(toBeSigned);
      // Where the content stands beside the signature, its digest stands in SignedInfo as it is.
      const isBound = !("packaging" in how) || how.packaging !== "detached" ||
        info.includes(`>${content.digest(by.algorithm.hash).toBase64()}<`);
      return /^<[\w.:-]*SignedInfo[\s>]/.test(info) && isBound;
    }
  }
}

/**
 * Whether these are the signed attributes, or the SignedInfo, of a signature over all these files of a container.
 *
 * @param signature name of the signature's file
 */
export function isOverFiles(
  toBeSigned: Uint8Array,
  { kind, format }: Pick<ContainerHow, "kind" | "format">,
  files: readonly { name: string; content: Content }[],
  signature: string,
  by: SignedBy,
): boolean {
  const { hash } = by.algorithm;
  if (format === "xades") {
    const info = text(toBeSigned);
    return /^<[\w.:-]*SignedInfo[\s>]/.test(info) && files.every(({ name, content }) => {
      // As canonical XML writes it: the file's URI in the start tag, its digest in the same reference.
      const uri = escapeAttribute(uriOf(name));
      const [, reference] = info.split(` URI="${uri}">`);
      return reference !== undefined &&
        reference.split("</ds:Reference>")[0].includes(`>${content.digest(hash).toBase64()}<`);
    });
  }
  const entries = files.map(({ name, content }) => ({
    name,
    mediaType: content.mediaType,
    digest: (hash: HashName) => content.digest(hash),
  }));
  const signed = kind === "asic-e"
    ? digest(hash, manifestFor(signature, entries, hash))
    : files[0].content.digest(hash);
  return isSignedAttributes(toBeSigned, signed, by);
}

/** RFC 5652 §5.4: the attributes that we sign, in DER, and no others. */
function isSignedAttributes(
  toBeSigned: Uint8Array,
  digest: Uint8Array | undefined,
  { signingTime, ...signer }: SignedBy,
): boolean {
  if (toBeSigned.length > MAX_ATTRIBUTES || toBeSigned[0] !== Tag.SET) return false;
  const attributes = expect(readAsn1(toBeSigned), Tag.SET, "The attributes").children.map(
    (node) => {
      const fields = new Fields(node, "an attribute");
      return [readOid(fields.take(Tag.OID)), only(fields.take(Tag.SET), "An attribute")] as const;
    },
  );
  const valueOf = (type: string) => attributes.find(([each]) => each === type)?.[1];
  // Of a CMS that is signed beside others; a countersignature has none, so it is none over a content.
  const type = digest && valueOf(Oid.contentType);
  const signed = digest ?? readOctetString(valueOf(Oid.messageDigest)!);
  const made = prepareSignerInfo(signer, type && readOid(type), signed, { signingTime });
  return sameBytes(made.toBeSigned, toBeSigned);
}

/** RFC 7515 §5.1: the header that we make, a dot, the payload. */
export function isJwsOver(
  toBeSigned: Uint8Array,
  payload: Uint8Array,
  by: SignedBy,
  contentType: string | undefined,
): boolean {
  const made = `${encodeHeader({ ...by, contentType })}.${encodeBase64url(payload)}`;
  return sameBytes(toBeSigned, utf8(made));
}

/** A JWS signing input over a statement for the content that has this digest, in hex. */
export function isStatement(toBeSigned: Uint8Array, sha256: string, by: SignedBy): boolean {
  const header = `${encodeHeader({ ...by, contentType: "json" })}.`;
  const signed = text(toBeSigned);
  if (!signed.startsWith(header)) return false;
  try {
    const payload = Uint8Array.fromBase64(signed.slice(header.length), { alphabet: "base64url" });
    const statement = JSON.parse(new TextDecoder().decode(payload));
    return statement.type === "dsign-route-statement-1" && statement.content === sha256;
  } catch {
    return false; // no Base64, no JSON
  }
}
