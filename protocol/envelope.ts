/** JSON-RPC 2.0 frames over a WebSocket, and the limits that both sides keep. */
import { DsignError, type ErrorObject } from "./errors.ts";

/** The wire contract's version: a page refuses an agent that speaks an older one, and the other way round. */
export const PROTOCOL_VERSION = 2;

/** Ports the agent tries in turn, and the SDK probes: 7791 is the first choice. */
export const PORTS = [7791, 17791, 27791] as const;

/** The same with TLS. */
export const SECURE_PORTS = [7792, 17792, 27792] as const;

/** Sizes in bytes, counts as counts. What goes beyond is refused with `too_large` or `busy`. */
export const LIMITS = {
  /** A text frame (JSON): room for a batch of 10,000 documents. */
  textFrame: 5 * 1024 * 1024,
  /** A binary frame: 4-byte handle, then at most this many bytes of document. */
  chunk: 1024 * 1024,
  /** Bytes of one document that may be under way without being acknowledged. */
  window: 8 * 1024 * 1024,
  documentSize: 64 * 1024 * 1024 * 1024,
  /** A document that is kept, as PDFs are. */
  keptSize: 1024 * 1024 * 1024,
  openDocuments: 40,
  connections: 64,
  connectionsPerOrigin: 16,
  /** Connections of all origins without a grant: a site has as many origins as it likes. */
  connectionsOfStrangers: 32,
  requestsInFlight: 256,
  /** Text of one connection's requests that are not answered yet. */
  bytesInFlight: 16 * 1024 * 1024,
  /** Bytes that one connection may leave unread before it is closed. */
  unread: 8 * 1024 * 1024,
} as const;

export type RequestId = string | number;

export interface Request {
  /** Absent in a notification. */
  id?: RequestId;
  method: string;
  params: unknown;
}

/**
 * Whether no string of a JSON text holds half of a character, a lone surrogate. UTF-8 cannot carry one: what is signed
 * or written down would be something else than what was sent.
 *
 * @param frame JSON that came as UTF-8, so that only an escape can be such a half
 */
export function isWellFormed(frame: string): boolean {
  if (!/\\u[dD][89a-fA-F]/.test(frame)) return true;
  /** Where the second half must follow; -1: nowhere. */
  let expected = -1;
  for (const { index, 0: escape, 1: hex } of frame.matchAll(/\\(?:u([0-9a-fA-F]{4})|.)/g)) {
    const kind = hex ? parseInt(hex, 16) & 0xfc00 : 0;
    if (expected === -1 ? kind === 0xdc00 : kind !== 0xdc00 || index !== expected) return false;
    expected = kind === 0xd800 ? index + escape.length : -1;
  }
  return expected === -1;
}

/**
 * Reads one text frame from a client.
 *
 * JSON-RPC batches (arrays) are refused: on a WebSocket requests are pipelined instead.
 *
 * @throws {DsignError} `too_large`, `parse_error` or `invalid_request`
 */
export function parseRequest(frame: string): Request {
  if (frame.length > LIMITS.textFrame) throw new DsignError("too_large");
  let value: unknown;
  try {
    value = JSON.parse(frame);
  } catch {
    throw new DsignError("parse_error");
  }
  if (Array.isArray(value)) {
    throw new DsignError(
      "invalid_request",
      "JSON-RPC batches are not supported. Send the requests one by one.",
    );
  }
  if (typeof value !== "object" || value === null) throw new DsignError("invalid_request");
  const { jsonrpc, id, method, params } = value as Record<string, unknown>;
  const idIsFine = id === undefined || typeof id === "string" ||
    (typeof id === "number" && Number.isSafeInteger(id));
  if (jsonrpc !== "2.0" || typeof method !== "string" || !idIsFine) {
    throw new DsignError("invalid_request");
  }
  return { id: id as RequestId | undefined, method, params: params ?? {} };
}

/** A reply frame. `id` is null if the request's own could not be read (JSON-RPC 2.0 §5). */
export function formatResult(id: RequestId, result: unknown): string {
  return JSON.stringify({ jsonrpc: "2.0", id, result });
}

export function formatError(id: RequestId | null, error: ErrorObject): string {
  return JSON.stringify({ jsonrpc: "2.0", id, error });
}

export function formatNotification(method: string, params: unknown): string {
  return JSON.stringify({ jsonrpc: "2.0", method, params });
}

/** Length of a document handle at the start of a binary frame, in bytes. */
export const HANDLE_LENGTH = 4;

/**
 * Splits a binary frame: `handle` (4 bytes, big-endian) || document bytes.
 *
 * @throws {DsignError} `invalid_request` if it is shorter than a handle, `too_large`
 */
export function parseChunk(frame: Uint8Array): { handle: number; bytes: Uint8Array } {
  if (frame.length < HANDLE_LENGTH) {
    throw new DsignError("invalid_request", "A binary frame starts with a 4-byte document handle.");
  }
  if (frame.length - HANDLE_LENGTH > LIMITS.chunk) throw new DsignError("too_large");
  const handle = new DataView(frame.buffer, frame.byteOffset, HANDLE_LENGTH).getUint32(0);
  return { handle, bytes: frame.subarray(HANDLE_LENGTH) };
}

/** The frame that {@linkcode parseChunk} splits. */
export function formatChunk(handle: number, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(HANDLE_LENGTH + bytes.length);
  new DataView(frame.buffer).setUint32(0, handle);
  frame.set(bytes, HANDLE_LENGTH);
  return frame;
}
