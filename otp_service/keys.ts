/**
 * Where signing keys live: in a PKCS#11 module, or, where no module can be had, in the embedded store (node:crypto, encrypted
 * at rest). A one-time key is made for one authorization and destroyed after it; a stored key lasts.
 */
import { generateKeyPair as generate, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { bitString, nullValue, oid, sequence, unsignedInteger } from "../formats/asn1/der.ts";
import type { SignatureAlgorithm } from "../formats/signer.ts";
import { softwareKey } from "../signers/software_key.ts";
import { CscError } from "./error.ts";
import { type Secrets, token } from "./secrets.ts";
import type { KeyType } from "./rows.ts";
import type { Store } from "./store.ts";

/** A private key that is ready to sign. */
export interface OpenKey {
  /**
   * Signs a digest.
   *
   * @returns RSA: of the modulus' length; ECDSA: DER `ECDSA-Sig-Value`
   */
  sign(algorithm: SignatureAlgorithm, digest: Uint8Array): Promise<Uint8Array>;
  /** One-time keys are destroyed; of a stored one the memory is let go. */
  close(): Promise<void>;
}

export interface KeyStore {
  /** Makes a key that exists until it is closed, or this process ends. */
  oneTime(type: KeyType): Promise<{ key: OpenKey; publicKey: Uint8Array }>;
  /** Makes a key that stays; `id` finds it again. */
  create(type: KeyType): Promise<{ id: string; publicKey: Uint8Array }>;
  /** @throws {CscError} `unavailable` where the key is not there */
  open(id: string): Promise<OpenKey>;
  /** @throws {CscError} `unavailable` where keys cannot be used now */
  check(): Promise<void>;
}

interface KeySpec {
  type: "rsa" | "ec";
  bits: number;
  /** Object identifier of the curve. */
  curve?: string;
}

/** Of each kind of key: what PKCS#11 makes, and the curve (RFC 5480 §2.1.1.1). */
const SPECS: Readonly<Record<KeyType, KeySpec>> = {
  "p-256": { type: "ec", bits: 256, curve: "1.2.840.10045.3.1.7" },
  "p-384": { type: "ec", bits: 384, curve: "1.3.132.0.34" },
  "rsa-2048": { type: "rsa", bits: 2048 },
  "rsa-3072": { type: "rsa", bits: 3072 },
};

/** Size in bits, and the curve's object identifier. */
export const keySpec = (type: KeyType): KeySpec => SPECS[type];

/** How keys of a type sign. */
export function schemeOf(type: KeyType): "ECDSA" | "RSASSA-PKCS1-v1_5" {
  return SPECS[type].type === "ec" ? "ECDSA" : "RSASSA-PKCS1-v1_5";
}

/** Keys in this process, and sealed in the database. */
export function embeddedKeys(store: Store, secrets: Secrets): KeyStore {
  const make = async (type: KeyType) => {
    const { type: kind, bits } = SPECS[type];
    const pair = kind === "rsa"
      ? await promisify(generate)("rsa", { modulusLength: bits })
      : await promisify(generate)("ec", { namedCurve: type.toUpperCase() });
    return { pkcs8: der(pair.privateKey, "pkcs8"), publicKey: der(pair.publicKey, "spki") };
  };
  const openPkcs8 = async (pkcs8: Uint8Array): Promise<OpenKey> => {
    const key = await softwareKey(pkcs8);
    pkcs8.fill(0);
    return {
      // deno-lint-ignore require-await -- a failure is a rejection
      sign: async (algorithm, digest) => key.sign(algorithm, { digest }),
      // deno-lint-ignore require-await
      close: async () => key.wipe(),
    };
  };
  return {
    async oneTime(type) {
      const { pkcs8, publicKey } = await make(type);
      return { key: await openPkcs8(pkcs8), publicKey };
    },
    async create(type) {
      const { pkcs8, publicKey } = await make(type);
      const id = token();
      const sealed = secrets.seal(`key ${id}`, pkcs8);
      pkcs8.fill(0);
      await store.run((tx) => tx.saveKey(id, sealed));
      return { id, publicKey };
    },
    async open(id) {
      const sealed = await store.read((tx) => tx.key(id));
      if (sealed === null) throw new CscError("unavailable", `key ${id} is missing`);
      return await openPkcs8(secrets.open(`key ${id}`, sealed));
    },
    check: () => Promise.resolve(), // the database has them
  };
}

function der(key: KeyObject, type: "pkcs8" | "spki"): Uint8Array {
  return new Uint8Array(key.export({ format: "der", type: type as "pkcs8" }));
}

/** Codes of `Pkcs11Error` after which a session is no more. */
const LOST = [
  "user_not_logged_in",
  "token_removed",
  "token_not_present",
  "token_not_found",
  "driver_crashed",
  "driver_timeout",
];

/** A key of a module's session; `Pkcs11Key` is one. */
export interface ModuleKey {
  sign(request: {
    scheme: "ECDSA" | "RSASSA-PKCS1-v1_5";
    hash: "SHA-256" | "SHA-384" | "SHA-512";
    input: "digest";
    data: Uint8Array;
  }): Promise<Uint8Array>;
  destroy(): Promise<void>;
}

/** A module's session that is logged in; `Pkcs11Session` is one. */
export interface ModuleSession {
  generate(spec: { type: "rsa" | "ec"; bits: number; id?: string }): Promise<{
    key: ModuleKey;
    publicPart: { type: "rsa"; modulus: string; exponent: string } | { type: "ec"; point: string };
  }>;
  key(selector: { id: string }): Promise<ModuleKey>;
  certificates(): Promise<unknown>;
}

/**
 * Keys in a PKCS#11 module.
 *
 * @param open opens a session and logs in; called at the first use, and again when the session is lost with the
 *   module's process. What it throws is told to the caller of that use.
 */
export function moduleKeys(open: () => Promise<ModuleSession>): KeyStore {
  let session: Promise<ModuleSession> | undefined;
  /** Looking for a key takes longer than signing with it, so each is looked for once a session. */
  const found = new WeakMap<ModuleSession, Map<string, Promise<ModuleKey>>>();
  const within = async <T>(work: (session: ModuleSession) => Promise<T>): Promise<T> => {
    const current = session ??= open();
    try {
      return await work(await current);
    } catch (error) {
      // A new session at the next use; this one's work is not repeated, since it may have been done. A PIN that was
      // refused is never tried again: the module would lock.
      const { code = "" } = error as { code?: string };
      if (session === current && LOST.includes(code)) session = undefined;
      throw new CscError("unavailable", `PKCS#11: ${(error as Error).message}`);
    }
  };
  const openKey = (key: ModuleKey, oneTime: boolean): OpenKey => ({
    sign: ({ scheme, hash }, data) =>
      within(() =>
        key.sign({
          scheme: scheme as "ECDSA" | "RSASSA-PKCS1-v1_5",
          hash: hash as "SHA-256" | "SHA-384" | "SHA-512",
          input: "digest",
          data,
        })
      ),
    close: () => oneTime ? within(() => key.destroy()) : Promise.resolve(),
  });
  return {
    oneTime: (type) =>
      within(async (session) => {
        const { type: kind, bits } = SPECS[type];
        const { key, publicPart } = await session.generate({ type: kind, bits });
        return { key: openKey(key, true), publicKey: publicKeyInfo(type, publicPart) };
      }),
    create: (type) =>
      within(async (session) => {
        const { type: kind, bits } = SPECS[type];
        const id = crypto.getRandomValues(new Uint8Array(16)).toHex();
        const { publicPart } = await session.generate({ type: kind, bits, id });
        return { id, publicKey: publicKeyInfo(type, publicPart) };
      }),
    open: (id) =>
      within(async (session) => {
        const known = found.getOrInsertComputed(session, () => new Map());
        const key = known.getOrInsertComputed(id, () => session.key({ id }));
        try {
          return openKey(await key, false);
        } catch (error) {
          known.delete(id);
          throw error;
        }
      }),
    check: () =>
      within(async (session) => {
        await session.certificates();
      }),
  };
}

type PublicPart = Awaited<ReturnType<ModuleSession["generate"]>>["publicPart"];

/** SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) of what a module gives. */
function publicKeyInfo(type: KeyType, part: PublicPart): Uint8Array {
  if (part.type === "ec") {
    const algorithm = sequence(oid("1.2.840.10045.2.1"), oid(SPECS[type].curve!));
    return sequence(algorithm, bitString(Uint8Array.fromHex(part.point)));
  }
  const key = sequence(
    unsignedInteger(Uint8Array.fromHex(part.modulus)),
    unsignedInteger(Uint8Array.fromHex(part.exponent)),
  );
  return sequence(sequence(oid("1.2.840.113549.1.1.1"), nullValue()), bitString(key));
}
