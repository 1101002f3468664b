/** The protected header of a JWS (RFC 7515 §4, RFC 7797) and of JAdES (ETSI TS 119 182-1 §5.1, §5.2). */
import { digest } from "../digest.ts";
import type { DigestName } from "../signer.ts";
import { encodeBase64url, type JwaAlgorithm, jwaAlgorithms } from "./jws_header.ts";
import { isObject, jwsMalformed } from "./serialization.ts";

/** Digests as JAdES names them (TS 119 182-1 §5.2.2). */
const digestNames: Readonly<Record<string, DigestName>> = {
  S224: "SHA-224",
  S256: "SHA-256",
  S384: "SHA-384",
  S512: "SHA-512",
};

function digestNamed(name: unknown): DigestName | undefined {
  return typeof name === "string" && Object.hasOwn(digestNames, name)
    ? digestNames[name]
    : undefined;
}

/** Signed content that stands elsewhere (TS 119 182-1 §5.2.8). */
export interface ContentReference {
  /** `joined`: the payload is all of them; `digests`: of each there is a digest. */
  kind: "joined" | "digests";
  uris: string[];
  hash?: DigestName;
  digests: string[];
}

export interface Header {
  algorithm?: JwaAlgorithm;
  certificates: Uint8Array[];
  /** Digests of the signer's certificate, BASE64URL. */
  named: { hash: DigestName; digest: string }[];
  /** As the signer claims. */
  signingTime: Date | null;
  /** The payload is signed as it is, not in BASE64URL (RFC 7797). */
  isRaw: boolean;
  content?: ContentReference;
  /** Members that would have to be checked but cannot be. */
  unsupported: string[];
  /** Because of that it is not known what was signed: nothing can be said of the signature value. */
  isUnclear: boolean;
  /** Other signed members, which are not evaluated. */
  unread: string[];
}

const CONTENT_KINDS: Readonly<Record<string, ContentReference["kind"]>> = {
  "http://uri.etsi.org/19182/ObjectIdByURI": "joined",
  "http://uri.etsi.org/19182/ObjectIdByURIHash": "digests",
};

/** Critical parameters that are acted upon. */
const UNDERSTOOD: ReadonlySet<string> = new Set(["b64", "sigT", "sigD", "x5t#o", "sigX5ts"]);
/** Those of JAdES that say something beside: a policy, a place, roles, commitments, an earlier timestamp. */
const BESIDE = ["sigPId", "sigPl", "srCms", "srAts", "adoTst"];

/** @throws {FormatError} `jws_malformed` */
export function readHeader(parameters: Record<string, unknown>): Header {
  const { alg, crit, iat, sigT, sigD, x5c, b64 } = parameters;
  const unsupported: string[] = [];
  const critical = crit === undefined ? [] : strings(crit, "crit");
  if (
    critical.some((name) => !Object.hasOwn(parameters, name)) ||
    (crit !== undefined && !critical.length)
  ) {
    throw jwsMalformed("The header marks a missing parameter as critical.");
  }
  const unknown = critical.filter((name) => !UNDERSTOOD.has(name) && !BESIDE.includes(name));
  unsupported.push(...unknown.map((name) => `the critical parameter ${name}`));
  // RFC 7797 §6: a reader that does not know `b64` must not take the payload for encoded.
  if (b64 !== undefined && (typeof b64 !== "boolean" || !critical.includes("b64"))) {
    throw jwsMalformed("The header uses b64 without marking it as critical.");
  }
  const algorithm = typeof alg === "string" && Object.hasOwn(jwaAlgorithms, alg)
    ? jwaAlgorithms[alg]
    : undefined;
  if (!algorithm) unsupported.push(`the algorithm ${alg ?? "of an unprotected header"}`);
  const content = sigD === undefined ? undefined : readContent(sigD, unsupported);
  return {
    algorithm,
    certificates: readX5c(x5c),
    named: readNamed(parameters, unsupported),
    signingTime: readTime(iat, sigT, unsupported),
    isRaw: b64 === false,
    content,
    unsupported,
    isUnclear: unknown.length > 0 || sigD !== undefined && !content,
    unread: BESIDE.filter((name) => Object.hasOwn(parameters, name)),
  };
}

/** DER certificates of an `x5c` (RFC 7515 §4.1.6). @throws {FormatError} `jws_malformed` */
export function readX5c(x5c: unknown): Uint8Array[] {
  if (x5c === undefined) return [];
  return strings(x5c, "x5c").slice(0, MAX_CERTIFICATES).map((each) => {
    try {
      return Uint8Array.fromBase64(each);
    } catch (cause) {
      throw jwsMalformed("A certificate in the header is not in Base64.", cause);
    }
  });
}

const MAX_CERTIFICATES = 20;

/** Whether every reference to a certificate in the header points to this one. */
export function isNamed({ named }: Header, certificate: Uint8Array): boolean {
  return named.every((each) => encodeBase64url(digest(each.hash, certificate)) === each.digest);
}

function readNamed(parameters: Record<string, unknown>, unsupported: string[]): Header["named"] {
  const { "x5t#S256": sha256, "x5t#o": other, sigX5ts } = parameters;
  const named: Header["named"] = [];
  if (typeof sha256 === "string") named.push({ hash: "SHA-256", digest: sha256 });
  // Of several the first is the signer's, the others lead to the root.
  for (const each of [other, Array.isArray(sigX5ts) ? sigX5ts[0] : undefined]) {
    if (each === undefined) continue;
    if (!isObject(each) || typeof each.digVal !== "string") {
      throw jwsMalformed("The header refers to a certificate in an unknown way.");
    }
    const hash = digestNamed(each.digAlg);
    if (hash) named.push({ hash, digest: each.digVal });
    else unsupported.push(`the digest ${each.digAlg} of the signer's certificate`);
  }
  return named;
}

function readTime(iat: unknown, sigT: unknown, unsupported: string[]): Date | null {
  if (iat === undefined && sigT === undefined) return null;
  const time = typeof iat === "number"
    ? new Date(iat * 1000)
    : new Date(typeof sigT === "string" ? sigT : NaN);
  if (!Number.isNaN(time.getTime())) return time;
  unsupported.push(`the time ${String(iat ?? sigT).slice(0, 40)}`);
  return null;
}

function readContent(sigD: unknown, unsupported: string[]): ContentReference | undefined {
  if (!isObject(sigD)) throw jwsMalformed("The header's sigD is malformed.");
  const { mId, pars, hashM, hashV } = sigD;
  const kind = typeof mId === "string" && Object.hasOwn(CONTENT_KINDS, mId)
    ? CONTENT_KINDS[mId]
    : undefined;
  if (!kind) {
    unsupported.push(`content by ${mId}`);
    return undefined;
  }
  const uris = strings(pars, "pars");
  // It would be over nothing, and hold for whatever is beside it.
  if (uris.length === 0) throw jwsMalformed("The header's sigD names no content.");
  const digests = kind === "digests" ? strings(hashV, "hashV") : [];
  const hash = kind === "digests" ? digestNamed(hashM) : undefined;
  if (kind === "digests" && digests.length !== uris.length) {
    throw jwsMalformed("The header does not have one digest for each content.");
  }
  if (kind === "digests" && !hash) unsupported.push(`the digest ${hashM}`);
  return { kind, uris, hash, digests };
}

const MAX_STRINGS = 100;

function strings(value: unknown, name: string): string[] {
  const isList = Array.isArray(value) && value.length <= MAX_STRINGS &&
    value.every((each) => typeof each === "string") && new Set(value).size === value.length;
  if (!isList) throw jwsMalformed(`The header's ${name} is not a list of distinct strings.`);
  return value;
}
