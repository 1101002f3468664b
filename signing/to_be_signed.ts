/**
 * Checks the bytes to be signed for a file that a reader assembles. The reader has parsed a stranger's input, so before
 * the key signs, the bytes must be of the requested kind and cover the content shown to the person.
 */
import { Buffer } from "node:buffer";
import { sameBytes } from "../formats/x509/certificate.ts";
import type { Content } from "./content.ts";
import type { DataHow } from "./data.ts";

const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);
const utf8 = new TextDecoder();

/** Whether these are the signed attributes, the SignedInfo or the JWS signing input of a signature over data. */
export function isOver(toBeSigned: Uint8Array, how: DataHow, content: Content): boolean {
  switch (how.format) {
    case "cades":
      return isSignedAttributes(
        toBeSigned,
        // RFC 5652 §11.4: a countersignature is over a signature
        "countersign" in how ? undefined : content.digest(how.hash),
      );
    case "jws":
      return isJwsOver(toBeSigned, content.bytes);
    default:
      return /^<[\w.:-]*SignedInfo[\s>]/.test(text(toBeSigned.subarray(0, 256)));
  }
}

/** RFC 5652 §5.4: a SET with the messageDigest in it. */
function isSignedAttributes(toBeSigned: Uint8Array, digest: Uint8Array | undefined): boolean {
  return toBeSigned[0] === 0x31 &&
    (!digest || Buffer.from(toBeSigned).includes(Buffer.from(digest)));
}

/** RFC 7515 §5.1: header, a dot, the payload. */
export function isJwsOver(toBeSigned: Uint8Array, payload: Uint8Array): boolean {
  const signed = payloadOf(toBeSigned);
  return signed !== null && sameBytes(signed, payload);
}

/** A JWS signing input over a statement for the content that has this digest, in hex. */
export function isStatement(toBeSigned: Uint8Array, sha256: string): boolean {
  const signed = payloadOf(toBeSigned);
  try {
    return signed !== null && JSON.parse(utf8.decode(signed))?.content === sha256;
  } catch {
    return false; // no JSON
  }
}

function payloadOf(toBeSigned: Uint8Array): Uint8Array | null {
  const [header, payload, ...more] = text(toBeSigned).split(".");
  if (payload === undefined || more.length > 0 || !/^[\w-]+$/.test(header)) return null;
  try {
    return Uint8Array.fromBase64(payload, { alphabet: "base64url" });
  } catch {
    return null; // no Base64
  }
}
