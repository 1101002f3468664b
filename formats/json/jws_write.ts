/**
 * Making JSON signatures: JWS in general JSON serialisation (RFC 7515 §7.2.1) with the header of JAdES baseline B-B
 * (ETSI TS 119 182-1). jws_add.ts adds more signers.
 */
import { ecdsaToRaw } from "../keys/ecdsa.ts";
import {
  encodeBase64url as encode,
  encodeHeader,
  type HeaderOptions,
  jwaAlgorithms,
  jwaName,
  orderBytes,
} from "./jws_header.ts";

const utf8 = new TextEncoder();

export interface PreparedJws {
  /** JWS Signing Input (RFC 7515 §5.1). */
  readonly toBeSigned: Uint8Array;
  /** @returns the JWS, general JSON serialisation. `signature` is as a `Signer` gives it: ECDSA in DER. */
  complete(signature: Uint8Array): string;
}

/**
 * Builds a JSON signature over a payload up to the bytes to be signed.
 *
 * @param detached whether the payload stays outside the JWS (RFC 7515 appendix F)
 * @throws {FormatError} `algorithm_unsupported`, `certificate_malformed`
 */
export function prepareJws(
  { payload, detached = false, ...options }: HeaderOptions & {
    payload: Uint8Array;
    detached?: boolean;
  },
): PreparedJws {
  return prepareOver(options, { payload: encode(payload), detached, existing: [] });
}

/**
 * Builds a signature behind others over the same payload.
 *
 * @param over `payload` is BASE64URL; `existing` are entries of `signatures`
 */
export function prepareOver(
  options: HeaderOptions,
  { payload, detached, existing }: {
    payload: string;
    detached: boolean;
    existing: readonly object[];
  },
): PreparedJws {
  const { certificate, algorithm } = options;
  const protectedHeader = encodeHeader(options);
  return {
    toBeSigned: utf8.encode(`${protectedHeader}.${payload}`),
    complete(signature) {
      const { curve } = jwaAlgorithms[jwaName(algorithm, certificate)];
      const value = curve ? ecdsaToRaw(signature, orderBytes[curve]) : signature;
      const own = { protected: protectedHeader, signature: encode(value) };
      return JSON.stringify({ ...!detached && { payload }, signatures: [...existing, own] });
    },
  };
}
