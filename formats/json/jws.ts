/**
 * JSON signatures: JWS in general JSON serialisation (RFC 7515 §7.2.1) with the header of JAdES baseline B-B
 * (ETSI TS 119 182-1): several signers on one payload, each with its own certificate.
 */
import { canonicalJson } from "./canonical.ts";
import { digest } from "../digest.ts";
import { ecdsaFromRaw, ecdsaToRaw } from "../keys/ecdsa.ts";
import { FormatError } from "../error.ts";
import { verifySignature } from "../x509/signature.ts";
import type { SignatureAlgorithm } from "../signer.ts";
import { readCertificate } from "../x509/certificate.ts";

/** JWA names (RFC 7518 §3.1) and, for ECDSA, the one curve each goes with. */
const algorithms: Readonly<Record<string, SignatureAlgorithm & { curve?: string }>> = {
  RS256: { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  RS384: { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-384" },
  RS512: { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-512" },
  PS256: { scheme: "RSASSA-PSS", hash: "SHA-256", saltLength: 32 },
  PS384: { scheme: "RSASSA-PSS", hash: "SHA-384", saltLength: 48 },
  PS512: { scheme: "RSASSA-PSS", hash: "SHA-512", saltLength: 64 },
  ES256: { scheme: "ECDSA", hash: "SHA-256", curve: "P-256" },
  ES384: { scheme: "ECDSA", hash: "SHA-384", curve: "P-384" },
  ES512: { scheme: "ECDSA", hash: "SHA-512", curve: "P-521" },
};
const orderBytes: Readonly<Record<string, number>> = { "P-256": 32, "P-384": 48, "P-521": 66 };

const MAX_SIGNATURES = 100;
const MAX_CERTIFICATES = 20;
const utf8 = new TextEncoder();

const malformed = (message: string, cause?: unknown) =>
  new FormatError("jws_malformed", message, { cause });

/**
 * The JWA name of an algorithm with a certificate's key.
 *
 * @throws {FormatError} `algorithm_unsupported`: JWA ties each curve to one hash
 */
export function jwaName(algorithm: SignatureAlgorithm, certificate: Uint8Array): string {
  const { curve } = readCertificate(certificate).publicKey;
  const name = Object.keys(algorithms).find((each) => {
    const jwa = algorithms[each];
    return jwa.scheme === algorithm.scheme && jwa.hash === algorithm.hash &&
      (jwa.curve === undefined || jwa.curve === curve) &&
      (algorithm.saltLength === undefined || algorithm.saltLength === jwa.saltLength);
  });
  if (!name) {
    throw new FormatError("algorithm_unsupported", "JWS has no name for this key and hash.");
  }
  return name;
}

export interface JwsOptions {
  certificate: Uint8Array;
  chain: readonly Uint8Array[];
  algorithm: SignatureAlgorithm;
  /** The payload, or a JWS in JSON serialisation to which this signature is added. */
  content: { payload: Uint8Array; detached?: boolean } | { jws: string; payload?: Uint8Array };
  /** JAdES `iat`: the claimed signing time. */
  signingTime: Date;
  /** `cty` (RFC 7515 §4.1.10), as `json`. */
  contentType?: string;
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
  const { certificate, chain, algorithm, content, signingTime, contentType } = options;
  const existing = "jws" in content ? readJws(content.jws) : undefined;
  const payload = existing?.payload ?? (content.payload && encode(content.payload));
  if (payload === undefined || (existing?.payload !== undefined && content.payload)) {
    throw new FormatError("invalid_argument", "A detached JWS needs its payload, another none.");
  }
  const isDetached = existing
    ? existing.payload === undefined
    : "detached" in content && content.detached;
  const header = {
    alg: jwaName(algorithm, certificate),
    ...(contentType ? { cty: contentType } : {}),
    iat: Math.floor(signingTime.getTime() / 1000),
    "x5t#S256": encode(digest("SHA-256", certificate)),
    x5c: [certificate, ...chain].map((der) => der.toBase64()),
  };
  const protectedHeader = encode(utf8.encode(JSON.stringify(header)));
  return {
    toBeSigned: utf8.encode(`${protectedHeader}.${payload}`),
    complete(signature) {
      const curve = algorithms[header.alg].curve;
      const value = curve ? ecdsaToRaw(signature, orderBytes[curve]) : signature;
      return JSON.stringify({
        ...(isDetached ? {} : { payload }),
        signatures: [
          ...existing?.signatures ?? [],
          { protected: protectedHeader, signature: encode(value) },
        ],
      });
    },
  };
}

/** Why a JSON signature does not hold. */
export type JwsProblem =
  | "malformed"
  | "algorithm_unsupported"
  | "certificate_missing"
  /** `x5t#S256` means another certificate. */
  | "certificate_not_as_signed"
  | "signature_wrong"
  | "content_missing";

export interface JwsSignature {
  /** Empty: the signature is right. It says nothing of the certificate. */
  problems: JwsProblem[];
  certificate: Uint8Array | null;
  certificates: Uint8Array[];
  algorithm: SignatureAlgorithm | null;
  /** The signer's claim. */
  signingTime: Date | null;
  /** The header says which certificate is meant (`x5t#S256`), as JAdES asks. */
  namesCertificate: boolean;
}

export interface JwsResult {
  /** Null where the JWS is detached and no payload was given. */
  payload: Uint8Array | null;
  signatures: JwsSignature[];
}

/**
 * Checks every signature of a JWS: general or flattened JSON, or compact.
 *
 * @param payload the payload of a detached JWS
 * @throws {FormatError} `jws_malformed`, `limit_exceeded`; `invalid_argument` where a payload is given beside another
 */
export function verifyJws(text: string, payload?: Uint8Array): JwsResult {
  const jws = readJws(text);
  if (jws.payload !== undefined && payload) {
    throw new FormatError("invalid_argument", "The JWS holds its payload already.");
  }
  const encoded = jws.payload ?? (payload && encode(payload));
  return {
    payload: encoded === undefined ? null : decode(encoded),
    signatures: jws.signatures.map((signature) => verifyOne(signature, encoded)),
  };
}

interface SerializedSignature {
  protected: string;
  header?: unknown;
  signature: string;
}

interface SerializedJws {
  payload?: string;
  signatures: SerializedSignature[];
}

function readJws(text: string): SerializedJws {
  const compact = /^([\w-]+)\.([\w-]*)\.([\w-]+)$/.exec(text.trim());
  if (compact) {
    const [, protectedHeader, payload, signature] = compact;
    return {
      payload: payload || undefined,
      signatures: [{ protected: protectedHeader, signature }],
    };
  }
  const value = readJson(utf8.encode(text));
  const { payload, signatures: list, ...flattened } = value;
  const signatures = list ?? [flattened];
  if ((payload !== undefined && typeof payload !== "string") || !Array.isArray(signatures)) {
    throw malformed("The JSON is not a JWS.");
  }
  if (signatures.length > MAX_SIGNATURES) {
    throw new FormatError("limit_exceeded", "The JWS has more than 100 signatures.");
  }
  const isSignature = (each: SerializedSignature) =>
    typeof each?.protected === "string" && typeof each.signature === "string";
  if (signatures.length === 0 || !signatures.every(isSignature)) {
    throw malformed("The JSON is neither a JWS with protected headers nor a signing route.");
  }
  return { payload, signatures };
}

/** A JSON object; repeated member names are refused. */
function readJson(bytes: Uint8Array): Record<string, unknown> & { signatures?: unknown } {
  try {
    const value = JSON.parse(new TextDecoder().decode(canonicalJson(bytes)));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw malformed(`The JWS cannot be read: ${cause.message}`, cause);
  }
  throw malformed("The JSON is not a JWS.");
}

function verifyOne(
  { protected: protectedHeader, header, signature }: SerializedSignature,
  payload: string | undefined,
): JwsSignature {
  const report: JwsSignature = {
    problems: [],
    certificate: null,
    certificates: [],
    algorithm: null,
    signingTime: null,
    namesCertificate: false,
  };
  const fail = (problem: JwsProblem) => {
    report.problems.push(problem);
    return report;
  };
  try {
    const parameters = readJson(decode(protectedHeader));
    const { alg, crit, iat, x5c, "x5t#S256": thumbprint } = parameters;
    // An unprotected header may not add what the protected one leaves out (RFC 7515 §7.2.1), and nothing
    // critical is understood here beyond the registered parameters (§4.1.11).
    if (crit !== undefined || (header && Object.keys(header).some((name) => name !== "etsiU"))) {
      return fail("algorithm_unsupported");
    }
    const algorithm = typeof alg === "string" && Object.hasOwn(algorithms, alg)
      ? algorithms[alg]
      : undefined;
    if (!algorithm) return fail("algorithm_unsupported");
    report.algorithm = algorithm;
    if (typeof iat === "number") report.signingTime = new Date(iat * 1000);
    if (!Array.isArray(x5c) || x5c.length === 0) return fail("certificate_missing");
    report.certificates = x5c.slice(0, MAX_CERTIFICATES)
      .map((each) => Uint8Array.fromBase64(String(each)));
    const [certificate] = report.certificates;
    report.certificate = certificate;
    report.namesCertificate = thumbprint !== undefined;
    if (thumbprint !== undefined && thumbprint !== encode(digest("SHA-256", certificate))) {
      fail("certificate_not_as_signed");
    }
    if (payload === undefined) return fail("content_missing");
    const { curve } = readCertificate(certificate).publicKey;
    const value = decode(signature);
    const message = utf8.encode(`${protectedHeader}.${payload}`);
    const fits = !algorithm.curve ||
      (algorithm.curve === curve && value.length === 2 * orderBytes[algorithm.curve]);
    const encoded = fits && algorithm.curve ? ecdsaFromRaw(value) : value;
    if (!fits || !verifySignature(certificate, algorithm, { message }, encoded)) {
      return fail("signature_wrong");
    }
    return report;
  } catch (error) {
    if (!(error instanceof FormatError || error instanceof SyntaxError)) throw error;
    return fail(
      error instanceof FormatError && error.code === "algorithm_unsupported"
        ? "algorithm_unsupported"
        : "malformed",
    );
  }
}

const encode = (bytes: Uint8Array) => bytes.toBase64({ alphabet: "base64url", omitPadding: true });

/** @throws {FormatError} `jws_malformed` where it is not base64url without padding (RFC 7515 §2) */
function decode(text: string): Uint8Array {
  try {
    const bytes = Uint8Array.fromBase64(text, {
      alphabet: "base64url",
      lastChunkHandling: "loose",
    });
    if (encode(bytes) === text) return bytes; // one spelling only
  } catch (cause) {
    throw malformed("The JWS is not in base64url.", cause);
  }
  throw malformed("The JWS is not in base64url.");
}
