/**
 * The canonical form of JSON (RFC 8785), from JSON text. What is shown must be what is signed, so a
 * text that programs could read in two ways is refused rather than normalised: repeated member
 * names, lone surrogates, numbers that a double cannot hold (I-JSON, RFC 7493 §2).
 */
import canonicalize from "canonicalize";
import { FormatError } from "../error.ts";

const MAX_DEPTH = 200;
const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const malformed = (message: string, cause?: unknown) =>
  new FormatError("json_malformed", message, { cause });

/**
 * The canonical form of a JSON text.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { canonicalJson } from "./canonical.ts";
 *
 * const bytes = canonicalJson('{ "net": 1.0, "bill": "TR-0142" }');
 * assert.equal(new TextDecoder().decode(bytes), '{"bill":"TR-0142","net":1}');
 * ```
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

/** Checks what `JSON.parse` hides in a text it accepted. Without recursion and backtracking. */
function checkText(source: string): void {
  // Member names so far for each open object; undefined for an array.
  const open: (Set<string> | undefined)[] = [];
  let nameFollows = false;
  for (let at = 0; at < source.length;) {
    const start = at++;
    switch (source[start]) {
      case '"': {
        while (source[at] !== '"') at += source[at] === "\\" ? 2 : 1;
        const string: string = JSON.parse(source.slice(start, ++at));
        if (!string.isWellFormed()) {
          throw malformed("The JSON contains half of a character (a lone surrogate).");
        }
        if (nameFollows) addName(open.at(-1)!, string);
        nameFollows = false;
        break;
      }
      case "{":
      case "[":
        if (open.length === MAX_DEPTH) {
          throw new FormatError(
            "limit_exceeded",
            `The JSON is nested deeper than ${MAX_DEPTH} levels.`,
          );
        }
        nameFollows = source[start] === "{";
        open.push(nameFollows ? new Set() : undefined);
        break;
      case "}":
      case "]":
        open.pop();
        nameFollows = false;
        break;
      case ",":
        nameFollows = open.at(-1) !== undefined;
        break;
      default:
        if (!NUMBER_START.includes(source[start])) break;
        while (NUMBER.includes(source.charAt(at)) && at < source.length) at++;
        checkNumber(source.slice(start, at));
    }
  }
}

const NUMBER_START = "-0123456789";
const NUMBER = "+-.0123456789eE";

function addName(names: Set<string>, name: string): void {
  if (names.has(name)) {
    throw new FormatError(
      "json_duplicate_key",
      `The JSON contains the member ${JSON.stringify(name)} twice in one object.`,
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
    whole && !Number.isSafeInteger(value) &&
    (token.length > 330 || BigInt(token) !== printedWhole(value))
  ) {
    throw malformed(
      `The number ${shorten(token)} has too many digits and would change; send it as a string.`,
    );
  }
}

/** The whole number that the canonical form prints: only as many digits as identify the double. */
function printedWhole(value: number): bigint {
  const [, sign, first, rest = "", exponent] = /^(-?)(\d+)(?:\.(\d+))?(?:e\+(\d+))?$/.exec(
    String(value),
  )!;
  const zeros = Number(exponent ?? 0) - rest.length;
  return BigInt(sign + first + rest + "0".repeat(zeros));
}

const shorten = (token: string) => token.length > 40 ? `${token.slice(0, 40)}…` : token;
