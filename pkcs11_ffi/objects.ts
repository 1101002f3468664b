/** What a session sees of a token's certificates and private keys. */
import { Buffer } from "node:buffer";
import * as C from "./constants.ts";
import { Pkcs11Error, type Pkcs11ErrorCode } from "./error.ts";
import type { MlDsa } from "./mechanism.ts";
import type { CertificateObject, KeyInfo, KeySelector } from "./messages.ts";
import type { Module } from "./module.ts";
import { formatUri, parseUri } from "./uri.ts";

/** Curves by the DER of their OID (RFC 5480 §2.1.1.1), with their size in bits. */
const CURVES = new Map([
  ["06082a8648ce3d030107", 256],
  ["06052b81040022", 384],
  ["06052b81040023", 521],
]);

/** After these failures a session, or its token, has no more answers. */
const GONE: readonly Pkcs11ErrorCode[] = ["token_removed", "token_not_present"];

/** Parameter sets by CKA_PARAMETER_SET. */
const ML_DSA_SETS = new Map<number, MlDsa>([
  [C.CKP_ML_DSA_44, "ML-DSA-44"],
  [C.CKP_ML_DSA_65, "ML-DSA-65"],
  [C.CKP_ML_DSA_87, "ML-DSA-87"],
]);
/** Lengths in bytes (FIPS 204 Table 2). */
const ML_DSA = {
  "ML-DSA-44": { publicKey: 1312, signature: 2420 },
  "ML-DSA-65": { publicKey: 1952, signature: 3309 },
  "ML-DSA-87": { publicKey: 2592, signature: 4627 },
};

/** A private key of a session. */
export interface PrivateKey {
  info: KeyInfo;
  handle: bigint;
  /** CKA_SIGN; drivers that do not say are given the benefit of the doubt. */
  canSign: boolean;
  /** Length of a signature as PKCS#11 gives it, in bytes. */
  signatureLength: number;
}

/** The objects of one session. */
export class Objects {
  readonly #module: Module;
  readonly #handle: bigint;
  readonly #token: string;

  /**
   * @param handle of the session
   * @param token its URI
   */
  constructor(module: Module, handle: bigint, token: string) {
    this.#module = module;
    this.#handle = handle;
    this.#token = token;
  }

  /**
   * The X.509 certificates that this session sees. One that cannot be read hides no other: it has an empty `der`. Only
   * when none can be read is the failure thrown.
   *
   * @throws {Pkcs11Error}
   */
  certificates(): CertificateObject[] {
    const { found, failure } = this.#readEach(C.CKO_CERTIFICATE, (object) => {
      const type = this.#module.ulongAttribute(this.#handle, object, C.CKA_CERTIFICATE_TYPE);
      if (type !== null && type !== C.CKC_X_509) return null;
      const der = this.#module.attribute(this.#handle, object, C.CKA_VALUE);
      return der?.length ? withoutPadding(der) : null; // Without a value it is stored elsewhere, by URL.
    });
    if (failure && found.every(({ value }) => value === undefined)) throw failure;
    return found.map(({ object, value = new Uint8Array(0) }) => {
      const names = this.#names(object);
      return { uri: this.#uri(names, "cert"), ...names, der: value };
    });
  }

  /**
   * Finds a private key that can sign: by CKA_ID, unless its public part contradicts the
   * certificate; else by its public part. A public part is in a certificate when its bytes are:
   * an RSA modulus or an EC point do not get there by chance. A key that has neither is meant
   * when no other key can be.
   *
   * @throws {Pkcs11Error} `key_not_found`, `key_not_usable`
   */
  key({ id, certificate: der, publicKey }: KeySelector): PrivateKey {
    const certificate = der && Buffer.from(der);
    const byId: PrivateKey[] = [];
    const byPublicPart: PrivateKey[] = [];
    const nameless: PrivateKey[] = [];
    const { found: keys, failure } = this.#readEach(
      C.CKO_PRIVATE_KEY,
      (object) => this.#describe(object, publicKey),
    );
    for (const { value: key } of keys) {
      if (!key) continue;
      const sameId = id !== undefined && id !== "" && key.info.id === id.toLowerCase();
      if (!certificate) {
        if (sameId) byId.push(key);
        continue;
      }
      const publicPart = this.#publicPart(key);
      if (publicPart && certificate.includes(publicPart)) byPublicPart.push(key);
      if (sameId && (!publicPart || certificate.includes(publicPart))) byId.push(key);
      if (!publicPart && key.info.id === "" && key.info.type === publicKey?.type) {
        nameless.push(key);
      }
    }
    const found = [byId, byPublicPart].find(({ length }) => length > 0) ?? nameless;
    if (found === nameless && found.length !== 1) throw failure ?? new Pkcs11Error("key_not_found");
    const usable = found.find((key) => key.canSign);
    if (!usable) throw new Pkcs11Error("key_not_usable");
    return usable;
  }

  /** Something that a driver need not have; null also where it fails instead of saying so. */
  #optional<T>(read: () => T): T | null {
    try {
      return read();
    } catch (error) {
      if (isGone(error)) throw error;
      return null;
    }
  }

  /**
   * Reads every object of a class: `value` is undefined for those that cannot be read, of which `failure` is the
   * first's. Leaves out those for which `read` gives null.
   */
  #readEach<T>(
    objectClass: number,
    read: (object: bigint) => T | null,
  ): { found: { object: bigint; value?: T }[]; failure?: unknown } {
    let failure: unknown;
    const found: { object: bigint; value?: T }[] = [];
    for (const object of this.#find(objectClass)) {
      try {
        const value = read(object);
        if (value !== null) found.push({ object, value });
      } catch (error) {
        if (isGone(error)) throw error;
        failure ??= error;
        found.push({ object });
      }
    }
    return { found, failure };
  }

  /** Some drivers find nothing the first time after the token was plugged in: look twice. */
  #find(objectClass: number): bigint[] {
    const first = this.#module.findObjects(this.#handle, objectClass);
    return first.length > 0 ? first : this.#module.findObjects(this.#handle, objectClass);
  }

  #names(object: bigint): { id: string; label: string } {
    const id = this.#attribute(object, C.CKA_ID);
    const label = this.#attribute(object, C.CKA_LABEL);
    return { id: id?.toHex() ?? "", label: new TextDecoder().decode(label ?? new Uint8Array()) };
  }

  #uri(names: { id: string; label: string }, type: "cert" | "private"): string {
    return objectUri(this.#token, names, type);
  }

  /** An attribute without which an object can be used. */
  #attribute(object: bigint, type: number): Uint8Array<ArrayBuffer> | null {
    return this.#optional(() => this.#module.attribute(this.#handle, object, type));
  }

  /**
   * Null for keys of other kinds.
   *
   * @param certified type and size that the certificate has, for keys that do not tell their size
   */
  #describe(object: bigint, certified: KeySelector["publicKey"]): PrivateKey | null {
    const keyType = this.#module.ulongAttribute(this.#handle, object, C.CKA_KEY_TYPE);
    if (keyType === C.CKK_ML_DSA) return this.#describeMlDsa(object);
    if (keyType !== C.CKK_RSA && keyType !== C.CKK_EC) return null;
    const type = keyType === C.CKK_RSA ? "rsa" : "ec";
    const told = type === "rsa"
      ? modulusBits(this.#attribute(object, C.CKA_MODULUS))
      : CURVES.get(this.#attribute(object, C.CKA_EC_PARAMS)?.toHex() ?? "");
    const bits = told ?? (certified?.type === type ? certified.bits : undefined);
    if (!bits) return null;
    const length = Math.ceil(bits / 8) * (type === "ec" ? 2 : 1);
    return this.#privateKey(object, { type, bits }, length);
  }

  #describeMlDsa(object: bigint): PrivateKey | null {
    const set = this.#module.ulongAttribute(this.#handle, object, C.CKA_PARAMETER_SET);
    const parameterSet = ML_DSA_SETS.get(set ?? 0);
    if (!parameterSet) return null;
    const { signature } = ML_DSA[parameterSet];
    return this.#privateKey(object, { type: "ml-dsa", bits: 0, parameterSet }, signature);
  }

  #privateKey(
    object: bigint,
    kind: Pick<KeyInfo, "type" | "bits" | "parameterSet">,
    signatureLength: number,
  ): PrivateKey {
    const names = this.#names(object);
    const alwaysAuthenticate = this.#attribute(object, C.CKA_ALWAYS_AUTHENTICATE);
    return {
      info: {
        uri: this.#uri(names, "private"),
        ...names,
        ...kind,
        alwaysAuthenticate: alwaysAuthenticate?.[0] === C.CK_TRUE,
      },
      handle: object,
      canSign: this.#attribute(object, C.CKA_SIGN)?.[0] !== 0,
      signatureLength,
    };
  }

  /**
   * RSA: the modulus. EC: x ‖ y. ML-DSA: the encoded key. Of the private key, or else of the public key with the same
   * CKA_ID. Null if neither tells.
   */
  #publicPart({ info, handle }: PrivateKey): Buffer | null {
    const size = 2 * Math.ceil(info.bits / 8);
    const read = (object: bigint) => {
      if (info.type === "rsa") return stripZeros(this.#attribute(object, C.CKA_MODULUS));
      if (info.parameterSet) {
        // A private key's CKA_VALUE is its secret; its SubjectPublicKeyInfo ends with the public key.
        const type = object === handle ? C.CKA_PUBLIC_KEY_INFO : C.CKA_VALUE;
        const length = ML_DSA[info.parameterSet].publicKey;
        const key = this.#attribute(object, type);
        return key && key.length >= length ? key.subarray(-length) : null;
      }
      const point = this.#attribute(object, C.CKA_EC_POINT);
      // Wrapped in an OCTET STRING or not, the point ends with x and y.
      return point && point.length > size ? point.subarray(-size) : null;
    };
    let found = read(handle);
    if (!found && info.id !== "") {
      for (const object of this.#find(C.CKO_PUBLIC_KEY)) {
        if (this.#attribute(object, C.CKA_ID)?.toHex() === info.id) found ??= read(object);
      }
    }
    return found && Buffer.from(found);
  }
}

/** The URI of an object of a token. */
export const objectUri = (
  token: string,
  { id, label }: { id: string; label: string },
  type: "cert" | "private",
): string => formatUri({ ...parseUri(token), object: label, id, type });

/** Whether the session or its token has ended. */
export const isGone = (error: unknown) => error instanceof Pkcs11Error && GONE.includes(error.code);

/** A certificate without what stands behind it: some cards pad it to the size of its file. */
function withoutPadding(der: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const lengthBytes = der[1] > 0x80 ? der[1] - 0x80 : 0;
  if (der[0] !== 0x30 || lengthBytes > 3) return der;
  const content = lengthBytes === 0 ? der[1] : Buffer.from(der).readUIntBE(2, lengthBytes);
  return der.subarray(0, 2 + lengthBytes + content);
}

function modulusBits(bytes: Uint8Array | null): number | undefined {
  const modulus = stripZeros(bytes);
  return modulus ? modulus.length * 8 - Math.clz32(modulus[0]) + 24 : undefined;
}

/** A big-endian number without leading zeros; null for empty input. */
function stripZeros(bytes: Uint8Array | null): Uint8Array | null {
  const start = bytes?.findIndex((byte) => byte !== 0) ?? -1;
  return start < 0 ? null : bytes!.subarray(start);
}
