/**
 * Making JSON signatures: JWS in general JSON serialisation (RFC 7515 §7.2.1) with the header of JAdES baseline B-B
 * (ETSI TS 119 182-1): several signers on one payload, each with its own certificate.
 */
import { ecdsaToRaw } from "../keys/ecdsa.ts";
import { FormatError } from "../error.ts";
import {
  encodeBase64url as encode,
  encodeHeader,
  type HeaderOptions,
  jwaAlgorithms,
  jwaName,
  orderBytes,
} from "./jws_header.ts";
import { hasRawPayload, readJws } from "./serialization.ts";

const utf8 = new TextEncoder();

export interface JwsOptions extends HeaderOptions {
  /** The payload, or a JWS in JSON serialisation to which this signature is added. */
  content: { payload: Uint8Array; detached?: boolean } | { jws: string; payload?: Uint8Array };
}

export interface PreparedJws {
  /** JWS Signing Input (RFC 7515 §5.1). */
  readonly toBeSigned: Uint8Array;
  /** @returns the JWS, general JSON serialisation. `signature` is as a `Signer` gives it: ECDSA in DER. */
  complete(signature: Uint8Array): string;
}

/**
 * Builds a JSON signature up to the bytes to be signed. Earlier signatures stay as they are.
 *
 * @throws {FormatError} `jws_malformed`, `algorithm_unsupported`, `certificate_malformed`; `invalid_argument` where the
 *   payload of a detached JWS is missing or is given beside another
 */
export function prepareJws(options: JwsOptions): PreparedJws {
  const { certificate, algorithm, content } = options;
  const existing = "jws" in content ? readJws(content.jws) : undefined;
  const payload = existing?.payload ?? (content.payload && encode(content.payload));
  if (payload === undefined || (existing?.payload !== undefined && content.payload)) {
    throw new FormatError(
      "invalid_argument",
      "Pass the payload for a detached JWS, and only then.",
    );
  }
  if (existing && hasRawPayload(existing.signatures)) {
    const message =
      "A signature cannot be added to a JWS whose payload is not encoded (b64: false).";
    throw new FormatError("algorithm_unsupported", message);
  }
  const isDetached = existing
    ? existing.payload === undefined
    : "detached" in content && content.detached;
  const protectedHeader = encodeHeader(options);
  return {
    toBeSigned: utf8.encode(`${protectedHeader}.${payload}`),
    complete(signature) {
      const curve = jwaAlgorithms[jwaName(algorithm, certificate)].curve;
      const value = curve ? ecdsaToRaw(signature, orderBytes[curve]) : signature;
      return JSON.stringify({
        ...(isDetached ? {} : { payload }),
        signatures: [
          ...(existing?.signatures ?? []).map(({ header, others: _, ...each }) =>
            Object.keys(header).length > 0 ? { ...each, header } : each
          ),
          { protected: protectedHeader, signature: encode(value) },
        ],
      });
    },
  };
}
