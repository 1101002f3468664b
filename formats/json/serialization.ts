/** The three serialisations of JWS (RFC 7515 §7): compact, flattened and general JSON. */
import { FormatError } from "../error.ts";
import { canonicalJson } from "./canonical.ts";
import { encodeBase64url } from "./jws_header.ts";

export interface SerializedSignature {
  /** BASE64URL of the protected header; empty where there is none. */
  protected: string;
  /** The unprotected header. */
  header: Record<string, unknown>;
  signature: string;
  /** Members beside these, which no reader takes for signed (RFC 7515 §7.2.1), but a person may. */
  others?: string[];
}

export interface SerializedJws {
  /** As it stands in the JWS; undefined where it is detached. */
  payload?: string;
  signatures: SerializedSignature[];
}

const MAX_SIGNATURES = 100;

export const jwsMalformed = (message: string, cause?: unknown) =>
  new FormatError("jws_malformed", message, { cause });

/** @throws {FormatError} `jws_malformed`, `limit_exceeded` */
export function readJws(text: string): SerializedJws {
  // With `b64: false` the payload is itself (RFC 7797 §5.2), without dots.
  const compact = /^([\w-]+)\.([^.]*)\.([\w-]*)$/.exec(text.trim());
  if (compact) {
    const [, protectedHeader, payload, signature] = compact;
    return {
      payload: payload || undefined,
      signatures: [{ protected: protectedHeader, header: {}, signature }],
    };
  }
  return jwsOf(readJsonObject(text));
}

/** A JWS in JSON. @throws {FormatError} as {@linkcode readJws} */
export function jwsOf(value: Record<string, unknown>): SerializedJws {
  const { payload, signatures: list, ...flattened } = value;
  // RFC 7515 §7.2.2: one reader would take the one, another the other.
  if (
    list !== undefined && ["protected", "header", "signature"].some((name) => name in flattened)
  ) {
    throw jwsMalformed("The JWS is in flattened form but also has a list of signatures.");
  }
  const signatures = list ?? [flattened];
  if ((payload !== undefined && typeof payload !== "string") || !Array.isArray(signatures)) {
    throw jwsMalformed("The JSON is not a JWS.");
  }
  if (signatures.length > MAX_SIGNATURES) {
    throw new FormatError("limit_exceeded", "The JWS has more than 100 signatures.");
  }
  if (signatures.length === 0) throw jwsMalformed("The JWS has no signature.");
  const others = list === undefined ? [] : Object.keys(flattened);
  return { payload, signatures: signatures.map((each) => signatureOf(each, others)) };
}

function signatureOf(each: unknown, around: readonly string[]): SerializedSignature {
  if (isObject(each)) {
    const { protected: protectedHeader = "", header = {}, signature, ...more } = each;
    if (typeof protectedHeader === "string" && isObject(header) && typeof signature === "string") {
      const others = [...around, ...Object.keys(more)];
      return { protected: protectedHeader, header, signature, others };
    }
  }
  throw jwsMalformed("The JSON is neither a JWS with signatures nor a signing route.");
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * A JSON object; repeated member names are refused.
 *
 * @throws {FormatError} `jws_malformed`
 */
export function readJsonObject(text: string | Uint8Array): Record<string, unknown> {
  try {
    const value = JSON.parse(new TextDecoder().decode(canonicalJson(text)));
    if (isObject(value)) return value;
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw jwsMalformed(`The JWS cannot be read: ${cause.message}`, cause);
  }
  throw jwsMalformed("The JSON is not a JWS.");
}

/**
 * Whether the payload is signed unencoded (`b64: false`). All signatures must agree on this (RFC 7797 §3).
 *
 * @throws {FormatError} `jws_malformed`
 */
export function hasRawPayload(signatures: readonly SerializedSignature[]): boolean {
  const raw = signatures.map(({ protected: header }) => {
    try {
      const json = new TextDecoder().decode(decodeBase64url(header));
      // Few have it, and reading a header takes its time; the name may be written in escapes.
      return /b64|\\u/.test(json) && readJsonObject(json).b64 === false;
    } catch (error) {
      if (error instanceof FormatError) return false; // told where it is checked
      throw error;
    }
  });
  if (new Set(raw).size > 1) {
    throw jwsMalformed("The signatures of the JWS do not agree on how its payload is encoded.");
  }
  return raw[0];
}

/** @throws {FormatError} `jws_malformed` where it is not base64url without padding (RFC 7515 §2) */
export function decodeBase64url(text: string): Uint8Array {
  try {
    const bytes = Uint8Array.fromBase64(text, {
      alphabet: "base64url",
      lastChunkHandling: "loose",
    });
    if (encodeBase64url(bytes) === text) return bytes; // one spelling only
  } catch (cause) {
    throw jwsMalformed("The JWS is not in base64url.", cause);
  }
  throw jwsMalformed("The JWS is not in base64url.");
}
