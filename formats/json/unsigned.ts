/** `etsiU`, the unsigned components of JAdES (ETSI TS 119 182-1 §5.3). */
import { FormatError } from "../error.ts";
import {
  decodeBase64url,
  isObject,
  jwsMalformed,
  jwsOf,
  readJsonObject,
  readJws,
  type SerializedJws,
} from "./serialization.ts";

/** An RFC 3161 token (DER) with the bytes that it covers. */
export interface JwsTimestamp {
  kind: "signature" | "archive";
  token: Uint8Array;
  /** Index of its component. */
  position: number;
  input: Uint8Array;
}

export interface UnsignedComponents {
  timestamps: JwsTimestamp[];
  certificates: Uint8Array[];
  crls: Uint8Array[];
  ocspResponses: Uint8Array[];
  countersignatures: SerializedJws[];
  /** Components that are not known, not supported or malformed; nothing follows from them. */
  ignored: string[];
}

/** Components that only repeat by digest what is found anyway. */
const PLAIN: ReadonlySet<string> = new Set(["xRefs", "rRefs", "axRefs", "arRefs"]);
const MAX_COMPONENTS = 200;
const utf8 = new TextEncoder();

/**
 * @param etsiU as it stands in the unprotected header
 * @param signature BASE64URL, as it stands in the JWS
 * @param signed the signing input, where an archive timestamp can cover it
 */
export function readUnsigned(
  etsiU: unknown,
  signature: string,
  signed: { protected: string; payload: string } | undefined,
): UnsignedComponents {
  const found: UnsignedComponents = {
    timestamps: [],
    certificates: [],
    crls: [],
    ocspResponses: [],
    countersignatures: [],
    ignored: [],
  };
  if (etsiU === undefined) return found;
  if (!Array.isArray(etsiU) || etsiU.length > MAX_COMPONENTS) {
    return { ...found, ignored: ["etsiU"] };
  }
  etsiU.forEach((each, index) => {
    let name = "etsiU";
    try {
      const component = typeof each === "string" ? readJsonObject(decodeBase64url(each)) : each;
      if (!isObject(component)) throw jwsMalformed("An unsigned component is not an object.");
      const [member, ...more] = Object.entries(component);
      if (!member || more.length > 0) {
        throw jwsMalformed("An unsigned component does not have exactly one member.");
      }
      name = member[0];
      read(member[1], name, { found, signature, signed, before: etsiU.slice(0, index) });
    } catch (error) {
      if (!(error instanceof FormatError || error instanceof SyntaxError)) throw error;
      found.ignored.push(name);
    }
  });
  return found;
}

/**
 * What an archive timestamp covers (§5.3.6.2).
 *
 * @param before the components before it, in BASE64URL
 */
export const archiveInput = (
  signed: { protected: string; payload: string },
  signature: string,
  before: readonly unknown[],
): string => `${signed.payload}.${signed.protected}.${signature}.${before.join("")}`;

/** Whether `etsiU` has the values of certificates or of revocation information. */
export function hasValues(etsiU: readonly unknown[]): boolean {
  return etsiU.some((each) => {
    const component = readJsonObject(decodeBase64url(String(each)));
    return "xVals" in component || "rVals" in component;
  });
}

interface Place {
  found: UnsignedComponents;
  signature: string;
  signed?: { protected: string; payload: string };
  /** Components before it. */
  before: readonly unknown[];
}

function read(value: unknown, name: string, { found, signature, signed, before }: Place): void {
  const position = before.length;
  switch (name) {
    case "sigTst":
      found.timestamps.push(
        ...tokens(value).map((token) =>
          ({ kind: "signature", token, position, input: utf8.encode(signature) }) as const
        ),
      );
      return;
    case "arcTst": {
      // §5.3.6.2: only where the components stand as strings is it clear which bytes are covered.
      if (!signed || !before.every((each) => typeof each === "string")) {
        throw jwsMalformed("The archive timestamp covers data of an unknown kind.");
      }
      const covered = archiveInput(signed, signature, before);
      found.timestamps.push(
        ...tokens(value).map((token) =>
          ({ kind: "archive", token, position, input: utf8.encode(covered) }) as const
        ),
      );
      return;
    }
    case "xVals":
      found.certificates.push(...certificates(value));
      return;
    case "rVals":
      found.crls.push(...values(member(value, "crlVals")));
      found.ocspResponses.push(...values(member(value, "ocspVals")));
      return;
    case "tstVD":
      found.certificates.push(...certificates(member(value, "xVals")));
      found.crls.push(...values(member(member(value, "rVals"), "crlVals")));
      found.ocspResponses.push(...values(member(member(value, "rVals"), "ocspVals")));
      return;
    case "cSig":
      found.countersignatures.push(
        typeof value === "string" ? readJws(value) : jwsOf(isObject(value) ? value : {}),
      );
      return;
    default:
      if (!PLAIN.has(name)) found.ignored.push(name);
  }
}

const member = (value: unknown, name: string): unknown => isObject(value) ? value[name] : undefined;

const tokens = (container: unknown): Uint8Array[] => values(member(container, "tstTokens"), true);

const certificates = (list: unknown): Uint8Array[] =>
  values(Array.isArray(list) ? list.map((each) => member(each, "x509Cert")) : list);

/** The DER in a list of `{ val }`. @throws {FormatError | SyntaxError} */
function values(list: unknown, isNeeded = false): Uint8Array[] {
  if (list === undefined && !isNeeded) return [];
  if (!Array.isArray(list) || (isNeeded && list.length === 0)) {
    throw jwsMalformed("A list of values is missing.");
  }
  return list.map((each) => {
    const val = member(each, "val");
    if (typeof val !== "string") throw jwsMalformed("A value is missing.");
    return Uint8Array.fromBase64(val);
  });
}
