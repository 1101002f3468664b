/**
 * The canonical form of JSON (RFC 8785), from JSON text. What is shown must be what is signed, so a
 * text that programs could read in two ways is refused rather than normalised: repeated member
 * names, lone surrogates, numbers that a double cannot hold (I-JSON, RFC 7493 §2).
 */
import canonicalize from "canonicalize";
import { FormatError } from "./error.ts";

const MAX_DEPTH = 200;
const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const malformed = (message: string, cause?: unknown) =>
  new FormatError("json_malformed", message, { cause });

/**
 * @param text one JSON value, as a string or as UTF-8 without byte order mark
 * @returns its canonical form in UTF-8 (RFC 8785 §3.2)
 * @throws {FormatError} `json_malformed`: no JSON (RFC 8259), a lone surrogate, or a number that
 *   would change; `json_duplicate_key`; `limit_exceeded` beyond 200 levels
 */
export function canonicalJson(text: string | Uint8Array): Uint8Array {
  let source: string;
  let value: unknown;
  try {
    source = typeof text === "string" ? text : strictUtf8.decode(text);
    value = JSON.parse(source);
  } catch (cause) {
    throw malformed("The data is not valid JSON.", cause);
  }
  checkText(source);
  return utf8.encode(canonicalize(value)!);
}

/** A string, a number, or a mark that opens, closes or separates. In valid JSON nothing is lost. */
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|[{}[\],]/g;

/** Checks what `JSON.parse` hides. Without recursion: it runs before the depth is known. */
function checkText(source: string): void {
  // Member names so far for each open object; undefined for an array.
  const open: (Set<string> | undefined)[] = [];
  let nameFollows = false;
  for (const [token] of source.matchAll(TOKEN)) {
    switch (token[0]) {
      case "{":
      case "[":
        if (open.length === MAX_DEPTH) {
          throw new FormatError(
            "limit_exceeded",
            `The JSON is nested deeper than ${MAX_DEPTH} levels.`,
          );
        }
        open.push(token === "{" ? new Set() : undefined);
        nameFollows = token === "{";
        break;
      case "}":
      case "]":
        open.pop();
        nameFollows = false;
        break;
      case ",":
        nameFollows = open.at(-1) !== undefined;
        break;
      case '"': {
        const string: string = JSON.parse(token);
        if (!string.isWellFormed()) throw malformed("The JSON holds half of a character.");
        if (nameFollows) addName(open.at(-1)!, string);
        nameFollows = false;
        break;
      }
      default:
        checkNumber(token);
    }
  }
}

function addName(names: Set<string>, name: string): void {
  if (names.has(name)) {
    throw new FormatError(
      "json_duplicate_key",
      `The JSON names the member ${JSON.stringify(name)} twice in one object.`,
    );
  }
  names.add(name);
}

/** Fractions are rounded as everywhere; an amount or identifier in whole numbers must not be. */
function checkNumber(token: string): void {
  const value = Number(token);
  if (!Number.isFinite(value)) throw malformed(`The number ${shorten(token)} is too large.`);
  const whole = /^-?\d+$/.test(token);
  if (
    whole && !Number.isSafeInteger(value) && (token.length > 330 || BigInt(token) !== BigInt(value))
  ) {
    throw malformed(
      `The number ${shorten(token)} has too many digits and would change; send it as a string.`,
    );
  }
}

const shorten = (token: string) => token.length > 40 ? `${token.slice(0, 40)}…` : token;
