/** Key pairs made on a token. */
import * as C from "./constants.ts";
import { Pkcs11Error } from "./error.ts";
import type { KeySpec, PublicPart } from "./messages.ts";
import type { Module } from "./module.ts";
import { objectUri, type PrivateKey } from "./objects.ts";

/** Curves in which keys are made, by size in bits: DER of the OID. */
const CURVES: Record<number, string> = { 256: "06082a8648ce3d030107", 384: "06052b81040022" };

/**
 * Makes a key pair of which the private half never leaves the token.
 *
 * @param session a handle; read-write, if the key is to stay on the token
 * @param token its URI
 * @throws {Pkcs11Error} `mechanism_unsupported`, `driver_*`
 */
export function makeKeyPair(
  module: Module,
  session: bigint,
  token: string,
  { type, bits, id }: KeySpec,
): { key: PrivateKey; publicPart: PublicPart } {
  const curve = CURVES[bits];
  if (type === "ec" && !curve) throw new Pkcs11Error("mechanism_unsupported");
  const onToken = id !== undefined;
  const named = onToken ? [[C.CKA_ID, Uint8Array.fromHex(id)] as const] : [];
  const specific = type === "ec" ? [[C.CKA_EC_PARAMS, Uint8Array.fromHex(curve)] as const] : [
    [C.CKA_MODULUS_BITS, bits] as const,
    [C.CKA_PUBLIC_EXPONENT, Uint8Array.of(1, 0, 1)] as const,
  ];
  const made = module.generateKeyPair(
    session,
    type === "ec" ? C.CKM_EC_KEY_PAIR_GEN : C.CKM_RSA_PKCS_KEY_PAIR_GEN,
    [[C.CKA_TOKEN, onToken], [C.CKA_VERIFY, true], ...named, ...specific],
    [
      [C.CKA_TOKEN, onToken],
      [C.CKA_PRIVATE, true],
      [C.CKA_SENSITIVE, true],
      [C.CKA_EXTRACTABLE, false],
      [C.CKA_SIGN, true],
      ...named,
    ],
  );
  const publicPart = readPublicPart(module, session, made.publicKey, type);
  if (!onToken) module.destroy(session, made.publicKey);
  const names = { id: id ?? "", label: "" };
  const key: PrivateKey = {
    info: {
      uri: objectUri(token, names, "private"),
      ...names,
      ...{ type, bits, alwaysAuthenticate: false },
    },
    handle: made.privateKey,
    canSign: true,
    signatureLength: Math.ceil(bits / 8) * (type === "ec" ? 2 : 1),
  };
  return { key, publicPart };
}

function readPublicPart(
  module: Module,
  session: bigint,
  object: bigint,
  type: "rsa" | "ec",
): PublicPart {
  const read = (attribute: number) => {
    const value = module.attribute(session, object, attribute);
    if (!value?.length) {
      throw new Pkcs11Error("driver_nonsense", {
        functionName: "C_GenerateKeyPair",
        reason: "the public key cannot be read",
      });
    }
    return value;
  };
  if (type === "rsa") {
    return {
      type,
      modulus: read(C.CKA_MODULUS).toHex(),
      exponent: read(C.CKA_PUBLIC_EXPONENT).toHex(),
    };
  }
  const point = read(C.CKA_EC_POINT);
  // PKCS#11 v2.40 §2.3.3: a DER OCTET STRING around the point; some drivers leave it out.
  const wrapped = point[0] === 4 && point[1] === point.length - 2;
  return { type, point: (wrapped ? point.subarray(2) : point).toHex() };
}
