/** PKCS#11 URIs (RFC 7512). */
import { Pkcs11Error } from "./error.ts";
import type { ModuleInfo, TokenInfo } from "./messages.ts";

/** The path attributes of a PKCS#11 URI, decoded. Absent attributes match anything. */
export interface Pkcs11Uri {
  token?: string;
  manufacturer?: string;
  serial?: string;
  model?: string;
  "slot-id"?: string;
  "slot-description"?: string;
  "slot-manufacturer"?: string;
  "library-manufacturer"?: string;
  "library-description"?: string;
  "library-version"?: string;
  object?: string;
  type?: "public" | "private" | "cert" | "secret-key" | "data";
  /** CKA_ID in lower-case hex. */
  id?: string;
}

const ATTRIBUTES: (keyof Pkcs11Uri)[] = [
  "token",
  "manufacturer",
  "serial",
  "model",
  "slot-id",
  "slot-description",
  "slot-manufacturer",
  "library-manufacturer",
  "library-description",
  "library-version",
  "object",
  "type",
  "id",
];
const TYPES = ["public", "private", "cert", "secret-key", "data"];
const MAX_LENGTH = 4096;

/**
 * Parses a PKCS#11 URI (RFC 7512 §2.3). Query attributes are refused: a PIN is never taken from a
 * URI (`pin-value`, `pin-source`), and which library is loaded is not the URI's to say
 * (`module-path`, `module-name`).
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { formatUri, parseUri } from "./uri.ts";
 *
 * const uri = parseUri("pkcs11:token=Anita%20Das;id=%01%02");
 * assert.deepEqual(uri, { token: "Anita Das", id: "0102" });
 * assert.equal(formatUri(uri), "pkcs11:token=Anita%20Das;id=%01%02");
 * ```
 *
 * @throws {Pkcs11Error} `uri_invalid`; its message never repeats a value
 */
export function parseUri(text: string): Pkcs11Uri {
  if (text.length > MAX_LENGTH) throw invalid("longer than 4096 characters");
  if (!/^pkcs11:/i.test(text)) throw invalid("does not start with pkcs11:");
  const [path, query] = text.slice("pkcs11:".length).split("?", 2);
  if (query !== undefined) throw invalid("query attributes are not accepted");
  const uri: Record<string, string> = {};
  for (const pair of path === "" ? [] : path.split(";")) {
    const at = pair.indexOf("=");
    const name = pair.slice(0, Math.max(at, 0));
    // RFC 7512 §2.3: a consumer refuses attributes that it does not understand.
    if (!ATTRIBUTES.includes(name as keyof Pkcs11Uri)) throw invalid("unknown attribute");
    if (name in uri) throw invalid(`${name}: named more than once`);
    const value = pair.slice(at + 1);
    uri[name] = name === "id" ? percentDecode(value).toHex() : decodeText(value);
  }
  if (uri.type !== undefined && !TYPES.includes(uri.type)) throw invalid("unknown type");
  if (uri["slot-id"] !== undefined && !/^\d{1,20}$/.test(uri["slot-id"])) {
    throw invalid("slot-id is not a number");
  }
  return uri as Pkcs11Uri;
}

/** Formats a PKCS#11 URI. Absent and empty attributes are left out. */
export function formatUri(uri: Pkcs11Uri): string {
  const pairs = ATTRIBUTES.filter((name) => uri[name]).map((name) => {
    const value = uri[name]!;
    const encoded = name === "id" ? value.replace(/../g, "%$&") : encodeURIComponent(value);
    return `${name}=${encoded}`;
  });
  return `pkcs11:${pairs.join(";")}`;
}

/** Whether a token is one of those that a URI names. Attributes of objects are not looked at. */
export function matchesToken(uri: Pkcs11Uri, token: TokenInfo, library?: ModuleInfo): boolean {
  const is = (wanted: string | undefined, actual: string | undefined) =>
    wanted === undefined || wanted === actual;
  return is(uri.token, token.label) &&
    is(uri.manufacturer, token.manufacturer) &&
    is(uri.serial, token.serial) &&
    is(uri.model, token.model) &&
    is(uri["slot-id"], String(token.slotId)) &&
    is(uri["slot-description"], token.slotDescription) &&
    is(uri["slot-manufacturer"], token.slotManufacturer) &&
    is(uri["library-manufacturer"], library?.manufacturer) &&
    is(uri["library-description"], library?.description) &&
    is(uri["library-version"], library?.libraryVersion);
}

/** Whether an object of a matching token is one of those that a URI names. */
export function matchesObject(
  uri: Pkcs11Uri,
  object: { id: string; label: string },
  type: NonNullable<Pkcs11Uri["type"]>,
): boolean {
  return (uri.id === undefined || uri.id === object.id) &&
    (uri.object === undefined || uri.object === object.label) &&
    (uri.type === undefined || uri.type === type);
}

function decodeText(value: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(percentDecode(value));
  } catch (error) {
    if (error instanceof Pkcs11Error) throw error;
    throw invalid("not UTF-8");
  }
}

function percentDecode(value: string): Uint8Array {
  const bytes: number[] = [];
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code === 0x25) {
      const hex = value.slice(i + 1, i + 3);
      if (!/^[0-9A-Fa-f]{2}$/.test(hex)) throw invalid("broken % encoding");
      bytes.push(parseInt(hex, 16));
      i += 2;
    } else if (code > 0x20 && code < 0x7f) {
      bytes.push(code);
    } else {
      throw invalid("contains characters that must be % encoded");
    }
  }
  return Uint8Array.from(bytes);
}

function invalid(reason: string): Pkcs11Error {
  return new Pkcs11Error("uri_invalid", { reason });
}
