/**
 * Reads `multipart/form-data` (RFC 7578) in the pieces in which it arrives. A library that searches bytes one by one takes
 * longer for a file of 50 KB than HTTP and the reader's pipe together, so boundaries are found by the platform's search
 * for text. Strict: a body that two programs could read in two ways is refused.
 */
import { Buffer } from "node:buffer";
import { concat } from "../formats/asn1/der.ts";
import { ServiceError } from "./error.ts";

/** A part's head. */
export interface PartHead {
  name: string;
  fileName: string | null;
}

/** Gets what stands in a body, in order. The bytes are views of the pieces. */
export interface PartReceiver {
  begin(head: PartHead): void;
  data(bytes: Uint8Array): void;
  end(): void;
}

/** Longest head of a part, in bytes. */
const MAX_HEAD = 4096;
/** Most spaces behind a boundary. */
const MAX_PADDING = 64;

const wrong = (why: string) => new ServiceError("request_wrong", why);

/** One body. */
export class Multipart {
  /** What stands before each part and behind the last one. */
  readonly #delimiter: string;
  #state: "start" | "preamble" | "delimiter" | "head" | "data" | "epilogue" = "start";
  /** Bytes that mean something only with those that follow. */
  #held: Uint8Array = new Uint8Array();

  /**
   * @param type Content-Type of the body
   * @throws {ServiceError} `request_wrong`
   */
  constructor(type: string, readonly receiver: PartReceiver) {
    const [, parameters] = /^multipart\/form-data((?:\s*;.*)?)$/i.exec(type) ?? [];
    const boundary = parameters === undefined
      ? undefined
      : parametersOf(parameters).get("boundary");
    // RFC 2046 §5.1.1
    if (!boundary || !/^[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]$/.test(boundary)) {
      throw wrong("The Content-Type names no boundary of multipart/form-data.");
    }
    this.#delimiter = `\r\n--${boundary}`;
  }

  /** Takes the next piece. @throws {ServiceError} `request_wrong`, and what the receiver throws */
  push(piece: Uint8Array): void {
    const bytes = this.#held.length > 0 ? concat(this.#held, piece) : piece;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
    let at = 0;
    for (let next: number | undefined; (next = this.#step(bytes, text, at)) !== undefined;) {
      at = next;
    }
    this.#held = this.#state === "epilogue"
      ? new Uint8Array()
      : bytes.subarray(this.#kept(text, at));
    if (this.#state === "data") this.#give(bytes, at, bytes.length - this.#held.length);
  }

  /** Ends the body. @throws {ServiceError} `request_wrong` if it ends too early */
  end(): void {
    if (this.#state !== "epilogue") throw wrong("The body ended too early.");
  }

  /** Reads the next element. @returns where it ends; undefined if more bytes are needed */
  #step(bytes: Uint8Array, text: string, at: number): number | undefined {
    switch (this.#state) {
      case "start": {
        // The first delimiter needs no line break before it.
        const first = this.#delimiter.slice(2);
        if (text.length < first.length && first.startsWith(text)) return undefined;
        const isFirst = text.startsWith(first);
        this.#state = isFirst ? "delimiter" : "preamble";
        return isFirst ? first.length : 0;
      }
      case "preamble":
      case "data": {
        const end = text.indexOf(this.#delimiter, at);
        if (end < 0) return undefined;
        if (this.#state === "data") {
          this.#give(bytes, at, end);
          this.receiver.end();
        }
        this.#state = "delimiter";
        return end + this.#delimiter.length;
      }
      case "delimiter": {
        if (text.startsWith("--", at)) {
          this.#state = "epilogue";
          return undefined;
        }
        const end = text.indexOf("\r\n", at);
        const padding = text.slice(at, end < 0 ? text.length : end);
        if (
          padding.length > MAX_PADDING || !(end < 0 ? /^(-|[ \t]*\r?)$/ : /^[ \t]*$/).test(padding)
        ) {
          throw wrong("A boundary is followed by something else.");
        }
        if (end < 0) return undefined;
        this.#state = "head";
        // A head without lines ends where it begins.
        return end;
      }
      case "head": {
        const end = text.indexOf("\r\n\r\n", at);
        if ((end < 0 ? text.length : end) - at > MAX_HEAD) {
          throw wrong("A part's head is too long.");
        }
        if (end < 0) return undefined;
        this.receiver.begin(headOf(new TextDecoder().decode(bytes.subarray(at, end))));
        this.#state = "data";
        // Empty data may end at once.
        return end + 4;
      }
      case "epilogue":
        return undefined;
    }
  }

  /** From where on bytes are kept for the next piece. */
  #kept(text: string, at: number): number {
    if (this.#state !== "data" && this.#state !== "preamble") return at;
    const break_ = text.indexOf("\r", Math.max(at, text.length - this.#delimiter.length + 1));
    return break_ < 0 ? text.length : break_;
  }

  #give(bytes: Uint8Array, from: number, to: number): void {
    if (to > from) this.receiver.data(bytes.subarray(from, to));
  }
}

/** Reads a part's head, which begins with a line break. @throws {ServiceError} `request_wrong` */
function headOf(text: string): PartHead {
  let parameters: Map<string, string> | undefined;
  for (const line of text.split("\r\n").slice(1)) {
    // A line break by one character ends a line for some programs only.
    const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([^\r\n\0]*)$/.exec(line) ?? [];
    switch (name?.toLowerCase()) {
      case undefined:
        throw wrong("A part's head cannot be read.");
      case "content-disposition": {
        const [, rest] = /^form-data[ \t]*(;.*)$/is.exec(value) ?? [];
        if (rest === undefined || parameters) throw wrong("A part is not of a form.");
        parameters = parametersOf(rest);
        break;
      }
      case "content-transfer-encoding":
        if (!/^(7bit|8bit|binary)[ \t]*$/i.test(value)) {
          throw wrong(`Send each part as it is, not as ${value}.`);
        }
    }
  }
  const name = parameters?.get("name");
  if (name === undefined) throw wrong("A part has no name.");
  const path = extendedName(parameters!.get("filename*")) ?? parameters!.get("filename");
  // Some programs send the file's whole path.
  return { name, fileName: path?.replace(/^.*[/\\]/s, "") ?? null };
}

/** The parameters of a header, which begin with a semicolon. @throws {ServiceError} `request_wrong` */
function parametersOf(text: string): Map<string, string> {
  const found = new Map<string, string>();
  const parameter =
    /[ \t]*;[ \t]*(?:([!#$%&'*+.^_`|~\w-]+)=(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([^\s;"]+)))?[ \t]*/sy;
  while (parameter.lastIndex < text.length) {
    const [, name, quoted, token] = parameter.exec(text) ?? [];
    if (parameter.lastIndex === 0) throw wrong("The parameters of a header cannot be read.");
    if (name === undefined) continue;
    const key = name.toLowerCase();
    if (found.has(key)) throw wrong(`The parameter ${key} is there twice.`);
    // Paths of Windows stand there with single backslashes.
    found.set(key, token ?? quoted.replace(/\\(["\\])/g, "$1"));
  }
  return found;
}

/** A name by RFC 8187, as some programs send it though RFC 7578 §4.2 forbids that. */
function extendedName(value: string | undefined): string | undefined {
  const [, encoded] = /^utf-8'[^']*'(.*)$/is.exec(value ?? "") ?? [];
  try {
    return encoded === undefined ? undefined : decodeURIComponent(encoded);
  } catch {
    return undefined; // not UTF-8
  }
}
