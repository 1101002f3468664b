/** The certificates of the person's store MY that have a private key, and those above them in the store CA. */
import { failure } from "./errors.ts";
import type { KeyPlace } from "./key.ts";
import {
  CERT_CONTEXT_SIZE,
  CERT_KEY_PROV_INFO_PROP_ID,
  CERT_STORE_PROV_SYSTEM_W,
  decodeCertContext,
  decodeDword,
  decodeKeyProvInfo,
  encodeText,
  KEY_PROV_INFO_SIZE,
  OPEN_READ_ONLY,
} from "./layout.ts";
import type { RawWindows } from "./raw.ts";

export interface StoredCertificate {
  /** DER */
  der: Uint8Array<ArrayBuffer>;
  place: KeyPlace;
  /** Those above it, nearest first; DER. */
  issuers: Uint8Array<ArrayBuffer>[];
}

/** A longer path is no real one. */
const MAX_CHAIN = 8;
const ERROR_FILE_NOT_FOUND = 2;

/**
 * Reads the store. Loads no provider.
 *
 * @throws {Pkcs11Error} `driver_error` if it cannot be opened
 */
export function storedCertificates(raw: RawWindows): StoredCertificate[] {
  const { crypt32 } = raw;
  const own = openStore(raw, "MY");
  if (own === 0n) {
    const status = raw.lastError();
    // A person who never had a certificate has no store.
    if (status === ERROR_FILE_NOT_FOUND) return [];
    throw failure("CertOpenStore", status);
  }
  const authorities = openStore(raw, "CA");
  const found: StoredCertificate[] = [];
  // Each step frees the context of the one before.
  for (let at = 0n; (at = crypt32.CertEnumCertificatesInStore(own, at)) !== 0n;) {
    const place = placeOf(raw, at);
    if (place) found.push({ der: derOf(raw, at), place, issuers: issuersOf(raw, authorities, at) });
  }
  for (const store of [own, authorities]) if (store !== 0n) crypt32.CertCloseStore(store, 0);
  return found;
}

const openStore = ({ crypt32 }: RawWindows, name: string) =>
  crypt32.CertOpenStore(
    BigInt(CERT_STORE_PROV_SYSTEM_W),
    0,
    0n,
    OPEN_READ_ONLY,
    encodeText(name),
  );

function derOf(raw: RawWindows, context: bigint): Uint8Array<ArrayBuffer> {
  const { address, length } = decodeCertContext(raw.read(context, CERT_CONTEXT_SIZE));
  return raw.read(address, length);
}

/** null: the certificate has no key here. */
function placeOf(raw: RawWindows, context: bigint): KeyPlace | null {
  const { crypt32 } = raw;
  const length = new Uint8Array(4);
  const get = (info: Uint8Array<ArrayBuffer> | null) =>
    crypt32.CertGetCertificateContextProperty(context, CERT_KEY_PROV_INFO_PROP_ID, info, length);
  if (!get(null) || decodeDword(length) < KEY_PROV_INFO_SIZE) return null;
  const info = new Uint8Array(decodeDword(length));
  if (!get(info)) return null;
  const { container, provider, ...rest } = decodeKeyProvInfo(info, raw.addressOf(info));
  return container && provider ? { ...rest, container, provider } : null;
}

function issuersOf(raw: RawWindows, authorities: bigint, of: bigint): Uint8Array<ArrayBuffer>[] {
  const { crypt32 } = raw;
  const issuers: Uint8Array<ArrayBuffer>[] = [];
  if (authorities === 0n) return issuers;
  let below = of;
  while (issuers.length < MAX_CHAIN) {
    const flags = new Uint8Array(4); // Nothing is checked: names alone lead upward.
    const issuer = crypt32.CertGetIssuerCertificateFromStore(authorities, below, 0n, flags);
    if (below !== of) crypt32.CertFreeCertificateContext(below);
    if (issuer === 0n) return issuers;
    issuers.push(derOf(raw, issuer));
    below = issuer;
  }
  crypt32.CertFreeCertificateContext(below);
  return issuers;
}
