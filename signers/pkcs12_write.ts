/**
 * Writing PKCS #12 files: PBES2 with AES-256-CBC and PBKDF2 over HMAC-SHA-256 for the key, the certificates in the
 * clear (they are public, and so can be listed before the password is known), and an HMAC-SHA-256 over all.
 */
import { createCipheriv, createHash, createHmac, pbkdf2, randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { Tag } from "../formats/asn1/read.ts";
import {
  concat,
  explicit,
  integer,
  nullValue,
  octetString,
  oid,
  sequence,
  setOf,
  tlv,
} from "../formats/asn1/der.ts";
import { HASHES } from "../formats/digest.ts";
import { Id, pkcs12Kdf } from "./pkcs12_kdf.ts";

const derive = promisify(pbkdf2);

/** Content of a file for {@link writePkcs12}. */
export interface Pkcs12Options {
  /** PKCS #8 (RFC 5208), DER. */
  key: Uint8Array;
  /** DER; the key's own first. */
  certificates: readonly Uint8Array[];
  /** UTF-8. */
  password: Uint8Array;
  /** Shown by programs that import the file. */
  friendlyName: string;
  /** Of Id.pbkdf2 and the MAC; 100,000 by default. */
  iterations?: number;
}

/** Writes a file; `openssl pkcs12` reads it. */
export async function writePkcs12(options: Pkcs12Options): Promise<Uint8Array<ArrayBuffer>> {
  const { key, certificates, password, friendlyName, iterations = 100_000 } = options;
  const utf16 = concat(...Array.from(friendlyName, (character) => {
    return Uint8Array.from({ length: 2 * character.length }, (_, i) => {
      const unit = character.charCodeAt(i >> 1);
      return i % 2 === 0 ? unit >> 8 : unit & 0xff;
    });
  }));
  const attribute = (type: string, value: Uint8Array) => sequence(oid(type), setOf([value]));
  const attributes = setOf([
    attribute(Id.friendlyName, tlv(Tag.BMP_STRING, utf16)),
    attribute(Id.localKeyId, octetString(createHash("sha256").update(certificates[0]).digest())),
  ]);
  const certificateBags = certificates.map((certificate, i) =>
    sequence(
      oid(Id.certBag),
      explicit(0, sequence(oid(Id.x509Certificate), explicit(0, octetString(certificate)))),
      ...(i === 0 ? [attributes] : []),
    )
  );
  const keyBag = sequence(
    oid(Id.shroudedKeyBag),
    explicit(0, await encryptKey(key, password, iterations)),
    attributes,
  );
  const data = (content: Uint8Array) => sequence(oid(Id.data), explicit(0, octetString(content)));
  const authSafe = sequence(data(sequence(...certificateBags)), data(sequence(keyBag)));
  const salt = randomBytes(16);
  const macKey = pkcs12Kdf(3, "SHA-256", password, salt, iterations, 32);
  const mac = createHmac("sha256", macKey).update(authSafe).digest();
  macKey.fill(0);
  return sequence(
    integer(3),
    data(authSafe),
    sequence(
      sequence(sequence(oid(HASHES["SHA-256"].oid), nullValue()), octetString(mac)),
      octetString(salt),
      integer(iterations),
    ),
  );
}

/** EncryptedPrivateKeyInfo (RFC 5208 §6). */
async function encryptKey(key: Uint8Array, password: Uint8Array, iterations: number) {
  const salt = randomBytes(16);
  const iv = randomBytes(16);
  const secret = await derive(password, salt, iterations, 32, "sha256");
  const cipher = createCipheriv("aes-256-cbc", secret, iv);
  const encrypted = concat(cipher.update(key), cipher.final());
  secret.fill(0);
  const prf = sequence(oid(Id.hmacWithSha256), nullValue());
  return sequence(
    sequence(
      oid(Id.pbes2),
      sequence(
        sequence(oid(Id.pbkdf2), sequence(octetString(salt), integer(iterations), prf)),
        sequence(oid(Id.aes256Cbc), octetString(iv)),
      ),
    ),
    octetString(encrypted),
  );
}
