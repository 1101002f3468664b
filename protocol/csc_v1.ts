/** Version 1.0.4 of the Cloud Signature Consortium's API in the words of version 2.0, and back. */
import type { CredentialInfo } from "./csc.ts";

/** A request of version 1.0.4 in the words of version 2: `hash`, `hashAlgo`, PIN and OTP as strings. */
export function fromV1(method: string, body: Record<string, unknown>): Record<string, unknown> {
  const { hash, hashAlgo, PIN, OTP, ...rest } = body;
  if (method === "signatures/timestamp") return body;
  const factor = (id: string, value: unknown) => value === undefined ? [] : [{ id, value }];
  return {
    ...rest,
    ...hash !== undefined && { hashes: hash },
    ...hashAlgo !== undefined && { hashAlgorithmOID: hashAlgo },
    ...method === "credentials/authorize" && {
      authData: [...factor("PIN", PIN), ...factor("OTP", OTP)],
      // 1.0.4 has its signatures counted in strings too
      ...typeof rest.numSignatures === "string" && { numSignatures: Number(rest.numSignatures) },
    },
    ...method === "credentials/getChallenge" && { authObjectID: "OTP" },
  };
}

/** A credential as version 1.0.4 describes it. */
export function toV1(info: CredentialInfo): Record<string, unknown> {
  const { auth, ...rest } = info;
  const factor = (id: "PIN" | "OTP") => {
    const found = auth.objects?.find((each) => each.id === id);
    return found && {
      presence: "true",
      ...id === "OTP" && { type: found.generator ? "offline" : "online", provider: "" },
      format: "N",
      label: found.label,
      description: found.description,
    };
  };
  return {
    ...rest,
    authMode: auth.mode,
    ...auth.objects && { PIN: factor("PIN"), OTP: factor("OTP") },
  };
}
